#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "app/command_line.h"
#include "app/verbs.h"
#include "core/error.h"

namespace samner::app {
namespace {

/// A verb, and the names that lead to it: `run`, `data stats`.
struct Verb {
    std::string path;
    CLI::App const* app;
};

/// Those that have no verbs below them.
void collect(CLI::App const& app, std::string const& path, std::vector<Verb>& verbs) {
    auto const below = app.get_subcommands({});
    if (below.empty()) verbs.push_back({path, &app});
    for (auto const* verb : below)
        collect(*verb, path.empty() ? verb->get_name() : path + " " + verb->get_name(), verbs);
}

std::vector<Verb> verbs_of(CLI::App const& app) {
    std::vector<Verb> verbs;
    collect(app, "", verbs);
    return verbs;
}

std::vector<std::string> names_of(CLI::App const& app) {
    std::vector<std::string> names;
    for (auto const* verb : app.get_subcommands({})) names.push_back(verb->get_name());
    return names;
}

/// -v, --verbose
std::vector<std::string> spellings(CLI::Option const& option) {
    std::vector<std::string> names;
    for (auto const& name : option.get_snames()) names.push_back("-" + name);
    for (auto const& name : option.get_lnames()) names.push_back("--" + name);
    return names;
}

bool takes_value(CLI::Option const& option) {
    return option.get_type_size() != 0;
}

bool completes_files(ValueKind kind) {
    return kind == ValueKind::file || kind == ValueKind::path;
}

// ---------------------------------------------------------------------------------------------------------------- bash

std::string bash(CLI::App const& app) {
    std::string options;
    std::string below;
    std::map<std::string, std::string> values;  // what completes the value of an option
    for (auto const& [path, verb] : verbs_of(app)) {
        std::vector<std::string> names;
        for (auto const* option : verb->get_options()) {
            auto const& word = word_of(*option);
            auto const complete = word.kind == ValueKind::choice
                                      ? fmt::format("compgen -W '{}' -- \"$current\"", fmt::join(word.choices(), " "))
                                  : word.kind == ValueKind::folder ? "compgen -d -- \"$current\""
                                  : completes_files(word.kind)     ? "compgen -f -- \"$current\""
                                                                   : ":";
            if (option->get_positional()) {
                if (word.kind == ValueKind::choice) values[path] = complete;
                continue;
            }
            for (auto const& name : spellings(*option)) {
                names.push_back(name);
                if (takes_value(*option)) values[name] = complete;
            }
        }
        options += fmt::format("        '{}') options='{}' ;;\n", path, fmt::join(names, " "));
    }
    for (auto const* verb : app.get_subcommands({}))
        if (auto const names = names_of(*verb); !names.empty())
            below += fmt::format("        '{}') verbs='{}' ;;\n", verb->get_name(), fmt::join(names, " "));
    std::string cases;
    for (auto const& [name, complete] : values)
        if (name.starts_with('-'))
            cases += fmt::format("            {}) COMPREPLY=($({})); return ;;\n", name, complete);
    std::string positionals;
    for (auto const& [name, complete] : values)
        if (!name.starts_with('-')) positionals += fmt::format("        '{}') COMPREPLY=($({})) ;;\n", name, complete);
    return fmt::format(R"(# bash completion of samner: source this file, or put it where bash-completion looks for it.
_samner() {{
    local current=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD-1]}}
    local verbs='{}' path='' options='' i
    for ((i = 1; i < COMP_CWORD; ++i)); do
        case " $verbs " in *" ${{COMP_WORDS[i]}} "*) ;; *) break ;; esac
        path="${{path:+$path }}${{COMP_WORDS[i]}}"
        verbs=''
        case "$path" in
{}        esac
    done
    if [[ -n $verbs ]]; then
        COMPREPLY=($(compgen -W "$verbs --help --version" -- "$current"))
        return
    fi
    case "$path" in
{}    esac
    if [[ " $options " == *" $previous "* ]]; then
        case "$previous" in
{}        esac
    fi
    if [[ $current == -* ]]; then
        COMPREPLY=($(compgen -W "$options" -- "$current"))
        return
    fi
    case "$path" in
{}        *) COMPREPLY=($(compgen -f -- "$current")) ;;
    esac
}}
complete -o filenames -F _samner samner
)",
                       fmt::join(names_of(app), " "), below, options, cases, positionals);
}

// ----------------------------------------------------------------------------------------------------------------- zsh

/// Text inside of '…' of a specification of _arguments.
std::string zsh_text(std::string_view text) {
    std::string result;
    for (char const c : text) {
        if (c == '\'')
            result += "'\\''";
        else if (c == '[' || c == ']' || c == ':' || c == '\\')
            result += std::string{"\\"} + c;
        else
            result += c;
    }
    return result;
}

std::string zsh_values(Word const& word) {
    switch (word.kind) {
        case ValueKind::choice:
            return fmt::format("({})", fmt::join(word.choices(), " "));
        case ValueKind::folder:
            return "_files -/";
        case ValueKind::file:
        case ValueKind::path:
            return "_files";
        case ValueKind::text:
            break;
    }
    return " ";
}

std::string zsh_function(std::string const& path) {
    auto name = "_samner_" + path;
    std::ranges::replace(name, ' ', '_');
    return name;
}

/// A function that chooses among the verbs of `app`.
std::string zsh_chooser(CLI::App const& app, std::string const& path) {
    std::string list;
    std::string cases;
    for (auto const* verb : app.get_subcommands({})) {
        list += fmt::format("        '{}:{}'\n", verb->get_name(), zsh_text(verb->get_description()));
        cases += fmt::format("        {}) {} ;;\n", verb->get_name(),
                             zsh_function(path.empty() ? verb->get_name() : path + " " + verb->get_name()));
    }
    return fmt::format(R"({}() {{
    local -a verbs=(
{}    )
    if (( CURRENT == 2 )); then
        _describe verb verbs
        return
    fi
    shift words
    (( CURRENT-- ))
    case $words[1] in
{}    esac
}}
)",
                       path.empty() ? "_samner" : zsh_function(path), list, cases);
}

std::string zsh(CLI::App const& app) {
    std::string text =
        "#compdef samner\n# zsh completion of samner: put this file as _samner into a folder of $fpath.\n";
    for (auto const& [path, verb] : verbs_of(app)) {
        text += fmt::format("{}() {{\n    _arguments \\\n", zsh_function(path));
        for (auto const* option : verb->get_options()) {
            auto const& word = word_of(*option);
            auto const value = fmt::format(":{}:{}", zsh_text(word.value), zsh_values(word));
            if (option->get_positional()) {
                bool const list = option->get_expected_max() == CLI::detail::expected_max_vector_size;
                text += fmt::format("        '{}{}' \\\n", list ? "*" : "", value);
                continue;
            }
            for (auto const& name : spellings(*option))
                text += fmt::format("        '*{}[{}]{}' \\\n", name, zsh_text(option->get_description()),
                                    takes_value(*option) ? value : "");
        }
        text.resize(text.size() - 3);
        text += "\n}\n";
    }
    for (auto const* verb : app.get_subcommands({}))
        if (!verb->get_subcommands({}).empty()) text += zsh_chooser(*verb, verb->get_name());
    text += zsh_chooser(app, "");
    return text + "compdef _samner samner\n";
}

// ---------------------------------------------------------------------------------------------------------------- fish

std::string fish_text(std::string_view text) {
    std::string result;
    for (char const c : text) {
        if (c == '\'' || c == '\\') result += '\\';
        result += c;
    }
    return result;
}

std::string fish_values(Word const& word) {
    switch (word.kind) {
        case ValueKind::choice:
            return fmt::format(" -x -a '{}'", fmt::join(word.choices(), " "));
        case ValueKind::folder:
            return " -x -a '(__fish_complete_directories)'";
        case ValueKind::file:
        case ValueKind::path:
            return " -r -F";
        case ValueKind::text:
            break;
    }
    return " -x";
}

/// Where a verb is to be completed: all words of its path have been given.
std::string fish_condition(std::string const& path) {
    std::string condition;
    for (std::size_t begin = 0; begin < path.size();) {
        auto const end = std::min(path.find(' ', begin), path.size());
        condition += fmt::format("{}__fish_seen_subcommand_from {}", condition.empty() ? "" : "; and ",
                                 path.substr(begin, end - begin));
        begin = end + 1;
    }
    return condition;
}

std::string fish(CLI::App const& app) {
    std::string text = "# fish completion of samner: put this file as samner.fish into ~/.config/fish/completions.\n";
    for (auto const* verb : app.get_subcommands({}))
        text += fmt::format("complete -c samner -n __fish_use_subcommand -f -a {} -d '{}'\n", verb->get_name(),
                            fish_text(verb->get_description()));
    for (auto const* verb : app.get_subcommands({})) {
        auto const names = names_of(*verb);
        for (auto const* below : verb->get_subcommands({}))
            text += fmt::format(
                "complete -c samner -n '__fish_seen_subcommand_from {}; and not __fish_seen_subcommand_from {}' "
                "-f -a {} -d '{}'\n",
                verb->get_name(), fmt::join(names, " "), below->get_name(), fish_text(below->get_description()));
    }
    for (auto const& [path, verb] : verbs_of(app)) {
        for (auto const* option : verb->get_options()) {
            auto const& word = word_of(*option);
            if (option->get_positional()) {
                if (word.kind == ValueKind::choice)
                    text += fmt::format("complete -c samner -n '{}'{}\n", fish_condition(path), fish_values(word));
                continue;
            }
            text += fmt::format("complete -c samner -n '{}'", fish_condition(path));
            for (auto const& name : option->get_snames()) text += " -s " + name;
            for (auto const& name : option->get_lnames()) text += " -l " + name;
            text += fmt::format("{} -d '{}'\n", takes_value(*option) ? fish_values(word) : "",
                                fish_text(option->get_description()));
        }
    }
    return text;
}

}  // namespace

void add_completion_verb(CLI::App& app) {
    auto shell = std::make_shared<std::string>();
    auto* const verb = app.add_subcommand("completion", "Print what completes samner's words in bash, zsh or fish");
    verb->add_option("SHELL", *shell, "bash, zsh or fish")->required();
    add_examples(*verb, "samner completion bash > samner.bash\nsamner completion zsh > _samner");
    verb->callback([shell, &app] {
        if (*shell != "bash" && *shell != "zsh" && *shell != "fish")
            throw InputError{fmt::format("there is no completion for '{}' (command line)", *shell),
                             "name bash, zsh or fish"};
        fmt::print("{}", *shell == "bash" ? bash(app) : *shell == "zsh" ? zsh(app) : fish(app));
    });
}

}  // namespace samner::app
