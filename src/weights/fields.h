#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/json.h"

namespace samner::weights {

/// Text from a file as a message may show it: at most 100 bytes, everything outside printable ASCII as '?'.
std::string shown(std::string_view text);

/// The product of sizes, or nothing when one is negative or the product exceeds 2^63 - 1.
std::optional<std::int64_t> checked_product(std::span<std::int64_t const> sizes) noexcept;

/// The members of a JSON object, read with their exact types: 4.5 or true is no integer. Absent and null are the same.
class Fields {
public:
    /// @throws InputError when `object` is not an object
    Fields(Json const& object, std::string place);

    Json const* find(std::string const& key) const;  ///< nullptr when absent or null
    std::optional<std::int64_t> integer(std::string const& key) const;
    std::optional<double> number(std::string const& key) const;  ///< finite
    std::optional<bool> boolean(std::string const& key) const;
    std::optional<std::string> text(std::string const& key) const;

    /// A value that must be there. @throws InputError naming key and place
    template <class T>
    T required(std::string const& key, std::optional<T> value) const {
        if (!value) throw_missing(key);
        return *std::move(value);
    }
    std::string const& place() const { return place_; }

    [[noreturn]] void throw_wrong(std::string const& key, std::string_view expected) const;

private:
    [[noreturn]] void throw_missing(std::string const& key) const;

    Json const& object_;
    std::string place_;
};

}  // namespace samner::weights
