#include "merge/kernel.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>
#include <string>

#include "core/error.h"
#include "core/hash.h"
#include "core/parallel.h"
#include "core/random.h"
#include "merge/loops.h"
#include "merge/select.h"

namespace samner::merge {
namespace {

constexpr std::size_t block_size = 1024;
constexpr std::int64_t block_grain = 64;  // blocks a thread takes at least: 256 KiB of each tensor
constexpr float least_weight = 1e-8F;     // mergekit's: a smaller sum of weights divides by 1
using Block = std::array<float, block_size>;

void check(std::string_view name, std::span<Contribution const> contributions, std::size_t size) {
    for (auto const& one : contributions) {
        if (one.values.size() != size)
            throw InputError{
                fmt::format("merging {}: one tensor has {} elements and the result {}", name, one.values.size(), size)};
        if (!(one.density > 0.0 && one.density <= 1.0))
            throw InputError{fmt::format("merging {}: density is {}", name, one.density), "use a number in (0, 1]"};
        if (contributions.size() > 1 && one.identity.empty())
            throw InputError{fmt::format("merging {}: a tensor without the identity of its expert", name)};
    }
}

std::vector<Contribution> in_canonical_order(std::span<Contribution const> contributions) {
    std::vector<Contribution> sorted(contributions.begin(), contributions.end());
    std::stable_sort(sorted.begin(), sorted.end(), [](auto const& left, auto const& right) {
        return std::pair{left.identity, left.coefficient} < std::pair{right.identity, right.coefficient};
    });
    return sorted;
}

/// The words that decide which elements DARE keeps: element i of the tensor has word i % 4 of Philox counter i / 4.
class DropWords {
public:
    DropWords(std::uint64_t seed, std::string_view identity, std::string_view name) {
        auto const digest = sha256(fmt::format("samner dare\n{}\n{}\n{}", seed, identity, name));
        auto word = [&](std::size_t i) {
            return static_cast<std::uint32_t>(std::stoul(digest.substr(8 * i, 8), nullptr, 16));
        };
        key_ = {word(0), word(1)};
        domain_ = {word(2), word(3)};
    }

    /// For `size` elements from flat index `begin`, a multiple of 4.
    void fill(std::size_t begin, std::size_t size, std::array<std::uint32_t, block_size>& out) const {
        for (std::size_t i = 0; i < size; i += 4) {
            auto const counter = std::uint64_t{(begin + i) / 4};
            auto const four = philox({static_cast<std::uint32_t>(counter), static_cast<std::uint32_t>(counter >> 32),
                                      domain_[0], domain_[1]},
                                     key_);
            std::copy(four.begin(), four.end(), out.begin() + static_cast<std::ptrdiff_t>(i));
        }
    }

private:
    std::array<std::uint32_t, 2> key_{};
    std::array<std::uint32_t, 2> domain_{};
};

/// What sparsifying needs to know of a whole tensor before its blocks are read.
class Sparsifier {
public:
    Sparsifier(Recipe const& recipe, Contribution const& one, std::string_view name) : values_{one.values} {
        if (one.density >= 1.0 || recipe.sparsify == Sparsify::nothing) return;
        kind_ = recipe.sparsify;
        if (kind_ == Sparsify::largest) {
            auto const k = kept_elements(one.density, values_.size());
            cut_ = find_cut(values_, recipe.keep_at_least_one ? std::max<std::size_t>(k, 1) : k);
        } else {
            words_.emplace_back(recipe.seed, one.identity, name);
            auto const kept = static_cast<std::uint64_t>(std::ldexp(one.density, 32));
            keep_none_ = kept == 0;
            last_word_ = static_cast<std::uint32_t>(keep_none_ ? 0 : kept - 1);
            divisor_ = recipe.rescale_dropped ? static_cast<float>(one.density) : 1.0F;
        }
    }

    void block(std::size_t begin, std::size_t size, float* out) const {
        auto const in = values_.subspan(begin, size);
        if (kind_ == Sparsify::nothing || keep_none_) {
            if (keep_none_)
                std::fill_n(out, size, 0.0F);
            else
                std::copy(in.begin(), in.end(), out);
        } else if (kind_ == Sparsify::largest) {
            apply_cut(cut_, in, begin, out);
        } else {
            std::array<std::uint32_t, block_size> words;
            words_.front().fill(begin, size, words);
            loops::keep_drawn(in.data(), words.data(), out, size, last_word_, divisor_);
        }
    }

private:
    std::span<float const> values_;
    Sparsify kind_ = Sparsify::nothing;
    Cut cut_;
    std::vector<DropWords> words_;  // none or one
    std::uint32_t last_word_ = 0;
    bool keep_none_ = false;
    float divisor_ = 1.0F;
};

/// Sums what one block's sparsified tensors contribute, without an election.
void combine_all(Recipe const& recipe, std::span<Contribution const> contributions, std::span<Block const> kept,
                 std::size_t size, float* out) {
    Block sum{};
    float denominator = 0.0F;
    for (std::size_t i = 0; i < kept.size(); ++i) {
        loops::add_scaled(sum.data(), kept[i].data(), size, contributions[i].coefficient);
        denominator += recipe.divide == Divide::by_weight ? contributions[i].coefficient : 1.0F;
    }
    if (recipe.divide == Divide::by_one || std::fabs(denominator) < least_weight) denominator = 1.0F;
    for (std::size_t i = 0; i < size; ++i) out[i] = sum[i] / denominator;
}

/// The same with an election: only the values of the elected sign count.
void combine_agreeing(Recipe const& recipe, std::span<Contribution const> contributions, std::span<Block> kept,
                      std::size_t size, float* out) {
    Block elected{};
    for (std::size_t i = 0; i < kept.size(); ++i) {
        if (recipe.elect_weighted) loops::multiply(kept[i].data(), size, contributions[i].coefficient);
        if (recipe.elect == Elect::frequency)
            loops::add_signs(elected.data(), kept[i].data(), size);
        else
            loops::add(elected.data(), kept[i].data(), size);
    }
    Block sum{};
    Block denominator{};
    for (std::size_t i = 0; i < kept.size(); ++i) {
        auto const coefficient = contributions[i].coefficient;
        loops::add_agreeing(sum.data(), denominator.data(), elected.data(), kept[i].data(), size,
                            recipe.elect_weighted ? 1.0F : coefficient,
                            recipe.divide == Divide::by_weight ? coefficient : 1.0F);
    }
    if (recipe.divide == Divide::by_one)
        std::copy_n(sum.data(), size, out);
    else
        loops::divide(out, sum.data(), denominator.data(), size, least_weight);
}

}  // namespace

Recipe recipe_of(MergeOptions const& options) {
    Recipe recipe{.rescale_dropped = options.rescale_dropped, .seed = options.seed};
    auto const elect = options.sign == Sign::frequency ? Elect::frequency : Elect::total;
    switch (options.method) {
        case Method::linear:
        case Method::task_arithmetic:
        case Method::svd:
            break;
        case Method::magnitude_prune:
        case Method::magnitude_prune_svd:
            recipe.sparsify = Sparsify::largest;
            break;
        case Method::dare_linear:
        case Method::dare_linear_svd:
            recipe.sparsify = Sparsify::random;
            break;
        case Method::ties:
        case Method::ties_svd:
        case Method::dare_ties:
        case Method::dare_ties_svd: {
            bool const trims = options.method == Method::ties || options.method == Method::ties_svd;
            recipe.sparsify = trims ? Sparsify::largest : Sparsify::random;
            recipe.elect = elect;
            recipe.divide = Divide::by_count;
            break;
        }
        case Method::cat:
            throw std::logic_error{"cat stacks factors: it has no element-wise recipe"};
    }
    return recipe;
}

void merge_tensor(Recipe const& recipe, std::string_view name, std::span<Contribution const> contributions,
                  std::span<float> out) {
    check(name, contributions, out.size());
    auto const sorted = in_canonical_order(contributions);
    std::vector<Sparsifier> sparsifiers;
    sparsifiers.reserve(sorted.size());
    for (auto const& one : sorted) sparsifiers.emplace_back(recipe, one, name);

    auto const num_blocks = static_cast<std::int64_t>((out.size() + block_size - 1) / block_size);
    parallel_for(0, num_blocks, block_grain, [&](std::int64_t first, std::int64_t last) {
        std::vector<Block> kept(sorted.size());
        for (std::int64_t number = first; number < last; ++number) {
            auto const begin = static_cast<std::size_t>(number) * block_size;
            auto const size = std::min(block_size, out.size() - begin);
            for (std::size_t i = 0; i < sorted.size(); ++i) sparsifiers[i].block(begin, size, kept[i].data());
            if (recipe.elect == Elect::nobody)
                combine_all(recipe, sorted, kept, size, out.data() + begin);
            else
                combine_agreeing(recipe, sorted, kept, size, out.data() + begin);
        }
    });
}

}  // namespace samner::merge
