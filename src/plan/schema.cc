#include "plan/schema.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/fields.h"
#include "core/key.h"
#include "corpus/dataset.h"
#include "merge/settings.h"
#include "plan/experiment.h"
#include "plan/operators.h"
#include "plan/run_file.h"
#include "plan/seeds.h"
#include "plan/targets.h"
#include "train/options.h"

namespace samner::plan {
namespace {

/// A scalar that is read as a text: YAML takes an unquoted 7 for a number.
Json text() {
    return {{"type", {"string", "number", "boolean"}}};
}
Json boolean() {
    return {{"type", "boolean"}};
}
Json one_of(std::vector<std::string> const& names) {
    return {{"enum", names}};
}
Json list_of(Json const& items, int least = 0) {
    Json list{{"type", "array"}, {"items", items}};
    if (least > 0) list["minItems"] = least;
    return list;
}
/// A map of names to values; one with nothing behind its colon is empty.
Json map_of(Json const& values) {
    return {{"type", {"object", "null"}}, {"additionalProperties", values}};
}
Json any_of(std::vector<Json> const& shapes) {
    return {{"anyOf", shapes}};
}
/// @param required  by this key what is of the second shape is known
Json either(Json const& first, std::string_view required, Json const& second) {
    return {{"type", {"object", "null"}}, {"if", {{"required", {required}}}}, {"then", second}, {"else", first}};
}

/// Adds the bounds of a range to the shape of a number, or of the numbers in a list or map.
void add_bounds(Json& shape, Range const& range) {
    auto const put = [&](char const* inclusive, char const* exclusive, double bound, bool excluded) {
        if (std::isinf(bound)) return;
        bool const whole = bound == std::trunc(bound);
        shape[excluded ? exclusive : inclusive] = whole ? Json(static_cast<std::int64_t>(bound)) : Json(bound);
    };
    auto const type = shape.value("type", Json{});
    if (type == "number" || type == "integer") {
        put("minimum", "exclusiveMinimum", range.least, range.above);
        put("maximum", "exclusiveMaximum", range.most, range.below);
    }
    for (auto const* const inside : {"items", "additionalProperties"})
        if (shape.contains(inside) && shape.at(inside).is_object()) add_bounds(shape[inside], range);
}

/// A shape with what is known of a key. @param usual  its default; null: not said
Json described(Json shape, Key const& key, Json usual = nullptr) {
    add_bounds(shape, key.range);
    if (key.automatic) {
        shape = any_of({shape, one_of({"auto"})});
        if (usual == 0) usual = "auto";
    }
    shape["description"] =
        key.range.words.empty() ? std::string{key.help} : fmt::format("{} Give it {}.", key.help, key.range.words);
    if (!key.required && !usual.is_structured() && !usual.is_null() && usual != "") shape["default"] = usual;
    return shape;
}

/// A map of these keys and no others.
class Keys {
public:
    void add(Key const& key, Json const& shape, Json const& usual = nullptr) {
        properties_[std::string{key.name}] = described(shape, key, usual);
        if (key.required) required_.push_back(std::string{key.name});
    }
    Json shape() const {
        auto object = map_of(false);
        object["properties"] = properties_;
        if (!required_.empty()) object["required"] = required_;
        return object;
    }

private:
    Json properties_ = Json::object();
    std::vector<std::string> required_;
};

// What is written for a value of a type: first for types with a form of their own in a file.
Json shape_of(train::TargetModules const&);
Json shape_of(train::Options const&);
Json shape_of(ExpertRecipe const&);
Json shape_of(Target const&);
Json shape_of(std::vector<work::WantedType> const&);
Json shape_of(work::TrainingPrompt const&);
Json shape_of(std::optional<prompt::Rates> const&);
Json shape_of(merge::Settings const&);
Json shape_of(std::vector<Repeat> const&);

template <class T>
Json shape_of(T const& value) {
    if constexpr (std::same_as<T, bool>) {
        return boolean();
    } else if constexpr (NamedEnum<T>) {
        return one_of(names_of_values<T>());
    } else if constexpr (std::unsigned_integral<T>) {
        return {{"type", "integer"}, {"minimum", 0}};
    } else if constexpr (std::integral<T>) {
        return {{"type", "integer"}};
    } else if constexpr (std::floating_point<T>) {
        return {{"type", "number"}};
    } else if constexpr (std::same_as<T, std::string>) {
        return text();
    } else if constexpr (detail::is_a<T, std::optional>) {
        auto names = names_of_values<typename T::value_type>();
        names.emplace_back();  // as if it were left out
        return one_of(names);
    } else if constexpr (detail::is_a<T, std::vector>) {
        return list_of(shape_of(typename T::value_type{}));
    } else if constexpr (detail::is_a<T, std::map>) {
        return map_of(shape_of(typename T::mapped_type{}));
    } else {
        static_assert(HasKeys<T>);
        Keys keys;
        T::keys(value, [&](Key const& key, auto const& member, auto&&...) { add_key(keys, key, member); });
        return keys.shape();
    }
}

template <class T>
void add_key(Keys& keys, Key const& key, T const& usual) {
    if constexpr (std::is_arithmetic_v<T> || std::same_as<T, std::string> || NamedEnum<T>) {
        keys.add(key, shape_of(usual), to_wire(usual));
    } else {
        keys.add(key, shape_of(usual));
    }
}

/// @param visit_keys  calls what it is given with each key
template <class VisitKeys>
Json shape_of_keys(VisitKeys const& visit_keys) {
    Keys keys;
    visit_keys([&](Key const& key, auto const& member, auto&&...) { add_key(keys, key, member); });
    return keys.shape();
}

Json shape_of(train::TargetModules const&) {
    Json const name{{"type", "string"}};
    return any_of({name, list_of(name, 1)});
}

Json shape_of(train::Options const& usual) {
    Keys keys;
    train::Options::fields(usual, [&](std::string_view name, auto const& value, bool = true) {
        add_key(keys, key_named(train::Options::help(), name), value);
    });
    return keys.shape();
}

Json shape_of(ExpertRecipe const& usual) {
    auto const trained = shape_of_keys([&](auto const& visit) { ExpertRecipe::keys(usual, visit); });
    auto const existing = shape_of_keys([&](auto const& visit) { ExpertRecipe::existing_keys(usual, visit); });
    return either(trained, "adapter", existing);
}

Json shape_of(Target const& usual) {
    auto const described = shape_of_keys([&](auto const& visit) { Target::keys(usual, visit); });
    auto const own = shape_of_keys([&](auto const& visit) { Target::texts_keys(usual, visit); });
    return either(described, "texts", own);
}

Json shape_of(std::vector<work::WantedType> const&) {
    Json const definition{{"type", {"string", "number", "boolean"}}};
    auto defined = map_of(definition);
    defined.update({{"type", "object"}, {"minProperties", 1}, {"maxProperties", 1}});
    auto all = map_of(definition);
    all.update({{"type", "object"}, {"minProperties", 1}});
    return any_of({list_of(any_of({{{"type", "string"}}, defined, list_of({{"type", "string"}}, 2)}), 1), all});
}

Json shape_of(work::TrainingPrompt const& usual) {
    return shape_of_keys([&](auto const& visit) { prompt_keys(usual, visit); });
}

Json shape_of(std::optional<prompt::Rates> const&) {
    Keys keys;
    auto const usual = prompt::Rates{}.to_json();
    for (auto const& key : prompt::Rates::help()) {
        auto const& value = usual.at(std::string{key.name});
        Json const number{{"type", "number"}};
        keys.add(key,
                 value.is_number()   ? number
                 : value.is_string() ? one_of({"all", "defined"})
                 : value.is_array()  ? list_of({{"type", "integer"}}, 2)
                                     : map_of(number),
                 value);
    }
    auto rates = keys.shape();
    rates["type"] = "object";
    return any_of({one_of({"none", "paper"}), rates});
}

Json shape_of(merge::Settings const& usual) {
    Keys keys;
    merge::for_each_setting([&](auto const& setting) {
        std::string help{setting.help};
        help.front() = static_cast<char>(std::toupper(static_cast<unsigned char>(help.front())));
        help += '.';
        add_key(keys, {.name = setting.name, .help = help, .range = setting.range}, usual.*setting.member);
    });
    return keys.shape();
}

Json shape_of(std::vector<Repeat> const&) {
    auto const seed = shape_of(std::uint64_t{});
    Keys keys;
    for (auto const& key : Seeds::help()) keys.add(key, any_of({seed, list_of(seed)}));
    auto map = keys.shape();
    map["type"] = "object";
    return any_of({seed, map, list_of(any_of({seed, map}), 1)});
}

// An experiment.

/// An expression, with the examples of the operators that may be its last.
Json expression(bool row) {
    std::vector<std::string> names;
    std::vector<std::string> examples;
    for (auto const& [name, op] : operators()) {
        if (row && op.result != Type::model && op.result != Type::predictions) continue;
        names.push_back(name);
        examples.push_back(op.example);
    }
    auto shape = text();
    shape["description"] = fmt::format(
        "{}: {}.",
        row ? "A model or predictions: a name of `let`, or an operator" : "An expression or function; operators",
        fmt::join(names, ", "));
    shape["examples"] = examples;
    return shape;
}

Json shape_of_targets() {
    auto const names = list_of(text(), 1);
    std::vector<Json> shapes{names};
    for (auto const& kind : names_of_values<Targets::Kind>()) {
        auto inside = names;
        if (kind == name_of_value(Targets::Kind::one_sentence)) {
            Json const trials{{"type", "integer"}, {"minimum", 1}, {"maximum", Targets::most_trials}};
            inside = any_of({names,
                             {{"type", "object"},
                              {"properties", {{"of", names}, {"trials", trials}}},
                              {"required", {"of"}},
                              {"additionalProperties", false}}});
        }
        shapes.push_back({{"type", "object"},
                          {"properties", {{kind, inside}}},
                          {"required", {kind}},
                          {"additionalProperties", false}});
    }
    return any_of(shapes);
}

Json shape_of_paper() {
    Json const number{{"type", "integer"}, {"minimum", 1}};
    return {{"type", "object"},
            {"properties", {{"table", number}, {"figure", number}, {"values", text()}}},
            {"required", {"values"}},
            {"oneOf", {{{"required", {"table"}}}, {{"required", {"figure"}}}}},
            {"additionalProperties", false}};
}

/// What is written for a key of an experiment file.
Json shape_of_experiment_key(std::string_view name) {
    if (name == "experiment" || name == "title" || name == "exclude") return text();
    if (name == "experiments") return list_of(text(), 1);
    if (name == "include" || name == "published") return list_of(text());
    if (name == "let") return map_of(expression(false));
    if (name == "targets") return shape_of_targets();
    if (name == "for") return map_of(list_of(text(), 1));
    if (name == "rows") return map_of(expression(true));
    if (name == "average") return one_of({"mean", "none"});
    if (name == "paper") return shape_of_paper();
    if (name == "shows")
        return {{"type", "object"},
                {"properties", {{"data", text()}}},
                {"required", {"data"}},
                {"additionalProperties", false}};
    throw Error{fmt::format("no shape of the key '{}' of experiments", name)};
}

/// One of four: a table, what data is shown, a list of files, or what such files include.
Json experiment_schema() {
    Keys keys;
    for (auto key : experiment_keys()) {
        key.required = false;  // not of each of them
        keys.add(key, shape_of_experiment_key(key.name));
    }
    auto const without = [](std::vector<std::string> const& names) {
        auto none = Json::object();
        for (auto const& name : names) none[name] = false;
        return none;
    };
    std::vector<std::string> required;
    for (auto const& key : experiment_keys())
        if (key.required) required.emplace_back(key.name);
    auto schema = keys.shape();
    schema["type"] = "object";
    schema["anyOf"] = {{{"required", required}, {"properties", without({"shows", "experiments"})}},
                       {{"required", {"experiment", "shows"}},
                        {"properties", without({"targets", "rows", "for", "exclude", "published", "experiments"})}},
                       {{"required", {"experiments"}}, {"maxProperties", 1}},
                       {{"propertyNames", one_of({"include", "let"})}}};
    return schema;
}

// A description of a data set.

/// What is written for a key of a part of a description.
Json shape_of_description_key(std::string_view part, std::string_view name);

Json shape_of_part(std::string_view part, std::vector<std::string_view> const& also = {}) {
    Keys keys;
    for (auto const& one : also)
        for (auto const& key : corpus::description_keys(one)) keys.add(key, shape_of_description_key(one, key.name));
    for (auto const& key : corpus::description_keys(part)) keys.add(key, shape_of_description_key(part, key.name));
    auto shape = keys.shape();
    shape["type"] = "object";
    return shape;
}

/// Each format has keys of its own; without one it is the first.
Json shape_of_reader() {
    auto cases = Json::array();
    auto const formats = corpus::description_words("format");
    for (auto const& format : formats) {
        Json condition{{"properties", {{"format", one_of({format})}}}};
        if (format != formats.front()) condition["required"] = {"format"};
        cases.push_back({{"if", condition}, {"then", shape_of_part("reader." + format, {"reader"})}});
    }
    return {{"type", "object"}, {"properties", {{"format", one_of(formats)}}}, {"allOf", cases}};
}

Json shape_of_description_key(std::string_view part, std::string_view name) {
    if (auto const words = corpus::description_words(name); !words.empty()) return one_of(words);
    if (name == "user_supplied" || name == "header") return boolean();
    if (name == "substitutes" || name == "not_scored" || name == "sentence_ends") return list_of(text());
    if (name == "tags") return any_of({map_of(text()), list_of(text())});
    if (name == "reader") return shape_of_reader();
    if (name == "types") return list_of(shape_of_part("type"), 1);
    if (name == "splits") {
        auto splits = map_of(list_of(either(shape_of_part("file"), "folder", shape_of_part("folder")), 1));
        splits.update({{"type", "object"}, {"minProperties", 1}});
        return splits;
    }
    bool const column = part == "reader.conll" && (name == "token" || name == "tag");
    return column ? Json{{"type", "integer"}} : text();
}

}  // namespace

std::map<std::string, Json> schemas() {
    auto const made = [](Json schema, std::string_view title) {
        schema["$schema"] = "http://json-schema.org/draft-07/schema#";
        schema["title"] = title;
        schema["type"] = "object";
        return schema;
    };
    return {
        {"run.schema.json", made(shape_of(RunFile{}), "A run file of samner: with which models, data and sizes")},
        {"experiment.schema.json", made(experiment_schema(), "An experiment of samner: what is compared, and on what")},
        {"dataset.schema.json", made(shape_of_part(""), "A description of a data set for samner")}};
}

std::string schema_text(Json const& schema) {
    return schema.dump(2) + "\n";
}

}  // namespace samner::plan
