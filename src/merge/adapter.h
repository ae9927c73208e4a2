#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "merge/kernel.h"
#include "merge/method.h"

namespace samner::merge {

/// One expert's LoRA update of one module, s B A. Rank 0 with empty spans: the expert does not have the module, which
/// is a zero update (it still counts as an expert).
struct Factors {
    std::span<float const> a = {};  ///< row-major [rank, in]
    std::span<float const> b = {};  ///< row-major [out, rank]
    std::int64_t rank = 0;
    double scaling = 1.0;                ///< s: alpha / rank, or alpha / sqrt(rank) with rslora
    double weight = 1.0;                 ///< the user's weight of the expert
    std::string_view identity = {};      ///< of the expert's content (a hash): order of summation, DARE's mask
    std::optional<double> density = {};  ///< instead of the options'; not with TrimOver::model
};

struct MergedFactors {
    std::vector<float> a;  ///< row-major [rank, in]
    std::vector<float> b;  ///< row-major [out, rank]
    std::int64_t rank = 0;
    double scaling = 1.0;

    double alpha() const { return scaling * static_cast<double>(rank); }  ///< for a config without rslora
};

/// What trimming over the whole model needs to know of it; `ModelMerge` finds it.
struct ModelTrim {
    std::map<std::string, Cut, std::less<>> cuts;  ///< identity of the expert: which of its elements stay
    bool negative_majority = false;                ///< what an elected sum of 0 counts as
};

/// Memory for updates in full size, which module after module can use.
using UpdateMemory = std::vector<std::vector<float>>;

/// What else goes into and comes out of the merge of a module.
struct ModuleContext {
    ModelTrim const* trim = nullptr;  ///< needed with TrimOver::model and majority_decides
    Counts* counts = nullptr;         ///< where not null, of all tensors merged element by element; 0 elements if none
    UpdateMemory* memory = nullptr;   ///< of merge_delta; its own where null
};

/// Merges one module in factor space (the operator on the A factors and, by itself, on the B factors, with
/// coefficients sqrt|w s| on B and sgn(w s) sqrt|w s| on A), by stacking (cat), or, for the svd methods, merges the
/// products and truncates them to a rank. The result has scaling 1, rank = the experts' (cat: the sum; svd:
/// options.rank or the largest, with options.same_rank that of all modules). An absent expert is a zero update. One
/// expert of weight 1 comes back as it is, bytes, rank and scaling, unless options.operate_on_single. lambda goes into
/// the scaling. Does not depend on the order of the experts or the number of threads. slerp and karcher take each
/// factor as a vector, which means something where the experts' factors live in one basis (trained from the same
/// start); their svd variants and delta space do not ask for that. model_stock needs an origin that A does not have, so
/// in this function only model_stock_svd is there.
/// @param module  name, for messages and DARE's masks
/// @param out     its memory is used again
/// @throws InputError when shapes disagree, the method cannot mix ranks, or no expert has the module
void merge_factors(MergeOptions const& options, std::string_view module, std::span<Factors const> experts,
                   MergedFactors& out, ModuleContext const& context = {});

/// Merges one module in delta space: the operator on D_i = s_i B_i A_i with the weights as coefficients. `cat`,
/// `linear` and `svd` are the same sum here, and an svd method's result is not truncated. The result comes part by
/// part. Memory: where elements are dropped, which asks for whole updates, the size of the result for each expert that
/// has the module; elsewhere some rows of each.
/// @param take  see TakePart; the result is row-major [out, in]
/// @throws InputError when shapes disagree
void merge_delta(MergeOptions const& options, std::string_view module, std::span<Factors const> experts,
                 TakePart const& take, ModuleContext const& context = {});

/// The same with the result as a whole. @throws InputError when shapes disagree with each other or with `out`
void merge_delta(MergeOptions const& options, std::string_view module, std::span<Factors const> experts,
                 std::span<float> out, ModuleContext const& context = {});

/// out = s B A, row-major [out, in], in float32 with the rank's terms added in their order.
void expand(Factors const& factors, std::span<float> out);

}  // namespace samner::merge
