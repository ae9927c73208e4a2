#pragma once

#include <algorithm>
#include <limits>
#include <span>
#include <string_view>

#include "core/error.h"

namespace samner {

/// What a value may be.
struct Range {
    std::string_view words = {};  ///< as in `give it WORDS`; empty: all of its type
    /// Bounds of a number, or of each number of a list or map.
    double least = -std::numeric_limits<double>::infinity();
    double most = std::numeric_limits<double>::infinity();
    bool above = false;  ///< more than `least`
    bool below = false;  ///< less than `most`

    /// False for a value that is no number.
    constexpr bool has(double value) const {
        return (above ? value > least : value >= least) && (below ? value < most : value <= most);
    }
};

/// A key that users write in a file, as error messages, docs/experiments.md and configs/schemas tell of it. The type
/// and the default are those of the member that it sets.
struct Key {
    std::string_view name;
    std::string_view help;  ///< what it does, in whole sentences
    Range range = {};
    bool required = false;
    bool path = false;       ///< of a file or folder: relative to the file that it stands in
    bool automatic = false;  ///< may be `auto`, which is 0 in the member
    bool newer = false;      ///< written only where it is not as usual, so that runs from before it go on
    /// Names that other programs or habit give it, separated by spaces: who writes one is told of this key.
    std::string_view aliases = {};
};

namespace detail {
struct KeyProbe {
    void operator()(Key const&, auto&, auto&&...) const {}
};
}  // namespace detail

/// A struct that goes through its keys: `static void keys(Self& self, Visit&& visit)` calls visit(key, member), or
/// visit(key, member, fits) where bounds do not say which values are in the range.
template <class T>
concept HasKeys = requires(T& value) {
    T::keys(value, detail::KeyProbe{});
};

/// The name of the key that has `word` among its aliases; empty: none has.
constexpr std::string_view known_as(std::span<Key const> table, std::string_view word) {
    for (auto const& key : table) {
        for (auto rest = key.aliases; !rest.empty();) {
            auto const end = std::min(rest.find(' '), rest.size());
            if (rest.substr(0, end) == word) return key.name;
            rest.remove_prefix(std::min(end + 1, rest.size()));
        }
    }
    return {};
}

/// The key of a name, such as `rank_pattern` for `rank_pattern.q_proj`. @throws Error where the table has none
inline Key const& key_named(std::span<Key const> table, std::string_view name) {
    auto const found = std::ranges::find(table, name.substr(0, name.find('.')), &Key::name);
    if (found == table.end()) throw Error{"a key without an entry in its table"};
    return *found;
}

}  // namespace samner
