#include "token/vocabulary.h"

#include <fmt/format.h>

#include "core/error.h"

namespace samner::token {

void Vocabulary::add(std::string_view token, std::int64_t id, std::string_view place) {
    if (id < 0 || id >= limit_) {
        throw InputError{fmt::format("token '{}' has id {}, outside 0 to {} ({})", token, id, limit_ - 1, place)};
    }
    auto const [entry, added] = ids_.try_emplace(std::string{token}, static_cast<std::int32_t>(id));
    if (!added && entry->second != id) {
        throw InputError{fmt::format("token '{}' has the ids {} and {} ({})", token, entry->second, id, place)};
    }
    if (!added) return;
    auto const index = static_cast<std::size_t>(id);
    if (index >= tokens_.size()) tokens_.resize(index + 1, nullptr);
    if (tokens_[index] != nullptr) {
        throw InputError{fmt::format("id {} belongs to '{}' and '{}' ({})", id, *tokens_[index], token, place)};
    }
    tokens_[index] = &entry->first;
}

std::optional<std::int32_t> Vocabulary::id(std::string_view token) const {
    auto const found = ids_.find(token);
    return found == ids_.end() ? std::nullopt : std::optional{found->second};
}

std::string const* Vocabulary::token(std::int64_t id) const noexcept {
    return id >= 0 && id < size() ? tokens_[static_cast<std::size_t>(id)] : nullptr;
}

}  // namespace samner::token
