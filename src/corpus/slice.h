#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace samner::corpus {

/// A part of a split, written as in Hugging Face datasets: `all[:80%]`, `train[-200:]`, `dev[10%:20%]`.
struct Slice {
    struct Bound {
        std::int64_t value = 0;  ///< from the end where it is negative
        bool percent = false;
    };
    std::string split;
    std::optional<Bound> from = {};  ///< nothing: the beginning
    std::optional<Bound> to = {};    ///< nothing: the end

    bool whole() const { return !from && !to; }
    /// Of so many sentences, the first and the one behind the last. Percentages are rounded to the nearest.
    std::pair<std::int64_t, std::int64_t> of(std::int64_t sentences) const;
    std::string text() const;  ///< in one way for equal slices; empty for a whole split
};

/// @throws InputError for brackets that are no slice
Slice parse_slice(std::string_view text);

}  // namespace samner::corpus
