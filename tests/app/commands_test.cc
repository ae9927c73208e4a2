#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <regex>
#include <sstream>

#include "command.h"
#include "core/file.h"
#include "temporary_folder.h"

namespace samner {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::ContainsRegex;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsSupersetOf;
using testing::Not;

std::vector<std::string> lines_of(std::string const& text) {
    std::vector<std::string> lines;
    std::istringstream stream{text};
    for (std::string line; std::getline(stream, line);) lines.push_back(line);
    return lines;
}

std::string const& help_of(std::string const& verb) {
    static std::map<std::string, std::string> known;
    auto const [place, is_new] = known.try_emplace(verb);
    if (is_new) {
        auto result = samner_command(verb + " --help");
        EXPECT_EQ(result.code, 0) << result.output;
        place->second = std::move(result.output);
    }
    return place->second;
}

/// The names below the headings of verbs in a help text.
std::vector<std::string> verbs_in(std::string const& help) {
    std::vector<std::string> verbs;
    bool lists_verbs = false;
    for (auto const& line : lines_of(help)) {
        if (!line.starts_with(' ')) lists_verbs = line.ends_with(':') && line != "Other:" && line != "For example:";
        std::smatch found;
        static std::regex const entry{"^  ([a-z]+) .*"};
        if (lists_verbs && std::regex_match(line, found, entry)) verbs.push_back(found[1]);
    }
    return verbs;
}

/// All that do something: `run`, `data stats`.
std::vector<std::string> verbs() {
    std::vector<std::string> all;
    for (auto const& verb : verbs_in(help_of(""))) {
        auto const below = verb == "data" || verb == "model" ? verbs_in(help_of(verb)) : std::vector<std::string>{};
        for (auto const& name : below) all.push_back(verb + " " + name);
        if (below.empty()) all.push_back(verb);
    }
    return all;
}

fs::path const page_path = fs::path{SAMNER_SOURCE_DIR} / "docs/commands.md";

std::string page() {
    std::string text =
        "# Commands\n\nWhat `samner VERB --help` says, of all verbs. In the examples `M` is a base model (a Hugging "
        "Face\n"
        "folder or a .gguf file), `E` an encoder (a sentence-transformers folder), `LIBRARY` a folder of PEFT\n"
        "folders, `OUT` what is to be made.\n\n"
        "This page is made of the program: `SAMNER_UPDATE=1 build/tests/app/app_commands_test`.\n";
    for (auto const& verb : verbs()) {
        text += fmt::format("\n## {}\n\n```text\n", verb);
        bool is_help = true;
        for (auto const& line : lines_of(help_of(verb))) {
            bool const ends = line == "For example:";  // what follows is run by tests/docs
            if (ends) text.replace(text.size() - 1, 1, "```\n\n");
            is_help = is_help && !ends;
            text += line + "\n";
            if (ends) text += "\n";
        }
        EXPECT_FALSE(is_help) << verb << " has no example";
    }
    return text;
}

TEST(Commands, OfThePageAreThoseOfTheProgram) {
    auto const made = page();
    auto const* const update = std::getenv("SAMNER_UPDATE");
    if (update && std::string_view{update} == "1") write_atomically(page_path, made);
    auto const now = fs::exists(page_path) ? read_text(page_path) : "";
    EXPECT_TRUE(now == made) << "docs/commands.md is not what the program says of itself; to make it anew: "
                                "SAMNER_UPDATE=1 build/tests/app/app_commands_test";
    for (auto const& line : lines_of(made))
        EXPECT_LE(std::ranges::count_if(line, [](char c) { return (c & 0xC0) != 0x80; }), 100) << line;
}

TEST(Commands, EachHaveHeadingsDefaultsAndAnExample) {
    auto const all = verbs();
    EXPECT_GE(all.size(), 28U);
    for (auto const& verb : all) {
        auto const help = help_of(verb);
        EXPECT_THAT(help, AllOf(HasSubstr("\nFor example:\n    samner " + verb), HasSubstr("usage: samner " + verb),
                                HasSubstr("-q, --quiet"), Not(HasSubstr("\nOptions:"))));
    }
    EXPECT_THAT(help_of("predict"),
                ContainsRegex("Input:\n(.*\n)*Model:\n(.*\n)*Decoding:\n(.*\n)*Output:\n(.*\n)*For example:"));
    EXPECT_THAT(help_of("predict"), HasSubstr("--max-new-tokens N        hard stop (default 256)"));
}

TEST(Commands, AloneShowTheWayOfEachKindOfUser) {
    auto const result = samner_command("");
    EXPECT_EQ(result.code, 0);
    EXPECT_THAT(result.output, AllOf(HasSubstr("samner run "), HasSubstr("samner adapt "), HasSubstr("samner doctor")));
}

TEST(Commands, NameTheVersionOfTheProgramAndOfItsLibraries) {
    auto const result = samner_command("--version");
    EXPECT_EQ(result.code, 0);
    EXPECT_THAT(result.output, ContainsRegex("^samner [0-9]+\\.[0-9]+\\.[0-9]+ \\(commit [0-9a-f]+.*\\)\n"));
    for (auto const* library : {"libtorch 2", "MPI Open MPI", "HDF5 1", "fmt "})
        EXPECT_THAT(result.output, HasSubstr(library));
}

TEST(Commands, SayNothingButResultsWhenQuietAndTheTimeOfDayWhenVerbose) {
    TemporaryFolder const folder;
    auto const texts = folder / "texts.jsonl";
    write_atomically(texts, "{\"id\": 1, \"text\": \"The lion sleeps\"}\n");
    auto const tokenize = [&](std::string const& option) {
        auto const result = samner_command(fmt::format("model tokenize tests/data/tiny --in {} --out {} --overwrite {}",
                                                       texts.string(), (folder / "ids").string(), option));
        EXPECT_EQ(result.code, 0) << result.output;
        return result.output;
    };
    EXPECT_THAT(tokenize(""), testing::StartsWith("wrote "));
    EXPECT_EQ(tokenize("--quiet"), "");
    EXPECT_THAT(tokenize("-v"), ContainsRegex("[0-9][0-9]:[0-9][0-9]:[0-9][0-9].* wrote "));
    EXPECT_EQ(samner_command("model info tests/data/tiny -q -v").code, 2);
    EXPECT_NE(samner_command("model info tests/data/tiny -q").output, "");
    EXPECT_THAT(samner_command("model info absent -q").output, HasSubstr("error: "));
}

/// What bash offers behind these words, the last of which is being written.
std::vector<std::string> bash_offers(std::vector<std::string> const& words) {
    TemporaryFolder const folder;
    auto const script = folder / "complete.bash";
    write_atomically(script, samner_command("completion bash").output +
                                 fmt::format("COMP_WORDS=('{}')\nCOMP_CWORD={}\n_samner\n"
                                             "((${{#COMPREPLY[@]}})) && printf '%s\\n' \"${{COMPREPLY[@]}}\"\n",
                                             fmt::join(words, "' '"), words.size() - 1));
    return lines_of(run_command(fmt::format("bash '{}'", script.string())).output);
}

TEST(Completion, OfBashOffersVerbsOptionsValuesAndFiles) {
    EXPECT_THAT(bash_offers({"samner", ""}), IsSupersetOf({"run", "adapt", "data", "--version"}));
    EXPECT_THAT(bash_offers({"samner", "pre"}), ElementsAre("predict"));
    EXPECT_THAT(bash_offers({"samner", "data", "ex"}), ElementsAre("export"));
    EXPECT_THAT(bash_offers({"samner", "predict", "--max"}), ElementsAre("--max-new-tokens"));
    EXPECT_THAT(bash_offers({"samner", "predict", "--"}), Not(testing::Contains("--method")));
    EXPECT_THAT(bash_offers({"samner", "merge", "a", "b", "--method", "ti"}), ElementsAre("ties", "ties_svd"));
    EXPECT_THAT(bash_offers({"samner", "data", "export", "--as", ""}), ElementsAre("texts", "gold", "prompts"));
    EXPECT_THAT(bash_offers({"samner", "run", "README"}), ElementsAre("README.md"));
    EXPECT_THAT(bash_offers({"samner", "predict", "--model", "test"}), ElementsAre("tests"));
    EXPECT_TRUE(bash_offers({"samner", "predict", "--max-new-tokens", ""}).empty()) << "no file is a number";
    EXPECT_THAT(bash_offers({"samner", "completion", ""}), ElementsAre("bash", "zsh", "fish"));
}

TEST(Completion, OfOtherShellsHasEveryVerbAndOption) {
    auto const zsh = samner_command("completion zsh").output;
    auto const fish = samner_command("completion fish").output;
    for (auto const& verb : verbs()) {
        auto const last = verb.substr(verb.rfind(' ') + 1);
        EXPECT_THAT(zsh, HasSubstr("        '" + last + ":")) << verb;
        EXPECT_THAT(fish, HasSubstr(" -a " + last + " ")) << verb;
    }
    for (auto const* option : {"max-new-tokens", "strategy", "retry-failed"}) {
        EXPECT_THAT(zsh, HasSubstr(std::string{"'*--"} + option + "["));
        EXPECT_THAT(fish, HasSubstr(std::string{" -l "} + option + " "));
    }
    TemporaryFolder const folder;
    for (auto const& [shell, text] : {std::pair{"zsh", zsh}, std::pair{"fish", fish}}) {
        if (run_command(fmt::format("command -v {}", shell)).code != 0) continue;  // not of the packages of a build
        write_atomically(folder / shell, text);
        auto const checked = run_command(fmt::format("{} -n '{}'", shell, (folder / shell).string()));
        EXPECT_EQ(checked.code, 0) << checked.output;
    }
    auto const refused = samner_command("completion tcsh");
    EXPECT_EQ(refused.code, 2);
    EXPECT_THAT(refused.output, HasSubstr("name bash, zsh or fish"));
}

}  // namespace
}  // namespace samner
