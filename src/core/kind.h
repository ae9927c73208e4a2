#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace samner {

namespace detail {
template <class T>
struct ElementOf {
    using type = void;
};
template <class T>
struct ElementOf<std::vector<T>> {
    using type = T;
};
}  // namespace detail

/// What a value of a type is, for messages: `give it KIND`.
template <class T>
constexpr std::string_view kind_of_value() {
    if constexpr (std::is_same_v<T, bool>) {
        return "true or false";
    } else if constexpr (std::is_floating_point_v<T>) {
        return "a number";
    } else if constexpr (std::is_unsigned_v<T>) {
        return "a whole number, 0 or more";
    } else if constexpr (std::is_integral_v<T>) {
        return "a whole number";
    } else if constexpr (std::is_convertible_v<T, std::string_view>) {
        return "a text";
    } else {
        using Element = typename detail::ElementOf<T>::type;
        if constexpr (std::is_floating_point_v<Element>) return "a list of numbers, [1.5, 2]";
        if constexpr (std::is_integral_v<Element> && !std::is_same_v<Element, bool>)
            return "a list of whole numbers, [1, 2]";
        if constexpr (std::is_convertible_v<Element, std::string_view>) return "a list of texts, [a, b]";
        if constexpr (!std::is_void_v<Element>) return "a list";
        return "a map";
    }
}

}  // namespace samner
