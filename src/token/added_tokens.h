#pragma once

#include <bitset>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace samner::token {

/// Tokens that are found in the text as they stand, before it is cut up.
class AddedTokens {
public:
    AddedTokens() = default;

    struct Entry {
        std::string content;  ///< not empty
        std::int32_t id;
    };
    /// Of entries with the same content the first counts.
    explicit AddedTokens(std::vector<Entry> entries);

    bool empty() const noexcept { return entries_.empty(); }

    /// Goes through the text from left to right; the longest token at the leftmost place is taken.
    /// @param token    called with the id of each token found
    /// @param between  called with each part, not empty, between tokens
    void scan(std::string_view text, std::function<void(std::int32_t)> const& token,
              std::function<void(std::string_view)> const& between) const;

private:
    Entry const* longest_at(std::string_view text) const;

    std::vector<Entry> entries_;  // sorted by content
    std::bitset<256> first_byte_;
};

}  // namespace samner::token
