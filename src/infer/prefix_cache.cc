#include "infer/prefix_cache.h"

#include <algorithm>
#include <numeric>

namespace samner::infer {
namespace {

constexpr std::int64_t block = kernel::kv_block;

std::vector<std::int32_t> first_numbers(std::int64_t count) {
    std::vector<std::int32_t> numbers(static_cast<std::size_t>(count));
    std::iota(numbers.begin(), numbers.end(), 0);
    return numbers;
}

/// Whole blocks at the start of both.
std::int64_t common_blocks(std::span<std::int32_t const> a, std::span<std::int32_t const> b) {
    return (std::ranges::mismatch(a, b).in1 - a.begin()) / block;
}

}  // namespace

std::int64_t PrefixCache::load(std::string const& adapter, std::span<std::int32_t const> tokens, model::Ops const& ops,
                               model::KvCache& cache, std::span<std::int32_t const> blocks) {
    auto best = entries_.end();
    std::int64_t known = 0;
    for (auto entry = entries_.begin(); entry != entries_.end(); ++entry) {
        if (entry->adapter != adapter) continue;
        if (auto const count = common_blocks(entry->tokens, tokens); count > known) {
            best = entry;
            known = count;
        }
    }
    if (known == 0) return 0;
    ops.copy_kv(*best->cache, first_numbers(known), cache, blocks.first(static_cast<std::size_t>(known)));
    entries_.splice(entries_.begin(), entries_, best);
    return known * block;
}

void PrefixCache::store(std::string const& adapter, std::span<std::int32_t const> tokens,
                        model::LanguageModel const& model, model::Ops const& ops, model::KvCache const& cache,
                        std::span<std::int32_t const> blocks, std::int64_t max_tokens) {
    auto const size = std::ssize(tokens);
    if (size > max_tokens) return;
    std::erase_if(entries_, [&](Entry const& entry) {
        return entry.adapter == adapter && common_blocks(entry.tokens, tokens) * block == std::ssize(entry.tokens);
    });
    while (this->tokens() + size > max_tokens) entries_.pop_back();
    auto kept = ops.make_cache(model.attention_shape(), static_cast<int>(model.config.num_layers), std::ssize(blocks));
    ops.copy_kv(cache, blocks, *kept, first_numbers(std::ssize(blocks)));
    entries_.push_front({adapter, {tokens.begin(), tokens.end()}, std::move(kept)});
}

std::int64_t PrefixCache::tokens() const {
    std::int64_t sum = 0;
    for (auto const& entry : entries_) sum += std::ssize(entry.tokens);
    return sum;
}

}  // namespace samner::infer
