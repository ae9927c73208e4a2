#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "model/language_model.h"

namespace samner::infer {

/// Keys and values of the beginnings that prompts share, kept from one call of generate to the next. They belong to one
/// model and its operators: clear it before another one is used. What is kept has the bits of what would be computed.
class PrefixCache {
public:
    /// Copies the longest known beginning of `tokens`, as an adapter's content (PreparedAdapter::content; empty: the
    /// base model) has it, into the first of `blocks`.
    /// @return how many positions that is, whole blocks
    std::int64_t load(std::string const& adapter, std::span<std::int32_t const> tokens, model::Ops const& ops,
                      model::KvCache& cache, std::span<std::int32_t const> blocks);

    /// Keeps what `blocks` hold for `tokens` (whole blocks), in place of beginnings of it.
    /// @param max_tokens  positions kept at most, in all: what was not used for longest goes, and what is larger is not
    ///                    kept
    void store(std::string const& adapter, std::span<std::int32_t const> tokens, model::LanguageModel const& model,
               model::Ops const& ops, model::KvCache const& cache, std::span<std::int32_t const> blocks,
               std::int64_t max_tokens);

    std::int64_t tokens() const;  ///< positions kept
    void clear() { entries_.clear(); }

private:
    struct Entry {
        std::string adapter;
        std::vector<std::int32_t> tokens;
        std::unique_ptr<model::KvCache> cache;
    };
    std::list<Entry> entries_;  ///< the one used last comes first
};

}  // namespace samner::infer
