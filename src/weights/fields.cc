#include "weights/fields.h"

#include <cmath>
#include <limits>

#include "core/error.h"

namespace samner::weights {

std::string shown(std::string_view text) {
    constexpr std::size_t longest = 100;
    std::string printable{text.substr(0, longest)};
    for (auto& letter : printable) {
        if (letter < ' ' || letter > '~') letter = '?';
    }
    return text.size() > longest ? printable + "..." : printable;
}

std::optional<std::int64_t> checked_product(std::span<std::int64_t const> sizes) noexcept {
    std::int64_t product = 1;
    for (auto const size : sizes) {
        if (size < 0 || __builtin_mul_overflow(product, size, &product)) return std::nullopt;
    }
    return product;
}

Fields::Fields(Json const& object, std::string place) : object_{object}, place_{std::move(place)} {
    if (!object.is_object()) throw InputError{fmt::format("not a JSON object ({})", place_)};
}

Json const* Fields::find(std::string const& key) const {
    auto const found = object_.find(key);
    return found == object_.end() || found->is_null() ? nullptr : &*found;
}

std::optional<std::int64_t> Fields::integer(std::string const& key) const {
    auto const* const value = find(key);
    if (value == nullptr) return std::nullopt;
    auto const fits = value->is_number_unsigned()
                          ? value->get<std::uint64_t>() <= std::numeric_limits<std::int64_t>::max()
                          : value->is_number_integer();
    if (!fits) throw_wrong(key, "an integer");
    return value->get<std::int64_t>();
}

std::optional<double> Fields::number(std::string const& key) const {
    auto const* const value = find(key);
    if (value == nullptr) return std::nullopt;
    if (!value->is_number() || !std::isfinite(value->get<double>())) throw_wrong(key, "a number");
    return value->get<double>();
}

std::optional<bool> Fields::boolean(std::string const& key) const {
    auto const* const value = find(key);
    if (value == nullptr) return std::nullopt;
    if (!value->is_boolean()) throw_wrong(key, "true or false");
    return value->get<bool>();
}

std::optional<std::string> Fields::text(std::string const& key) const {
    auto const* const value = find(key);
    if (value == nullptr) return std::nullopt;
    if (!value->is_string()) throw_wrong(key, "a string");
    return value->get<std::string>();
}

void Fields::throw_wrong(std::string const& key, std::string_view expected) const {
    throw InputError{fmt::format("'{}' is {} ({})", shown(key), shown(object_.at(key).dump()), place_),
                     fmt::format("make it {}", expected)};
}

void Fields::throw_missing(std::string const& key) const {
    throw InputError{fmt::format("'{}' is missing ({})", key, place_), "use a complete file of this model"};
}

}  // namespace samner::weights
