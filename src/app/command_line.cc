#include "app/command_line.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <memory>
#include <stdexcept>

#include "app/commit.h"
#include "comm/comm.h"
#include "core/fields.h"
#include "core/log.h"
#include "infer/fold.h"
#include "kernel/isa.h"
#include "merge/method.h"
#include "merge/settings.h"
#include "model/cuda.h"
#include "model/ops.h"
#include "prompt/prompt.h"
#include "store/results.h"
#include "work/select.h"

namespace samner::app {
namespace {

// In the order in which --help shows them.
constexpr std::string_view input = "Input";
constexpr std::string_view model = "Model";
constexpr std::string_view prompting = "Prompts";
constexpr std::string_view selection = "Selection";
constexpr std::string_view merging = "Merging";
constexpr std::string_view decoding = "Decoding";
constexpr std::string_view scoring = "Scoring";
constexpr std::string_view output = "Output";
constexpr std::string_view computing = "Ranks and devices";
constexpr std::string_view other = "Other";
constexpr auto groups = std::to_array<std::string_view>(
    {input, model, prompting, selection, merging, decoding, scoring, output, computing, other});

std::vector<std::string> shells() {
    return {"bash", "zsh", "fish"};
}
std::vector<std::string> combinations() {
    return {"union", "intersection", "vote"};
}
std::vector<std::string> exports() {
    return {"texts", "gold", "prompts"};
}

using enum ValueKind;
constexpr auto words = std::to_array<Word>({
    // Positionals.
    {"EXPERIMENT", input, "EXPERIMENT", path},
    {"ADAPTER", input, "ADAPTER", folder},
    {"LIBRARY", input, "LIBRARY", folder},
    {"MODEL", input, "MODEL", path},
    {"RUN", input, "RUN", folder},
    {"A", input, "A", folder},
    {"B", input, "B", folder},
    {"PATH", input, "PATH", folder},
    {"PRED", input, "PRED", file},
    {"ROW", input, "ROW"},
    {"TARGET", input, "TARGET"},
    {"SHELL", input, "SHELL", choice, shells},
    {"DATASET", input, "DATASET"},
    {"SETTING", input, "SETTING"},
    // Options.
    {"--config", input, "RUNFILE", file},
    {"--only", input, "NAME"},
    {"--in", input, "FILE", file},
    {"--data", input, "DATASET"},
    {"--types", input, "TYPES", file},
    {"--gold", input, "FILE", file},
    {"--pred", input, "FILE", file},
    {"--against", input, "FILE", file},
    {"--root", input, "FOLDER", folder},
    {"--configs", input, "FOLDER", folder},
    {"--table", input, "FILE", file},
    {"--mirror", input, "PLACE", folder},
    {"--attempts", input, "N"},
    {"--why", input, "KEY"},
    {"--as", input, "KIND", choice, exports},
    {"--samples", input, "N"},
    {"--keep-empty", input, "SHARE"},
    {"--count", input, "N"},
    {"--parts", input, "RATES"},
    {"--model", model, "MODEL", path},
    {"--base", model, "FOLDER", folder},
    {"--adapter", model, "ADAPTER", folder},
    {"--encoder", model, "FOLDER", folder},
    {"--init", model, "ADAPTER", folder},
    {"--layout", prompting, "LAYOUT", choice, names_of_values<prompt::Layout>},
    {"--format", prompting, "FORMAT", choice, names_of_values<prompt::Format>},
    {"--experts", selection, "FOLDER", folder},
    {"--strategy", selection, "STRATEGY", choice, names_of_values<work::Metric>},
    {"--domains", selection, "EXPERT=FILE", file},
    {"-m", selection, "M"},
    {"-k", selection, "K"},
    {"--answers", selection, "N"},
    {"--eco", selection, ""},
    {"--method", merging, "METHOD", choice, names_of_values<merge::Method>},
    {"--space", merging, "SPACE", choice, names_of_values<merge::Space>},
    {"--density", merging, "SHARE"},
    {"--sign", merging, "SIGN", choice, names_of_values<merge::Sign>},
    {"--follow", merging, "LIBRARY", choice, names_of_values<merge::Compatibility>},
    {"--trim-over", merging, "SCOPE", choice, names_of_values<merge::TrimOver>},
    {"--rescale", merging, "RULE", choice, names_of_values<merge::Rescale>},
    {"--normalize", merging, "RULE", choice, names_of_values<merge::Normalize>},
    {"--lambda", merging, "X"},
    {"--gamma", merging, "SHARE"},
    {"--epsilon", merging, "SHARE"},
    {"--rank", merging, "R"},
    {"--weights", merging, "X,X"},
    {"--module-weights", merging, "FILE", file},
    {"--mergekit", merging, "FILE", file},
    {"--allow-nonfinite", merging, ""},
    {"--max-new-tokens", decoding, "N"},
    {"--num-slots", decoding, "N"},
    {"--max-cached-tokens", decoding, "N"},
    {"--draft-tokens", decoding, "N"},
    {"--fold", decoding, "WHEN", choice, names_of_values<infer::Fold>},
    {"--temperature", decoding, "X"},
    {"--top-p", decoding, "P"},
    {"--chat", decoding, ""},
    {"--metric", scoring, "METRIC"},
    {"--how", scoring, "HOW", choice, combinations},
    {"--combine", scoring, "HOW", choice, combinations},
    {"--resamples", scoring, "N"},
    {"--confidence", scoring, "P"},
    {"--out", output, "PATH", path},
    {"--store", output, "FOLDER", folder},
    {"--overwrite", output, ""},
    {"--json", output, ""},
    {"--report", output, "FILE", file},
    {"--tensorboard", output, "FOLDER", folder},
    {"--watch", output, ""},
    {"--dry-run", output, ""},
    {"--frozen", output, ""},
    {"--retry-failed", output, ""},
    {"--delete", output, ""},
    {"--only-present", output, ""},
    {"--forget-missing", output, ""},
    {"-n", computing, "RANKS"},
    {"--simulate", computing, ""},
    {"--ranks", computing, "RANKS"},
    {"--nodes", computing, "NODES"},
    {"--profile", computing, "FILE", file},
    {"--device", computing, "DEVICE"},
    {"--threads", computing, "N"},
    {"--dtype", computing, "DTYPE"},
    {"--seed", other, "SEED"},
    {"--verbose", other, ""},
    {"--quiet", other, ""},
    {"--help", other, ""},
    {"--version", other, ""},
});

/// By which the table knows an option.
std::string name_of(CLI::Option const& option) {
    if (option.get_positional()) return option.get_name(true);
    return option.get_lnames().empty() ? "-" + option.get_snames().front() : "--" + option.get_lnames().front();
}

std::string command_of(CLI::App const& app) {
    return app.get_parent() == nullptr ? app.get_name() : command_of(*app.get_parent()) + " " + app.get_name();
}

bool is_list(CLI::Option const& option) {
    return option.get_expected_max() == CLI::detail::expected_max_vector_size;
}

/// Text in lines of `width` columns at most, where its words allow that; all but the first are indented.
std::string wrapped(std::string_view text, std::size_t indent, std::size_t width) {
    std::string result;
    std::size_t column = indent;
    for (std::size_t begin = 0; begin < text.size();) {
        auto const end = std::min(text.find(' ', begin), text.size());
        auto const word = text.substr(begin, end - begin);
        begin = end + 1;
        if (column > indent) {
            if (column + 1 + word.size() > width) {
                result += "\n" + std::string(indent, ' ');
                column = indent;
            } else {
                result += ' ';
                ++column;
            }
        }
        result += word;
        column += word.size();
    }
    return result;
}

/// Help as `samner VERB --help` prints it.
class Help : public CLI::FormatterBase {
public:
    std::string make_help(CLI::App const* app, std::string /*name*/, CLI::AppFormatMode /*mode*/) const override {
        auto text =
            wrapped(fmt::format("{}: {}", command_of(*app), app->get_description()), 4, width) + "\n\n" + usage(*app);
        auto const positionals = app->get_options([](auto const* option) { return option->get_positional(); });
        if (!positionals.empty()) text += "\n";
        for (auto const* positional : positionals) text += line(*positional);
        text += verbs_below(*app);
        for (auto const group : groups) {
            auto const options = app->get_options(
                [&](auto const* option) { return option->nonpositional() && word_of(*option).group == group; });
            if (options.empty()) continue;
            text += fmt::format("\n{}:\n", group);
            for (auto const* option : options) text += line(*option);
        }
        if (!app->get_footer().empty()) text += fmt::format("\nFor example:\n{}\n", app->get_footer());
        return text;
    }

private:
    static constexpr std::size_t indent = 28;
    static constexpr std::size_t width = 96;

    /// Names and descriptions, below their headings.
    static std::string verbs_below(CLI::App const& app) {
        auto const verbs = app.get_subcommands({});
        std::vector<std::string> headings;
        for (auto const* verb : verbs)
            if (std::ranges::find(headings, verb->get_group()) == headings.end()) headings.push_back(verb->get_group());
        std::string text;
        for (auto const& heading : headings) {
            text += fmt::format("\n{}:\n", heading == "Subcommands" ? "Verbs" : heading);
            for (auto const* verb : verbs)
                if (verb->get_group() == heading) text += entry(verb->get_name(), verb->get_description());
        }
        return text;
    }

    static std::string usage(CLI::App const& app) {
        auto text = "usage: " + command_of(app);
        if (!app.get_subcommands({}).empty()) return text + " VERB ...\n";
        for (auto const* option : app.get_options()) {
            if (option->get_positional()) {
                auto const name = option->get_name(true) + (is_list(*option) ? "..." : "");
                text += option->get_required() ? " " + name : " [" + name + "]";
            } else if (option->get_required()) {
                text += fmt::format(" {} {}", name_of(*option), word_of(*option).value);
            }
        }
        return wrapped(text + " [OPTIONS]", 4, width) + "\n";
    }

    static std::string line(CLI::Option const& option) {
        auto const& word = word_of(option);
        std::string left = name_of(option);
        if (!option.get_positional()) {
            if (!option.get_snames().empty() && !option.get_lnames().empty())
                left = fmt::format("-{}, {}", option.get_snames().front(), left);
            for (std::size_t i = 1; i < option.get_lnames().size(); ++i) left += ", --" + option.get_lnames()[i];
            if (option.get_type_size() != 0) left += fmt::format(" {}", word.value);
        }
        if (option.get_type_size() != 0 && is_list(option)) left += " ...";
        auto right = option.get_description();
        if (option.get_required() && !option.get_positional()) right += " (required)";
        if (option.get_type_size() != 0 && !option.get_default_str().empty()) {
            auto value = option.get_default_str();
            if (value.starts_with('[') && value.ends_with(']')) value = value.substr(1, value.size() - 2);
            right += fmt::format(" (default {})", value);
        }
        return entry(left, right);
    }

    static std::string entry(std::string const& left, std::string const& right) {
        auto text = "  " + left;
        if (text.size() + 2 > indent)
            text += "\n" + std::string(indent, ' ');
        else
            text.resize(indent, ' ');
        return text + wrapped(right, indent, width) + "\n";
    }
};

void finish(CLI::App& verb, std::shared_ptr<CLI::FormatterBase> const& help) {
    verb.formatter(help);
    verb.get_help_ptr()->description("this help");
    auto const verbs = verb.get_subcommands({});
    for (auto* below : verbs) finish(*below, help);
    if (verbs.empty()) {
        auto* const verbose = verb.add_flag_callback(
            "-v,--verbose", [] { set_verbosity(Verbosity::verbose); }, "say more, with the time of day");
        auto* const quiet = verb.add_flag_callback(
            "-q,--quiet", [] { set_verbosity(Verbosity::quiet); }, "say nothing but warnings, errors and results");
        verbose->trigger_on_parse();
        quiet->trigger_on_parse();
        quiet->excludes(verbose);
    }
    for (auto const* option : verb.get_options()) static_cast<void>(word_of(*option));
}

}  // namespace

Word const& word_of(CLI::Option const& option) {
    auto const name = name_of(option);
    auto const found = std::ranges::find(words, name, &Word::name);
    if (found == words.end())
        throw std::logic_error{fmt::format("'{}' is an option that src/app/command_line.cc does not list", name)};
    return *found;
}

void add_examples(CLI::App& verb, std::string const& lines) {
    std::string text;
    for (std::size_t begin = 0; begin < lines.size();) {
        auto const end = std::min(lines.find('\n', begin), lines.size());
        text += fmt::format("{}    {}", text.empty() ? "" : "\n", lines.substr(begin, end - begin));
        begin = end + 1;
    }
    verb.footer(text);
}

void finish_command_line(CLI::App& app) {
    finish(app, std::make_shared<Help>());
}

std::string overview() {
    return fmt::format(R"(samner {}: Select-and-Merge (SaM) for named entity recognition with LLMs

With a model, a corpus or an idea of merging of your own:
    samner plan experiments/demo.yaml                        what it is made of, and what it costs
    samner run experiments/demo.yaml --out runs/demo -n 2    run it; the same command goes on
    samner show runs/demo sam                                what a row is made of

With experts that are there, and texts without labels:
    samner experts LIBRARY --model M                         which of them fit
    samner adapt --model M --experts LIBRARY --in texts.jsonl --types person,place --out OUT

On a cluster:
    samner doctor                                            what this machine has and lacks
    srun --mpi=pmix samner run experiments/demo.yaml --out RUN

samner --help lists all verbs, samner VERB --help the options of one.
)",
                       SAMNER_VERSION);
}

std::string version_text() {
    return fmt::format("samner {} (commit {}, {})\nlibtorch {}\nMPI {}\nHDF5 {}\nfmt {}.{}.{}, CLI11 {}",
                       SAMNER_VERSION, SAMNER_COMMIT, model::has_cuda() ? "CPU and CUDA" : "CPU",
                       model::libtorch_version(), comm::library_version(), store::library_version(),
                       FMT_VERSION / 10000, FMT_VERSION / 100 % 100, FMT_VERSION % 100, CLI11_VERSION);
}

}  // namespace samner::app
