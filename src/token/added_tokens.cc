#include "token/added_tokens.h"

#include <algorithm>

namespace samner::token {

AddedTokens::AddedTokens(std::vector<Entry> entries) : entries_{std::move(entries)} {
    std::stable_sort(entries_.begin(), entries_.end(),
                     [](auto const& a, auto const& b) { return a.content < b.content; });
    auto const same = [](auto const& a, auto const& b) { return a.content == b.content; };
    entries_.erase(std::unique(entries_.begin(), entries_.end(), same), entries_.end());
    for (auto const& entry : entries_) first_byte_.set(static_cast<unsigned char>(entry.content.front()));
}

AddedTokens::Entry const* AddedTokens::longest_at(std::string_view text) const {
    Entry const* longest = nullptr;
    auto low = entries_.begin();
    auto high = entries_.end();
    // [low, high) are the entries that agree with the text in the first `depth` bytes; a whole match sorts first.
    for (std::size_t depth = 0; low != high; ++depth) {
        if (low->content.size() == depth) longest = &*low++;
        if (depth == text.size()) break;
        auto const byte = [depth](Entry const& entry) { return static_cast<unsigned char>(entry.content[depth]); };
        auto const wanted = static_cast<unsigned char>(text[depth]);
        low = std::partition_point(low, high, [&](Entry const& entry) { return byte(entry) < wanted; });
        high = std::partition_point(low, high, [&](Entry const& entry) { return byte(entry) == wanted; });
    }
    return longest;
}

void AddedTokens::scan(std::string_view text, std::function<void(std::int32_t)> const& token,
                       std::function<void(std::string_view)> const& between) const {
    std::size_t done = 0;
    for (std::size_t at = 0; at < text.size() && !entries_.empty();) {
        auto const* const found =
            first_byte_.test(static_cast<unsigned char>(text[at])) ? longest_at(text.substr(at)) : nullptr;
        if (found == nullptr) {
            ++at;
            continue;
        }
        if (at > done) between(text.substr(done, at - done));
        token(found->id);
        at += found->content.size();
        done = at;
    }
    if (done < text.size()) between(text.substr(done));
}

}  // namespace samner::token
