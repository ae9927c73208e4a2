#include "merge/settings.h"

#include <fmt/format.h>

#include <vector>

#include "core/error.h"

namespace samner::merge {
namespace {

template <class T>
Json written(T const& value) {
    return to_wire(value);
}

template <class T>
Json written(std::optional<T> const& value) {
    return value ? to_wire(*value) : Json("");
}

/// @param name  of the setting
template <class T>
void read(Json const& json, std::string const& name, std::string_view place, T& value) {
    value = from_wire<T>(json, name, place);
}

template <class T>
void read(Json const& json, std::string const& name, std::string_view place, std::optional<T>& value) {
    if (json == "") {
        value.reset();
    } else {
        read(json, name, place, value.emplace());
    }
}

}  // namespace

bool is_breadcrumbs(Method method) {
    auto const plain = operator_of(method);
    return plain == Method::breadcrumbs || plain == Method::breadcrumbs_ties;
}

bool is_della(Method method) {
    auto const plain = operator_of(method);
    return plain == Method::della || plain == Method::della_linear;
}

bool is_random(Method method) {
    auto const plain = operator_of(method);
    return is_della(method) || plain == Method::dare_linear || plain == Method::dare_ties;
}

Json Settings::to_json() const {
    auto json = Json::object();
    for_each_setting([&](auto const& setting) { json[std::string{setting.name}] = written(this->*setting.member); });
    return json;
}

void Settings::set(std::string_view name, Json const& value, std::string_view place) {
    std::vector<std::string> known;
    bool found = false;
    for_each_setting([&](auto const& setting) {
        known.emplace_back(setting.name);
        if (setting.name != name) return;
        found = true;
        read(value, std::string{name}, place, this->*setting.member);
    });
    if (!found) refuse_name(name, known, "a merge setting", place);
}

Settings Settings::from_json(Json const& object, std::string_view place) {
    if (!object.is_object()) throw InputError{fmt::format("merge is no map ({})", place), "write name: value"};
    Settings settings;
    for (auto const& [name, value] : object.items()) settings.set(name, value, place);
    return settings;
}

Json MethodSettings::key() const {
    Json key{{"method", written(method)}, {"seed", seed}};
    Settings const usual;
    for_each_setting([&](auto const& setting) {
        auto const& value = given.*setting.member;
        if (setting.used_by(method) && (setting.always || value != usual.*setting.member))
            key[std::string{setting.name}] = written(value);
    });
    return key;
}

MergeOptions MethodSettings::options() const {
    MergeOptions options;
    options.method = method;
    options.seed = seed;
    options = follow(given.follow, options);
    for_each_setting([&]<class T, class Option>(Setting<T, Option> const& setting) {
        auto const& value = given.*setting.member;
        if constexpr (std::same_as<Option, std::nullptr_t>) {
            // follow: above; space: of who merges
        } else if constexpr (requires { options.*setting.option = *value; }) {
            if (value) options.*setting.option = *value;
        } else {
            options.*setting.option = value;
        }
    });
    validate(options);
    return options;
}

bool keeps_single_adapter(MergeOptions const& options) {
    return options.lambda == 1 && !options.operate_on_single && options.rank == 0;
}

MethodSettings of_method(Settings const& given, Method method, std::uint64_t seed) {
    return {method, is_random(method) ? seed : 0, given};
}

}  // namespace samner::merge
