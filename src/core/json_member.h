#pragma once

#include <fmt/format.h>

#include "core/error.h"

namespace samner {

template <class T>
T member(Json const& object, std::string const& key, std::string_view place) {
    auto const found = object.is_object() ? object.find(key) : object.end();
    if (!object.is_object() || found == object.end()) throw InputError{fmt::format("'{}' is missing ({})", key, place)};
    try {
        return found->template get<T>();
    } catch (nlohmann::json::exception const&) {
        throw InputError{fmt::format("'{}' is {} ({})", key, found->dump().substr(0, 60), place),
                         "give it the type that the format asks for"};
    }
}

}  // namespace samner
