#pragma once

#include <fmt/format.h>

#include <cmath>
#include <concepts>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/json.h"
#include "core/kind.h"

namespace samner {

namespace detail {

/// A whole number in the range of T, or nothing; the library's own conversion lets 2.5 and 10^30 through.
template <std::integral T>
std::optional<T> to_integer(Json const& value) {
    auto const in_range = [](auto number) {
        return std::in_range<T>(number) ? std::optional{static_cast<T>(number)} : std::nullopt;
    };
    if (value.is_number_unsigned()) return in_range(value.get<std::uint64_t>());
    if (value.is_number_integer()) return in_range(value.get<std::int64_t>());
    constexpr double exact = 9007199254740992.0;  // 2^53
    auto const number = value.is_number_float() ? value.get<double>() : 0.5;
    if (!(std::abs(number) <= exact) || number != std::trunc(number)) return std::nullopt;
    return in_range(static_cast<std::int64_t>(number));
}

template <class T>
struct IsIntegers : std::false_type {};
template <class T>
struct IsIntegers<std::vector<T>> : std::bool_constant<std::integral<T> && !std::same_as<T, bool>> {};

template <class T>
std::optional<T> convert(Json const& value) {
    if constexpr (std::integral<T> && !std::same_as<T, bool>) {
        return to_integer<T>(value);
    } else if constexpr (IsIntegers<T>::value) {
        if (!value.is_array()) return std::nullopt;
        T numbers;
        numbers.reserve(value.size());
        for (auto const& element : value) {
            auto const number = to_integer<typename T::value_type>(element);
            if (!number) return std::nullopt;
            numbers.push_back(*number);
        }
        return numbers;
    } else {
        try {
            return value.get<T>();
        } catch (nlohmann::json::exception const&) {
            return std::nullopt;
        }
    }
}

}  // namespace detail

template <class T>
T member(Json const& object, std::string const& key, std::string_view place) {
    auto const found = object.is_object() ? object.find(key) : object.end();
    if (!object.is_object() || found == object.end()) throw InputError{fmt::format("'{}' is missing ({})", key, place)};
    if (auto value = detail::convert<T>(*found)) return *std::move(value);
    throw InputError{fmt::format("'{}' is {} ({})", key, found->dump().substr(0, 60), place),
                     fmt::format("give it {}", kind_of_value<T>())};
}

}  // namespace samner
