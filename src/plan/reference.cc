#include "plan/reference.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <concepts>
#include <utility>
#include <vector>

#include "core/key.h"
#include "merge/method.h"
#include "plan/experiment.h"
#include "plan/operators.h"
#include "plan/run_file.h"

namespace samner::plan {
namespace {

constexpr std::size_t line_length = 100;

/// Whether Markdown takes a word at the beginning of a line for the mark of a list or heading.
bool is_mark(std::string_view word) {
    if (word == "-" || word == "+" || word == "*" || word.starts_with('#')) return true;
    auto const digits = word.find_first_not_of("0123456789");
    return digits > 0 && digits != std::string_view::npos && (word.substr(digits) == "." || word.substr(digits) == ")");
}

/// What may stand at the beginning of a line: words, but what stands in backticks is one.
std::vector<std::string> pieces_of(std::string_view text) {
    std::vector<std::string> words{""};
    bool code = false;
    for (char const c : text) {
        if (c == '`') code = !code;
        if (c == ' ' && !code) {
            words.emplace_back();
        } else {
            words.back() += c;
        }
    }
    std::vector<std::string> pieces;
    for (auto& word : words) {
        if (!pieces.empty() && is_mark(word)) {
            pieces.back() += " " + word;
        } else {
            pieces.push_back(std::move(word));
        }
    }
    return pieces;
}

std::size_t columns(std::string_view text) {
    return static_cast<std::size_t>(
        std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

/// @param first  what the first line begins with; the others are indented as far
std::string wrapped(std::string_view text, std::string const& first = {}) {
    std::string result;
    std::string line = first;
    bool fresh = true;
    for (auto const& piece : pieces_of(text)) {
        if (!fresh && columns(line) + 1 + columns(piece) > line_length) {
            result += line + "\n";
            line = std::string(first.size(), ' ');
            fresh = true;
        }
        line += (fresh ? "" : " ") + piece;
        fresh = false;
    }
    return result + line + "\n";
}

std::string code(std::string_view text) {
    return fmt::format("`{}`", text);
}

std::string one_of(std::vector<std::string> const& names) {
    std::vector<std::string> quoted;
    for (auto const& name : names) quoted.push_back(code(name));
    return fmt::format("{} {}", names.size() == 1 ? "only" : "one of", fmt::join(quoted, ", "));
}

/// A phrase of a table for the command line as a sentence.
std::string sentence(std::string_view phrase) {
    std::string text{phrase};
    text.front() = static_cast<char>(std::toupper(static_cast<unsigned char>(text.front())));
    return text + ".";
}

/// What a key's value is, and what it is when nothing is given.
struct Value {
    std::string type;
    std::string usual = {};  ///< Markdown; empty: not said
};

std::string usual_of(Json const& value) {
    if (!value.is_string()) return code(to_text(value));
    return value.get<std::string>().empty() ? "empty" : code(value.get<std::string>());
}

template <class T>
constexpr std::string_view type_text = "map";
template <>
constexpr std::string_view type_text<bool> = "true or false";
template <std::integral T>
constexpr std::string_view type_text<T> = "whole number";
template <std::floating_point T>
constexpr std::string_view type_text<T> = "number";
template <>
constexpr std::string_view type_text<std::string> = "text";
template <class T>
constexpr std::string_view type_text<std::vector<T>> = "list";
template <>
constexpr std::string_view type_text<std::vector<std::string>> = "list of texts";
template <>
constexpr std::string_view type_text<train::TargetModules> = "list of names, or text";

template <class T>
Value value_of(T const& value) {
    return {std::string{type_text<T>}, usual_of(to_wire(value))};
}
template <NamedEnum T>
Value value_of(T const& value) {
    return {one_of(names_of_values<T>()), usual_of(to_wire(value))};
}
/// A setting that `merge.follow` decides on where it is not given.
template <NamedEnum T>
Value value_of(std::optional<T> const&) {
    return {value_of(T{}).type, "as `merge.follow` has it"};
}
template <HasKeys T>
Value value_of(T const&) {
    return {"map"};
}
template <class T>
Value value_of(std::map<std::string, T> const& entries) {
    if constexpr (std::is_arithmetic_v<T>) return {"map", usual_of(to_wire(entries))};
    return {"map of names to maps"};
}
Value value_of(train::Options const&) {
    return {"map"};
}
Value value_of(work::TrainingPrompt const&) {
    return {"map"};
}
Value value_of(merge::Settings const&) {
    return {"map"};
}
Value value_of(std::optional<prompt::Rates> const&) {
    return {"text or map", "`none`"};
}
Value value_of(std::vector<Repeat> const&) {
    return {"list or map", "`[0]`"};
}
Value value_of(Json const& value) {
    return {value.is_number()   ? "number"
            : value.is_string() ? "text"
            : value.is_array()  ? "list"
                                : "map",
            usual_of(value)};
}

/// The line of a key.
/// @param prefix  of its name, as `infer.`
std::string item(std::string const& prefix, Key const& key, Value const& value) {
    auto text = fmt::format("{}: {}", code(prefix + std::string{key.name}), value.type);
    if (!key.range.words.empty()) text += fmt::format(", {}", key.range.words);
    if (key.required) {
        text += "; required";
    } else if (!value.usual.empty()) {
        text += fmt::format("; default {}", value.usual);
    }
    return wrapped(fmt::format("{}. {}", text, key.help), "- ");
}

/// A visitor of keys that writes the line of each.
auto into(std::string& text, std::string const& prefix) {
    return
        [&text, prefix](Key const& key, auto const& value, auto&&...) { text += item(prefix, key, value_of(value)); };
}

template <class T>
std::string keys_of(std::string const& prefix) {
    std::string text;
    T const usual{};
    T::keys(usual, into(text, prefix));
    return text;
}

/// The lines of a struct's fields, with its table of help.
template <class T>
std::string fields_of(std::string const& prefix) {
    std::string text;
    T const usual{};
    T::fields(usual, [&](std::string_view name, auto const& value, bool = true) {
        text += item(prefix, key_named(T::help(), name), value_of(value));
    });
    return text;
}

std::string experiment_file() {
    std::string text;
    for (auto const& key : experiment_keys()) {
        auto const range = key.range.words.empty() ? "" : fmt::format(" ({})", key.range.words);
        text +=
            wrapped(fmt::format("{}{}{}: {}", code(key.name), key.required ? ", required" : "", range, key.help), "- ");
    }
    return text;
}

std::string experts() {
    std::string text = "Of an expert that is trained:\n\n" + keys_of<ExpertRecipe>("experts.X.");
    text += "\nOf an expert that exists:\n\n";
    ExpertRecipe const usual;
    ExpertRecipe::existing_keys(usual, into(text, "experts.X."));
    return text;
}

std::string targets() {
    std::string text = "Of a target that is a data set:\n\n" + keys_of<Target>("targets.X.");
    text += "\nOf texts of one's own:\n\n";
    Target const usual;
    Target::texts_keys(usual, into(text, "targets.X."));
    return text;
}

std::string prompts() {
    std::string text;
    work::TrainingPrompt const usual;
    prompt_keys(usual, into(text, "prompt."));
    return text;
}

std::string prompt_parts() {
    std::string text;
    auto const usual = prompt::Rates{}.to_json();
    for (auto const& key : prompt::Rates::help())
        text += item("prompt.parts.", key, value_of(usual.at(std::string{key.name})));
    return text;
}

/// The methods that look at a setting; empty: all.
template <class Setting>
std::string methods_of(Setting const& setting) {
    std::vector<std::string> names;
    for (auto const& name : merge::method_names())
        if (setting.used_by(merge::parse_method(name))) names.push_back(code(name));
    if (names.size() == merge::method_names().size()) return {};
    return fmt::format(" Counts for {}.", fmt::join(names, ", "));
}

std::string merge_settings() {
    std::string text;
    merge::Settings const usual;
    merge::for_each_setting([&](auto const& setting) {
        auto const help = sentence(setting.help) + methods_of(setting);
        text += item("merge.", {.name = setting.name, .help = help}, value_of(usual.*setting.member));
    });
    return text;
}

std::string merge_methods() {
    std::string text;
    std::vector<std::string> truncated;
    for (auto const& name : merge::method_names()) {
        auto const method = merge::parse_method(name);
        if (merge::is_svd(method)) {
            truncated.push_back(code(name));
        } else {
            text += wrapped(fmt::format("{}: {}", code(name), merge::help_of(method)), "- ");
        }
    }
    return text + wrapped(fmt::format("{}: the same on the products of an adapter's factors, truncated back to a rank "
                                      "(`svd` is that of `linear`).",
                                      fmt::join(truncated, ", ")),
                          "- ");
}

std::string parameter(Operator const& op, Parameter const& parameter) {
    std::vector<std::string> types;
    for (auto const type : parameter.types) {
        bool const chosen = type == Type::name && !parameter.choices.empty();
        types.push_back(chosen ? one_of(parameter.choices) : std::string{type_name(type)});
    }
    auto text = fmt::format("{}: {}", code(parameter.name), fmt::join(types, ", or "));
    if (op.repeats > 0)
        text += fmt::format("; given {} or more", op.repeats == 1 ? "once" : std::to_string(op.repeats));
    if (!parameter.fallback.empty()) text += fmt::format("; default {}", code(parameter.fallback));
    if (parameter.optional) text += "; may be left out";
    return wrapped(text + "." + (parameter.help.empty() ? "" : " ") + parameter.help, "- ");
}

std::string one_operator(std::string const& name, Operator const& op) {
    auto text = fmt::format("#### {}\n\n    {}\n\n{}", name, op.example, wrapped(op.help));
    if (std::holds_alternative<NotThereYet>(op.plan))
        text += "\nNot there yet: it is checked, and refused when a run is planned.\n";
    if (!op.parameters.empty()) text += "\n";
    for (auto const& entry : op.parameters) text += parameter(op, entry);
    return text;
}

std::string all_operators() {
    std::string text;
    for (auto const type : {Type::pool, Type::set, Type::model, Type::predictions, Type::runs}) {
        text += fmt::format("{}### Result: {}\n", text.empty() ? "" : "\n", type_name(type));
        for (auto const& [name, op] : operators())
            if (op.result == type) text += "\n" + one_operator(name, op);
    }
    return text;
}

}  // namespace

std::map<std::string, std::string> reference_sections() {
    return {
        {"experiment file", experiment_file()},
        {"operators", all_operators()},
        {"run file", keys_of<RunFile>("")},
        {"experts", experts()},
        {"targets", targets()},
        {"train", fields_of<train::Options>("train.")},
        {"prompt", prompts()},
        {"prompt parts", prompt_parts()},
        {"infer", keys_of<RunFile::Infer>("infer.")},
        {"merge", merge_settings()},
        {"merge methods", merge_methods()},
        {"seeds", fields_of<Seeds>("seeds.")},
    };
}

std::string with_reference(std::string_view page) {
    constexpr std::string_view begin = "<!-- generated: ";
    constexpr std::string_view close = " -->\n";
    constexpr std::string_view end = "<!-- end -->";
    auto sections = reference_sections();
    std::string result;
    for (auto at = page.find(begin); at != std::string_view::npos; at = page.find(begin)) {
        auto const name_at = at + begin.size();
        auto const name_end = page.find(close, name_at);
        auto const end_at = page.find(end, at);
        auto const name = std::string{page.substr(name_at, name_end - name_at)};
        auto const found = sections.find(name);
        if (found == sections.end())
            throw InputError{fmt::format("the page has the section '{}' twice, or nothing generates it", name)};
        if (end_at == std::string_view::npos)
            throw InputError{fmt::format("the section '{}' does not end", name),
                             fmt::format("write {} behind it", end)};
        result += fmt::format("{}\n{}\n", page.substr(0, name_end + close.size()), found->second);
        sections.erase(found);
        page.remove_prefix(end_at);
    }
    if (!sections.empty()) {
        auto const& name = sections.begin()->first;
        throw InputError{fmt::format("the page has no section '{}'", name),
                         fmt::format("write {}{}{}{} where it is to stand", begin, name, " --> ", end)};
    }
    return result + std::string{page};
}

}  // namespace samner::plan
