#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace samner::merge {

/// The operators a user can name. `linear` and `task_arithmetic` are one operator under the two names users know; a
/// name that ends in _svd is the operator on the products s B A, truncated back to a rank.
enum class Method {
    linear,
    task_arithmetic,
    magnitude_prune,   ///< sum of the trimmed tensors
    ties,              ///< Yadav et al. 2023: trim, elect signs, mean of those that agree
    dare_linear,       ///< Yu et al. 2023: random drop and rescale, sum
    dare_ties,         ///< the same with TIES' election and mean
    breadcrumbs,       ///< Davari and Belilovsky 2023: drop the smallest and the very largest, sum
    breadcrumbs_ties,  ///< the same with TIES' election and mean
    della,             ///< Deep et al. 2024: random drop by rank of magnitude, elect, mean
    della_linear,      ///< the same drop, sum
    slerp,             ///< spherical interpolation of two experts at t = w2 / (w1 + w2)
    model_stock,       ///< Jang et al. 2024: the mean, pulled to the base by the angle between the updates
    karcher,           ///< weighted Karcher mean of the directions, at the weighted mean of the norms
    cat,
    svd,
    magnitude_prune_svd,
    ties_svd,
    dare_linear_svd,
    dare_ties_svd,
    breadcrumbs_svd,
    breadcrumbs_ties_svd,
    della_svd,
    della_linear_svd,
    slerp_svd,
    model_stock_svd,
    karcher_svd,
};
constexpr auto enum_names(Method const*) {
    return std::to_array<std::pair<std::string_view, Method>>({{"linear", Method::linear},
                                                               {"task_arithmetic", Method::task_arithmetic},
                                                               {"magnitude_prune", Method::magnitude_prune},
                                                               {"ties", Method::ties},
                                                               {"dare_linear", Method::dare_linear},
                                                               {"dare_ties", Method::dare_ties},
                                                               {"breadcrumbs", Method::breadcrumbs},
                                                               {"breadcrumbs_ties", Method::breadcrumbs_ties},
                                                               {"della", Method::della},
                                                               {"della_linear", Method::della_linear},
                                                               {"slerp", Method::slerp},
                                                               {"model_stock", Method::model_stock},
                                                               {"karcher", Method::karcher},
                                                               {"cat", Method::cat},
                                                               {"svd", Method::svd},
                                                               {"magnitude_prune_svd", Method::magnitude_prune_svd},
                                                               {"ties_svd", Method::ties_svd},
                                                               {"dare_linear_svd", Method::dare_linear_svd},
                                                               {"dare_ties_svd", Method::dare_ties_svd},
                                                               {"breadcrumbs_svd", Method::breadcrumbs_svd},
                                                               {"breadcrumbs_ties_svd", Method::breadcrumbs_ties_svd},
                                                               {"della_svd", Method::della_svd},
                                                               {"della_linear_svd", Method::della_linear_svd},
                                                               {"slerp_svd", Method::slerp_svd},
                                                               {"model_stock_svd", Method::model_stock_svd},
                                                               {"karcher_svd", Method::karcher_svd}});
}

/// How the sign of an element is elected: by the sum of the trimmed values (a sum of 0 counts as +) or of their signs.
enum class Sign { total, frequency };
constexpr auto enum_names(Sign const*) {
    return std::to_array<std::pair<std::string_view, Sign>>({{"total", Sign::total}, {"frequency", Sign::frequency}});
}

/// What a LoRA merge works on: each factor by itself, or the products s B A.
enum class Space { factor, delta };
constexpr auto enum_names(Space const*) {
    return std::to_array<std::pair<std::string_view, Space>>({{"factor", Space::factor}, {"delta", Space::delta}});
}

/// Where TIES and magnitude_prune look for the largest magnitudes: in each tensor, or in an expert's whole model.
enum class TrimOver { tensor, model };
constexpr auto enum_names(TrimOver const*) {
    return std::to_array<std::pair<std::string_view, TrimOver>>(
        {{"tensor", TrimOver::tensor}, {"model", TrimOver::model}});
}

/// Where tensors are merged; the bits are the same.
enum class Device { cpu, cuda };
constexpr auto enum_names(Device const*) {
    return std::to_array<std::pair<std::string_view, Device>>({{"cpu", Device::cpu}, {"cuda", Device::cuda}});
}

/// What makes up for randomly dropped elements: nothing, division by the probability of being kept (the expectation
/// stays), or one factor a tensor that restores its sum of magnitudes (mergekit).
enum class Rescale { none, expected, l1 };
constexpr auto enum_names(Rescale const*) {
    return std::to_array<std::pair<std::string_view, Rescale>>(
        {{"none", Rescale::none}, {"expected", Rescale::expected}, {"l1", Rescale::l1}});
}

/// What a sum is divided by: what the method says (the number that agreed where signs are elected, else nothing), the
/// summed weights (of those that agreed), or nothing at all.
enum class Normalize { method, weights, none };
constexpr auto enum_names(Normalize const*) {
    return std::to_array<std::pair<std::string_view, Normalize>>(
        {{"method", Normalize::method}, {"weights", Normalize::weights}, {"none", Normalize::none}});
}

/// Whose arithmetic the options follow; see `follow`.
enum class Compatibility { samner, peft, peft_0_18, mergekit, ties_original };
constexpr auto enum_names(Compatibility const*) {
    return std::to_array<std::pair<std::string_view, Compatibility>>({{"samner", Compatibility::samner},
                                                                      {"peft", Compatibility::peft},
                                                                      {"peft-0.18", Compatibility::peft_0_18},
                                                                      {"mergekit", Compatibility::mergekit},
                                                                      {"ties-original", Compatibility::ties_original}});
}

/// @throws InputError with the known names, and the nearest one
Method parse_method(std::string_view name);

std::string_view to_string(Method method);

std::vector<std::string> method_names();

/// What the operator of a method does, for docs/experiments.md, in whole sentences.
std::string_view help_of(Method method);

/// Whether the method merges the products s B A and truncates the result back to a rank.
bool is_svd(Method method);

/// The operator of an _svd method (`linear` for svd); another method is its own.
Method operator_of(Method method);

/// Whether the operator is a linear combination whose coefficients follow from the inner products of the tensors.
bool is_geometric(Method method);

struct MergeOptions {
    Method method = Method::ties;
    double density = 0.5;  ///< share of the elements kept where the method drops some, in (0, 1]
    Sign sign = Sign::total;
    std::uint64_t seed = 0;               ///< of the random drops
    std::int64_t rank = 0;                ///< of the result of an svd method; 0: the largest rank of the experts
    Rescale rescale = Rescale::expected;  ///< dare_* and della*
    bool operate_on_single = false;       ///< trim or drop also where there is one expert only
    double gamma = 0.01;                  ///< breadcrumbs*: share of the largest elements dropped, in [0, 1)
    double epsilon = 0.15;  ///< della*: keep probabilities run from density - epsilon to density + epsilon
    double lambda = 1.0;    ///< multiplies the merged update
    TrimOver trim_over = TrimOver::tensor;
    Normalize normalize = Normalize::method;
    bool elect_weighted = false;     ///< elect on the weighted values and not on the plain ones
    bool keep_at_least_one = false;  ///< trimming keeps an element however small the density is
    bool same_rank = false;          ///< where an svd method is given no rank: `largest_rank` for all modules
    std::int64_t largest_rank = 0;   ///< that the adapters' settings name, whatever modules have it; see same_rank
    bool majority_decides = false;   ///< an elected sum of 0 takes the most frequent sign of the whole model
    Device device = Device::cpu;     ///< of element-wise merges; see merge/device.h for the methods
    int device_index = 0;            ///< which CUDA device

    /// See core/fields.h, which is not included here: nvcc, which compiles this for device.cu, fails on fmt's headers.
    template <class Self, class Visit>
    static void fields(Self& self, Visit&& visit) {
        visit("method", self.method);
        visit("density", self.density);
        visit("sign", self.sign);
        visit("seed", self.seed);
        visit("rank", self.rank, false);  // the result itself has it
        visit("rescale", self.rescale);
        visit("operate_on_single", self.operate_on_single);
        visit("gamma", self.gamma);
        visit("epsilon", self.epsilon);
        visit("lambda", self.lambda);
        visit("trim_over", self.trim_over);
        visit("normalize", self.normalize);
        visit("elect_weighted", self.elect_weighted);
        visit("keep_at_least_one", self.keep_at_least_one);
        visit("same_rank", self.same_rank, false);
        visit("largest_rank", self.largest_rank, false);
        visit("majority_decides", self.majority_decides);
        visit("device", self.device, false);
        visit("device_index", self.device_index, false);
    }
};

/// The options with the switches set as a peer has them; method, numbers, density and weights stay.
/// - peft (0.19 and later): one adapter is trimmed or thinned like several, DARE divides by the density, svd methods
///   give every module the largest rank of all
/// - peft_0_18 (0.9 to 0.18): the same, but DARE does not divide
/// - mergekit (0.1): election on weighted values, division by the agreeing weights where mergekit does it by default
///   (linear, ties, della), at least one element kept, random drops restore the sum of magnitudes. Its default density
///   is 1
/// - ties_original (the code of Yadav et al.): trimming over the whole model, which keeps all that reach the threshold;
///   the model's majority decides sums of 0
MergeOptions follow(Compatibility peer, MergeOptions options);

/// @throws InputError when a number is out of its range or options contradict each other
void validate(MergeOptions const& options);

}  // namespace samner::merge
