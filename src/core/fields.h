#pragma once

#include <fmt/format.h>

#include <concepts>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "core/error.h"
#include "core/json.h"
#include "core/kind.h"

namespace samner {

/// A struct names its fields once, and everything that has to go through all of them reads that list:
///
///     struct Sample {
///         std::int64_t k = 10;
///         std::string note;
///         template <class Self, class Visit>
///         static void fields(Self& self, Visit&& visit) {
///             visit("k", self.k);
///             visit("note", self.note, no_influence);
///         }
///     };
///
/// The third argument says whether the field is part of the identity (key_of). It may be a condition on other fields:
/// `visit("between", self.between, self.samples == 0)`.
///
/// Fields are numbers, texts, booleans, enums with a list of names (enum_names), structs with fields, and optionals,
/// vectors, maps and variants of these. A variant's alternatives are structs with a `static constexpr std::string_view
/// kind`, by which they are told apart.
constexpr bool no_influence = false;

/// Names of an enum's values, found by the enum's namespace: `constexpr auto enum_names(Sign const*)` returns an array
/// of pairs {name, value}.
template <class T>
concept NamedEnum = std::is_enum_v<T> && requires(T const* type) {
    enum_names(type);
};

template <NamedEnum T>
std::string_view name_of_value(T value) {
    static constexpr auto names = enum_names(static_cast<T const*>(nullptr));
    for (auto const& [name, known] : names)
        if (known == value) return name;
    throw Error{"a value without a name"};
}

/// All names of an enum's values, in their order.
template <NamedEnum T>
std::vector<std::string> names_of_values() {
    static constexpr auto names = enum_names(static_cast<T const*>(nullptr));
    std::vector<std::string> all;
    for (auto const& [name, value] : names) all.emplace_back(name);
    return all;
}

/// @throws InputError with the known names
template <NamedEnum T>
T value_named(std::string_view name, std::string_view what, std::string_view place) {
    static constexpr auto names = enum_names(static_cast<T const*>(nullptr));
    for (auto const& [text, value] : names)
        if (text == name) return value;
    refuse_name(name, names_of_values<T>(), what, place);
}

namespace detail {

template <class T>
struct FieldsProbe {
    void operator()(std::string_view, auto&, bool = true) {}
};

template <class T>
concept HasFields = requires(T& value) {
    T::fields(value, FieldsProbe<T>{});
};

template <class T>
concept HasOwnKey = requires(T const& value) {
    { value.key() } -> std::same_as<Json>;
};

/// A type that is written in a form of its own, in which it is read, too: `static T from_json(Json const&,
/// std::string_view place)` may also give an optional.
template <class T>
concept HasOwnJson = requires(T const& value) {
    { value.to_json() } -> std::same_as<Json>;
};

template <class T, template <class...> class Template>
constexpr bool is_a = false;
template <template <class...> class Template, class... Arguments>
constexpr bool is_a<Template<Arguments...>, Template> = true;

template <class T>
Json write(T const& value, bool whole);

template <class T>
Json write_fields(T const& value, bool whole) {
    auto object = Json::object();
    T::fields(value, [&](std::string const& name, auto const& field, bool influence = true) {
        if (whole || influence) object[name] = write(field, whole);
    });
    return object;
}

/// @param whole  all fields, or those of influence
template <class T>
Json write(T const& value, bool whole) {
    if constexpr (HasOwnKey<T>) {
        if (!whole) return value.key();
    }
    if constexpr (HasOwnJson<T>) {
        return value.to_json();
    } else if constexpr (is_a<T, std::optional>) {
        return value ? write(*value, whole) : Json{};
    } else if constexpr (is_a<T, std::vector>) {
        auto list = Json::array();
        for (auto const& item : value) list.push_back(write(item, whole));
        return list;
    } else if constexpr (is_a<T, std::map>) {
        auto object = Json::object();
        for (auto const& [key, item] : value) object[key] = write(item, whole);
        return object;
    } else if constexpr (is_a<T, std::variant>) {
        return std::visit(
            [&]<class Alternative>(Alternative const& alternative) {
                auto json = write(alternative, whole);
                if (json.is_object()) json["kind"] = Alternative::kind;  // an own key() may be of another shape
                return json;
            },
            value);
    } else if constexpr (HasFields<T>) {
        return write_fields(value, whole);
    } else if constexpr (NamedEnum<T>) {
        return Json(name_of_value(value));
    } else {
        return Json(value);
    }
}

template <class T>
void read(Json const& json, T& value, std::string const& what, std::string_view place);

template <class... Alternatives>
void read_variant(Json const& json, std::variant<Alternatives...>& value, std::string const& what,
                  std::string_view place) {
    auto const kind = member<std::string>(json, "kind", place);
    auto rest = json;
    rest.erase("kind");
    bool known = false;
    auto const attempt = [&]<class Alternative>(Alternative alternative) {
        if (Alternative::kind != kind) return;
        known = true;
        read(rest, alternative, what, place);
        value = std::move(alternative);
    };
    (attempt(Alternatives{}), ...);
    if (!known) throw InputError{fmt::format("{} is of the unknown kind '{}' ({})", what, kind, place)};
}

template <class T>
void read(Json const& json, T& value, std::string const& what, std::string_view place) {
    auto const refuse = [&](std::string remedy) {
        throw InputError{fmt::format("'{}' is {} ({})", what, json.dump().substr(0, 60), place), std::move(remedy)};
    };
    if constexpr (HasOwnJson<T>) {
        if constexpr (is_a<decltype(T::from_json(json, place)), std::optional>) {
            auto given = T::from_json(json, place);
            if (!given) refuse("leave it out");
            value = *std::move(given);
        } else {
            value = T::from_json(json, place);
        }
    } else if constexpr (is_a<T, std::optional>) {
        value.reset();
        if (!json.is_null()) read(json, value.emplace(), what, place);
    } else if constexpr (is_a<T, std::vector>) {
        if (!json.is_array()) refuse(fmt::format("give it {}", kind_of_value<T>()));
        value.clear();
        for (auto const& item : json) {
            typename T::value_type element{};
            read(item, element, what, place);
            value.push_back(std::move(element));
        }
    } else if constexpr (is_a<T, std::map>) {
        if (!json.is_object()) refuse("give it a map");
        value.clear();
        for (auto const& [key, item] : json.items()) read(item, value[key], what + "." + key, place);
    } else if constexpr (is_a<T, std::variant>) {
        read_variant(json, value, what, place);
    } else if constexpr (HasFields<T>) {
        if (!json.is_object()) refuse("give it a map");
        std::set<std::string> known;
        T::fields(value, [&]<class Field>(std::string const& name, Field& field, bool = true) {
            known.insert(name);
            auto const found = json.find(name);
            if (found == json.end() && !is_a<Field, std::optional>)
                throw InputError{fmt::format("{} has no '{}' ({})", what, name, place)};
            read(found == json.end() ? Json{} : *found, field, what + "." + name, place);
        });
        refuse_unknown(json, known, "member of " + what, place);
    } else if constexpr (NamedEnum<T>) {
        if (!json.is_string()) refuse("give it a name");
        value = value_named<T>(json.get<std::string>(), what, place);
    } else if constexpr (std::is_floating_point_v<T>) {
        if (!json.is_number() && !json.is_null()) refuse("give it a number");  // NaN is written as null
        value = json.is_null() ? std::numeric_limits<T>::quiet_NaN() : json.get<T>();
    } else {
        auto converted = convert<T>(json);
        if (!converted) refuse(fmt::format("give it {}", kind_of_value<T>()));
        value = *std::move(converted);
    }
}

/// Calls visit with every Wanted that a value holds.
template <class Wanted, class T, class Visit>
void find(T const& value, Visit&& visit) {
    if constexpr (std::same_as<T, Wanted>) {
        visit(value);
    } else if constexpr (is_a<T, std::optional>) {
        if (value) find<Wanted>(*value, visit);
    } else if constexpr (is_a<T, std::vector>) {
        for (auto const& item : value) find<Wanted>(item, visit);
    } else if constexpr (is_a<T, std::map>) {
        for (auto const& [key, item] : value) find<Wanted>(item, visit);
    } else if constexpr (is_a<T, std::variant>) {
        std::visit([&](auto const& alternative) { find<Wanted>(alternative, visit); }, value);
    } else if constexpr (HasFields<T>) {
        T::fields(value, [&](std::string_view, auto const& field, bool = true) { find<Wanted>(field, visit); });
    }
}

}  // namespace detail

/// All fields, as JSON that from_wire reads back. NaN and infinity become null, which reads as NaN.
template <class T>
Json to_wire(T const& value) {
    return detail::write(value, true);
}

/// The fields of influence: equal identities are equal keys. A type may write its own with `Json key() const`.
template <class T>
Json key_of(T const& value) {
    return detail::write(value, false);
}

/// The identity by the list of fields alone, for a `key()` that only corrects it.
template <class T>
Json key_of_fields(T const& value) {
    return detail::write_fields(value, false);
}

/// Sets those fields that an object names, which a user wrote.
/// @param what   a member is called, such as "training option"
/// @param table  of the fields, for their aliases
/// @throws InputError for an unknown member, with the known one that it is near to, or one of the wrong type
template <class T>
void read_given(Json const& object, T& value, std::string_view what, Places const& places,
                std::span<Key const> table = {}) {
    if (!object.is_object())
        throw InputError{fmt::format("no {}s but {} ({})", what, object.dump().substr(0, 60), places.whole()),
                         "write name: value"};
    std::set<std::string> known;
    T::fields(value, [&](std::string const& name, auto& field, bool = true) {
        known.insert(name);
        auto const found = object.find(name);
        if (found == object.end()) return;
        if (found->is_null())
            throw InputError{fmt::format("'{}' has no value ({})", name, places.of(name)), "give it one"};
        detail::read(*found, field, name, places.of(name));
    });
    refuse_unknown(object, known, what, places, table);
}

/// @param what   what is read, for messages
/// @param place  where it stands
/// @throws InputError naming the member that is missing, unknown or of the wrong type
template <class T>
T from_wire(Json const& json, std::string const& what, std::string_view place) {
    T value{};
    detail::read(json, value, what, place);
    return value;
}

/// The same as bytes, in which NaN and infinity stay what they are.
template <class T>
std::string to_bytes(T const& value) {
    std::string bytes;
    Json::to_cbor(to_wire(value), bytes);
    return bytes;
}
/// @throws InputError as from_wire; what nlohmann::json throws for bytes that are no CBOR
template <class T>
T from_bytes(std::string_view bytes, std::string const& what, std::string_view place) {
    return from_wire<T>(Json::from_cbor(bytes), what, place);
}

/// Calls visit(wanted) with every value of type Wanted among the fields, in the order of the lists.
template <class Wanted, class T, class Visit>
void for_each_field_of(T const& value, Visit&& visit) {
    detail::find<Wanted>(value, visit);
}

}  // namespace samner
