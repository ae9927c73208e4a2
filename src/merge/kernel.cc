#include "merge/kernel.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <mutex>
#include <numeric>
#include <stdexcept>
#include <string>

#include "core/error.h"
#include "core/hash.h"
#include "core/parallel.h"
#include "core/random.h"
#include "merge/loops.h"
#include "merge/order.h"
#include "merge/select.h"

namespace samner::merge {
namespace {

constexpr std::size_t block_size = 1024;
constexpr std::int64_t block_grain = 64;     // blocks a thread takes at least: 256 KiB of each tensor
constexpr std::int64_t row_grain = 1 << 16;  // elements of rows that a thread takes at least
using Block = std::array<float, block_size>;

void check(std::string_view name, std::span<Contribution const> contributions, std::size_t size) {
    for (auto const& one : contributions) {
        if (one.values.size() != size)
            throw InputError{
                fmt::format("merging {}: one tensor has {} elements and the result {}", name, one.values.size(), size)};
        if (!(one.density > 0.0 && one.density <= 1.0))
            throw InputError{fmt::format("merging {}: density is {}", name, one.density), "use a number in (0, 1]"};
        if (one.row != 0 && size % one.row != 0)
            throw InputError{fmt::format("merging {}: {} elements are no rows of {}", name, size, one.row)};
        if (contributions.size() > 1 && one.identity.empty())
            throw InputError{fmt::format("merging {}: a tensor without the identity of its expert", name)};
    }
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

    /// The same for any range.
    void fill_range(std::size_t begin, std::span<std::uint32_t> out) const {
        std::array<std::uint32_t, block_size> words;
        for (std::size_t done = 0; done < out.size();) {
            auto const skipped = (begin + done) % 4;
            auto const size = std::min(out.size() - done, block_size - skipped);
            fill(begin + done - skipped, skipped + size, words);
            std::copy_n(words.begin() + static_cast<std::ptrdiff_t>(skipped), size,
                        out.begin() + static_cast<std::ptrdiff_t>(done));
            done += size;
        }
    }

private:
    std::array<std::uint32_t, 2> key_{};
    std::array<std::uint32_t, 2> domain_{};
};

/// The smallest number of the 2^32 words below which a share of `density` of them lies.
std::uint64_t words_below(double density) {
    return static_cast<std::uint64_t>(std::ldexp(density, 32));
}

/// The ranks of the elements of a row by magnitude: 0 is the smallest, the first of equals ranks highest.
class RowRanks {
public:
    explicit RowRanks(std::size_t row) : ranks_(row), magnitudes_(row) {
        if (row > most_compared) {
            order_.resize(row);
            scratch_.resize(row);
        }
    }

    std::span<std::uint32_t const> operator()(std::span<float const> row) {
        for (std::size_t i = 0; i < row.size(); ++i)
            magnitudes_[i] = std::bit_cast<std::uint32_t>(row[i]) & loops::magnitude_bits;
        if (row.size() <= most_compared)
            loops::rank_by_comparing(magnitudes_.data(), ranks_.data(), row.size());
        else
            rank_by_sorting();
        return ranks_;
    }

private:
    static constexpr std::size_t most_compared = 128;
    static constexpr std::size_t buckets = 2048;

    /// A stable radix sort of the columns, from the last to the first, by their 31 bits.
    void rank_by_sorting() {
        auto const size = magnitudes_.size();
        std::array<std::array<std::uint32_t, buckets>, 3> starts{};
        for (auto const key : magnitudes_)
            for (std::size_t digit = 0; digit < 3; ++digit) ++starts[digit][digit_of(key, digit)];
        for (std::size_t i = 0; i < size; ++i) order_[i] = static_cast<std::uint32_t>(size - 1 - i);
        for (std::size_t digit = 0; digit < 3; ++digit) {
            std::exclusive_scan(starts[digit].begin(), starts[digit].end(), starts[digit].begin(), 0U);
            for (auto const column : order_) scratch_[starts[digit][digit_of(magnitudes_[column], digit)]++] = column;
            order_.swap(scratch_);
        }
        for (std::size_t rank = 0; rank < size; ++rank) ranks_[order_[rank]] = static_cast<std::uint32_t>(rank);
    }

    static std::uint32_t digit_of(std::uint32_t key, std::size_t digit) { return key >> (11 * digit) & (buckets - 1); }

    std::vector<std::uint32_t> ranks_;
    std::vector<std::uint32_t> magnitudes_;
    std::vector<std::uint32_t> order_;
    std::vector<std::uint32_t> scratch_;
};

/// What sparsifying needs to know of a whole tensor before its blocks are read.
class Sparsifier {
public:
    Sparsifier(Recipe const& recipe, Contribution const& one, std::string_view name) : values_{one.values} {
        if (one.density >= 1.0 || recipe.sparsify == Sparsify::nothing) return;
        kind_ = recipe.sparsify;
        switch (kind_) {
            case Sparsify::nothing:
                break;
            case Sparsify::largest:
                cut_ = one.cut ? *one.cut : find_cut(values_, num_kept(recipe, one));
                break;
            case Sparsify::band:
                plan_band(recipe, one);
                break;
            case Sparsify::random:
                words_.emplace_back(recipe.seed, one.identity, name);
                keep_none_ = words_below(one.density) == 0;
                last_word_ = static_cast<std::uint32_t>(keep_none_ ? 0 : words_below(one.density) - 1);
                divisor_ = recipe.rescale == Rescale::expected ? static_cast<float>(one.density) : 1.0F;
                break;
            case Sparsify::ranked:
                words_.emplace_back(recipe.seed, one.identity, name);
                drop_by_rank(recipe, one);
                break;
        }
        bool const is_random = kind_ == Sparsify::random || kind_ == Sparsify::ranked;
        if (is_random && recipe.rescale == Rescale::l1) restore_sum_of_magnitudes();
    }

    void block(std::size_t begin, std::size_t size, float* out) const {
        auto const in = values_.subspan(begin, size);
        if (keep_none_) {
            std::fill_n(out, size, 0.0F);
        } else if (kind_ == Sparsify::nothing) {
            std::copy(in.begin(), in.end(), out);
        } else if (kind_ == Sparsify::largest) {
            apply_cut(cut_, in, begin, out);
        } else if (kind_ == Sparsify::band) {
            Block largest;
            apply_cut(cut_, in, begin, out);
            apply_cut(outliers_, in, begin, largest.data());
            for (std::size_t i = 0; i < size; ++i) out[i] = largest[i] == 0.0F ? out[i] : 0.0F;
        } else if (kind_ == Sparsify::random) {
            std::array<std::uint32_t, block_size> words;
            words_.front().fill(begin, size, words);
            loops::keep_drawn(in.data(), words.data(), out, size, last_word_, divisor_);
        } else {
            std::copy_n(ranked_.begin() + static_cast<std::ptrdiff_t>(begin), size, out);
        }
        if (factor_ != 1.0F) loops::multiply(out, size, factor_);
    }

private:
    void plan_band(Recipe const& recipe, Contribution const& one) {
        auto const k = kept_elements(one.density, values_.size());
        auto const dropped = std::min(kept_elements(recipe.gamma, values_.size()), values_.size() - k);
        cut_ = find_cut(values_, k + dropped);
        outliers_ = find_cut(values_, dropped);
        keep_none_ = k == 0;
    }

    /// The values that stay, divided where that is asked for: a row's ranks are needed before any of its blocks.
    void drop_by_rank(Recipe const& recipe, Contribution const& one) {
        if (values_.empty()) return;
        auto const row = one.row == 0 ? values_.size() : one.row;
        auto const rows = static_cast<std::int64_t>(values_.size() / row);
        auto const grain = std::max<std::int64_t>(1, row_grain / static_cast<std::int64_t>(row));
        std::vector<std::uint64_t> limits(row);  // of the word, by rank
        std::vector<float> divisors(row, 1.0F);
        for (std::size_t rank = 0; rank < row; ++rank) {
            double const place = row == 1 ? 0.5 : static_cast<double>(rank) / static_cast<double>(row - 1);
            double const probability = one.density - recipe.epsilon + place * 2.0 * recipe.epsilon;
            limits[rank] = words_below(probability);
            if (recipe.rescale == Rescale::expected) divisors[rank] = static_cast<float>(probability);
        }
        ranked_.resize(values_.size());
        parallel_for(0, rows, grain, [&](std::int64_t first, std::int64_t last) {
            RowRanks ranks_of{row};
            std::vector<std::uint32_t> words(row);
            for (auto r = first; r < last; ++r) {
                auto const begin = static_cast<std::size_t>(r) * row;
                auto const ranks = ranks_of(values_.subspan(begin, row));
                words_.front().fill_range(begin, words);
                for (std::size_t i = 0; i < row; ++i) {
                    bool const stays = words[i] < limits[ranks[i]];
                    ranked_[begin + i] = stays ? values_[begin + i] / divisors[ranks[i]] : 0.0F;
                }
            }
        });
    }

    void restore_sum_of_magnitudes() {
        constexpr double least = 1e-7;  // mergekit's: a smaller sum is not rescaled
        double before = 0.0;
        double after = 0.0;
        Block kept;
        for (std::size_t begin = 0; begin < values_.size(); begin += block_size) {
            auto const size = std::min(block_size, values_.size() - begin);
            block(begin, size, kept.data());
            for (std::size_t i = 0; i < size; ++i) {
                before += std::fabs(values_[begin + i]);
                after += std::fabs(kept[i]);
            }
        }
        if (before >= least && after >= least) factor_ = static_cast<float>(before / after);
    }

    std::span<float const> values_;
    Sparsify kind_ = Sparsify::nothing;
    Cut cut_;
    Cut outliers_;
    std::vector<DropWords> words_;  // none or one
    std::vector<float> ranked_;
    std::uint32_t last_word_ = 0;
    bool keep_none_ = false;
    float divisor_ = 1.0F;
    float factor_ = 1.0F;
};

/// Sums what one block's sparsified tensors contribute, without an election.
void combine_all(Recipe const& recipe, std::span<Contribution const> contributions, std::span<Block const> kept,
                 std::size_t size, float* out) {
    Block sum{};
    float denominator = 0.0F;
    for (std::size_t i = 0; i < kept.size(); ++i) {
        loops::add_scaled(sum.data(), kept[i].data(), size, contributions[i].coefficient);
        denominator += share_of(recipe, contributions[i]);
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
    if (recipe.zero_is_negative)
        for (std::size_t i = 0; i < size; ++i) elected[i] = elected[i] == 0.0F ? -1.0F : elected[i];
    Block sum{};
    Block denominator{};
    for (std::size_t i = 0; i < kept.size(); ++i) {
        auto const coefficient = contributions[i].coefficient;
        loops::add_agreeing(sum.data(), denominator.data(), elected.data(), kept[i].data(), size,
                            recipe.elect_weighted ? 1.0F : coefficient, share_of(recipe, contributions[i]));
    }
    if (recipe.divide == Divide::by_one)
        std::copy_n(sum.data(), size, out);
    else
        loops::divide(out, sum.data(), denominator.data(), size, least_weight);
}

/// What one block's sparsified tensors, in the order `order`, came to.
void count_block(std::span<std::size_t const> order, std::span<Block const> kept, std::span<float const> out,
                 Counts& counts) {
    counts.elements += out.size();
    for (std::size_t i = 0; i < out.size(); ++i) {
        bool positive = false;
        bool negative = false;
        for (std::size_t t = 0; t < kept.size(); ++t) {
            counts.kept[order[t]] += kept[t][i] != 0.0F ? 1 : 0;
            positive = positive || kept[t][i] > 0.0F;
            negative = negative || kept[t][i] < 0.0F;
        }
        counts.conflicts += positive && negative ? 1 : 0;
        counts.zeros += out[i] == 0.0F ? 1 : 0;
    }
}

}  // namespace

std::vector<std::size_t> checked_order(std::string_view name, std::span<Contribution const> contributions,
                                       std::size_t size) {
    check(name, contributions, size);
    return order_by(contributions.size(), [&](std::size_t i) {
        return std::pair{contributions[i].identity, contributions[i].coefficient};
    });
}

float share_of(Recipe const& recipe, Contribution const& one) {
    return recipe.divide == Divide::by_weight ? one.share.value_or(one.coefficient) : 1.0F;
}

std::size_t num_kept(Recipe const& recipe, Contribution const& one) {
    auto const k = kept_elements(one.density, one.values.size());
    return recipe.keep_at_least_one ? std::max<std::size_t>(k, 1) : k;
}

Counts& Counts::operator+=(Counts const& other) {
    elements += other.elements;
    zeros += other.zeros;
    conflicts += other.conflicts;
    if (kept.size() < other.kept.size()) kept.resize(other.kept.size());
    for (std::size_t i = 0; i < other.kept.size(); ++i) kept[i] += other.kept[i];
    return *this;
}

Recipe recipe_of(MergeOptions const& options) {
    Recipe recipe{.elect_weighted = options.elect_weighted,
                  .keep_at_least_one = options.keep_at_least_one,
                  .rescale = options.rescale,
                  .gamma = options.gamma,
                  .epsilon = options.epsilon,
                  .seed = options.seed};
    bool elects = false;
    switch (operator_of(options.method)) {
        case Method::linear:
        case Method::task_arithmetic:
            break;
        case Method::ties:
            elects = true;
            [[fallthrough]];
        case Method::magnitude_prune:
            recipe.sparsify = Sparsify::largest;
            break;
        case Method::dare_ties:
            elects = true;
            [[fallthrough]];
        case Method::dare_linear:
            recipe.sparsify = Sparsify::random;
            break;
        case Method::breadcrumbs_ties:
            elects = true;
            [[fallthrough]];
        case Method::breadcrumbs:
            recipe.sparsify = Sparsify::band;
            break;
        case Method::della:
            elects = true;
            [[fallthrough]];
        case Method::della_linear:
            recipe.sparsify = Sparsify::ranked;
            break;
        default:
            throw std::logic_error{std::string{to_string(options.method)} + " has no element-wise recipe"};
    }
    if (elects) recipe.elect = options.sign == Sign::frequency ? Elect::frequency : Elect::total;
    if (options.normalize == Normalize::weights)
        recipe.divide = Divide::by_weight;
    else if (options.normalize == Normalize::method && elects)
        recipe.divide = Divide::by_count;
    return recipe;
}

void merge_tensor(Recipe const& recipe, std::string_view name, std::span<Contribution const> contributions,
                  std::span<float> out, Counts* counts, TakePart const& take) {
    auto const order = checked_order(name, contributions, out.size());
    std::vector<Contribution> sorted;
    std::vector<Sparsifier> sparsifiers;
    sparsifiers.reserve(order.size());
    for (auto const i : order) {
        sorted.push_back(contributions[i]);
        sparsifiers.emplace_back(recipe, contributions[i], name);
    }
    Counts const none{.kept = std::vector<std::uint64_t>(order.size())};
    if (counts) *counts = none;
    std::mutex mutex;

    auto const num_blocks = static_cast<std::int64_t>((out.size() + block_size - 1) / block_size);
    parallel_for(0, num_blocks, block_grain, [&](std::int64_t first, std::int64_t last) {
        std::vector<Block> kept(sorted.size());
        auto here = none;
        for (std::int64_t number = first; number < last; ++number) {
            auto const begin = static_cast<std::size_t>(number) * block_size;
            auto const piece = out.subspan(begin, std::min(block_size, out.size() - begin));
            for (std::size_t i = 0; i < sorted.size(); ++i) sparsifiers[i].block(begin, piece.size(), kept[i].data());
            if (recipe.elect == Elect::nobody)
                combine_all(recipe, sorted, kept, piece.size(), piece.data());
            else
                combine_agreeing(recipe, sorted, kept, piece.size(), piece.data());
            if (counts) count_block(order, kept, piece, here);
            if (take) take(begin, piece);
        }
        std::lock_guard const lock{mutex};
        if (counts) *counts += here;
    });
}

}  // namespace samner::merge
