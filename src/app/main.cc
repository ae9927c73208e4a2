#include <fmt/format.h>
#include <fmt/ranges.h>
#include <malloc.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include "app/command_line.h"
#include "app/verbs.h"
#include "core/error.h"
#include "core/log.h"
#include "core/stop.h"
#include "core/yaml.h"

namespace samner::app {
namespace {

std::vector<std::string> verbs_of(CLI::App const& app) {
    std::vector<std::string> names;
    for (auto const* verb : app.get_subcommands({})) names.push_back(verb->get_name());
    return names;
}

/// `samner` and the verbs that lead to one.
std::string command_of(CLI::App const& app) {
    return app.get_parent() == nullptr ? app.get_name() : command_of(*app.get_parent()) + " " + app.get_name();
}

InputError no_verb(CLI::App const& app) {
    auto const command = command_of(app);
    return InputError{fmt::format("{} is given no verb (command line)", command),
                      fmt::format("name one of {}; {} --help tells of them", fmt::join(verbs_of(app), ", "), command)};
}

/// @throws InputError where a verb has to stand and there is none, or one that is not known
/// @param words  behind `app`
void check_verb(CLI::App const& app, std::span<char* const> words) {
    auto const known = verbs_of(app);
    if (known.empty()) return;
    auto const command = command_of(app);
    if (words.empty()) throw no_verb(app);
    std::string const word{words.front()};
    if (word.starts_with('-')) return;
    if (std::ranges::find(known, word) != known.end()) return check_verb(*app.get_subcommand(word), words.subspan(1));
    auto const near = did_you_mean(word, known);
    throw InputError{fmt::format("'{}' is no verb of {} (command line)", word, command),
                     word == "help" ? fmt::format("did you mean {} --help?", command)
                     : near         ? fmt::format("did you mean {}?", *near)
                                    : fmt::format("name one of {}", fmt::join(known, ", "))};
}

/// The verb that was given, or the program itself.
CLI::App const& last_verb(CLI::App const& app) {
    auto const verbs = app.get_subcommands();
    return verbs.empty() ? app : last_verb(*verbs.front());
}

/// What is wrong with a command line that cannot be read, and what to do. One option that is misspelt can leave another
/// one missing.
InputError as_input_error(CLI::App const& app, CLI::ParseError const& error) {
    auto const& verb = last_verb(app);
    std::vector<std::string> known;
    for (auto const* option : verb.get_options())
        for (auto const& name : option->get_lnames()) known.push_back("--" + name);
    for (auto const& word : verb.remaining()) {
        auto const name = word.substr(0, word.find('='));
        if (!name.starts_with("--")) continue;
        if (auto const near = did_you_mean(name, known))
            return InputError{fmt::format("{} is no option of {} (command line)", name, command_of(verb)),
                              fmt::format("did you mean {}?", *near)};
    }
    std::string const text = error.what();
    constexpr std::string_view no_number = "Could not convert: ";
    auto const equals = text.find(" = ");
    if (dynamic_cast<CLI::ConversionError const*>(&error) && text.starts_with(no_number) && equals != text.npos) {
        auto const name = text.substr(no_number.size(), equals - no_number.size());
        auto const* const option = verb.get_option_no_throw(name);
        bool const whole = option && option->get_type_name().find("FLOAT") == std::string::npos;
        bool const list = option && option->get_expected_max() > 1;
        return InputError{fmt::format("'{}' is no {} (command line: {})", text.substr(equals + 3),
                                      list    ? "list of numbers"
                                      : whole ? "whole number in range"
                                              : "number",
                                      name),
                          list ? "give numbers, separated by commas, such as 1,0.5" : "give it a number"};
    }
    if (dynamic_cast<CLI::RequiredError const*>(&error) && text == "A subcommand is required") return no_verb(verb);
    return InputError{fmt::format("{} (command line)", text), fmt::format("see {} --help", command_of(verb))};
}

/// Below which heading of `samner --help` each verb stands.
void set_headings(CLI::App& app) {
    struct Heading {
        char const* text;
        std::vector<char const*> verbs;
    };
    for (auto const& [text, verbs] :
         {Heading{"Experiments", {"run", "plan", "status", "show", "compare", "report", "gc"}},
          Heading{"A library of experts", {"adapt", "experts", "card"}},
          Heading{"Single steps", {"train", "generate", "predict", "encode", "select", "merge", "combine", "score"}},
          Heading{"Data, models, this machine", {"data", "model", "doctor", "completion"}}})
        for (auto const* verb : verbs) app.get_subcommand(verb)->group(text);
}

/// Whether what a verb does is kept, at safe points, when it is stopped; others can be left anywhere.
bool ends_at_safe_points(std::string const& verb) {
    return verb == "run" || verb == "adapt" || verb == "train";
}

int run(int argc, char** argv) {
    CLI::App app{"Select-and-Merge (SaM) for named entity recognition with LLMs", "samner"};
    app.set_version_flag("--version", version_text, "version, commit and libraries");
    app.require_subcommand(1);
    app.fallthrough(false);
    ExitCode code = ExitCode::done;
    add_run_verbs(app, code);
    add_adapt_verb(app, code);
    add_view_verbs(app);
    add_compare_verb(app);
    add_gc_verb(app);
    add_engine_verbs(app, code);
    add_predict_verb(app);
    add_select_verb(app);
    add_combine_verb(app);
    add_expert_verbs(app);
    add_merge_verb(app, code);
    add_score_verb(app);
    add_data_verbs(app, code);
    add_model_verbs(app);
    add_doctor_verb(app, code);
    add_completion_verb(app);
    set_headings(app);
    finish_command_line(app);
    if (argc == 1) {
        fmt::print("{}", overview());
        return 0;
    }
    check_verb(app, std::span{argv, static_cast<std::size_t>(argc)}.subspan(1));
    if (!ends_at_safe_points(argv[1])) end_when_stopped();
    try {
        app.parse(argc, argv);
        return static_cast<int>(code);
    } catch (CLI::ParseError const& error) {
        if (error.get_exit_code() == 0) return app.exit(error);
        throw as_input_error(app, error);
    }
}

}  // namespace
}  // namespace samner::app

int main(int argc, char** argv) {
    // Activations come and go by the megabyte: keep their memory instead of giving it back to the system each time.
    ::mallopt(M_MMAP_THRESHOLD, 1 << 30);
    ::mallopt(M_TRIM_THRESHOLD, 1 << 30);
    samner::watch_signals();
    samner::start_logging(0);
    try {
        auto const code = samner::app::run(argc, argv);
        samner::end_by_oneself();
        return code;
    } catch (std::exception const& error) {
        samner::end_by_oneself();
        fmt::print(stderr, "error: {}\n", samner::describe(error));
        return static_cast<int>(samner::exit_code(error));
    }
}
