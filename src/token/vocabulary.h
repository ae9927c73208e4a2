#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace samner::token {

struct StringHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>{}(text); }
};
template <class T>
using StringMap = std::unordered_map<std::string, T, StringHash, std::equal_to<>>;

/// Tokens and their ids, one to one. Ids may have gaps.
class Vocabulary {
public:
    static constexpr std::int64_t max_ids = std::int64_t{1} << 22;

    Vocabulary() = default;
    Vocabulary(Vocabulary const&) = delete;
    Vocabulary(Vocabulary&&) = default;

    /// Allows fewer ids: as many as the file has bytes, so that a short one cannot ask for much memory.
    void limit_ids(std::int64_t count) { limit_ = std::min(limit_, count); }

    /// The same pair twice is no error. @param place  named in messages
    /// @throws InputError when the id is not below the limit (max_ids), or the token or the id is taken otherwise
    void add(std::string_view token, std::int64_t id, std::string_view place);

    std::optional<std::int32_t> id(std::string_view token) const;

    /// nullptr where no token has the id (any value is allowed)
    std::string const* token(std::int64_t id) const noexcept;

    /// The largest id plus one.
    std::int32_t size() const noexcept { return static_cast<std::int32_t>(tokens_.size()); }

private:
    std::int64_t limit_ = max_ids;
    StringMap<std::int32_t> ids_;
    std::vector<std::string const*> tokens_;  // keys of ids_, whose nodes do not move
};

}  // namespace samner::token
