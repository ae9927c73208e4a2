#pragma once

#include <cstdint>
#include <string>
#include <string_view>
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

/// How the sign of an element is elected: by the sum of the trimmed values (a sum of 0 counts as +) or of their signs.
enum class Sign { total, frequency };

/// What a LoRA merge works on: each factor by itself, or the products s B A.
enum class Space { factor, delta };

/// Where TIES and magnitude_prune look for the largest magnitudes: in each tensor, or in an expert's whole model.
enum class TrimOver { tensor, model };

/// Where tensors are merged; the bits are the same.
enum class Device { cpu, cuda };

/// What makes up for randomly dropped elements: nothing, division by the probability of being kept (the expectation
/// stays), or one factor a tensor that restores its sum of magnitudes (mergekit).
enum class Rescale { none, expected, l1 };

/// What a sum is divided by: what the method says (the number that agreed where signs are elected, else nothing), the
/// summed weights (of those that agreed), or nothing at all.
enum class Normalize { method, weights, none };

/// Whose arithmetic the options follow; see `follow`.
enum class Compatibility { samner, peft, peft_0_18, mergekit, ties_original };

/// @throws InputError with the known names, and the nearest one
Method parse_method(std::string_view name);
Sign parse_sign(std::string_view name);
Space parse_space(std::string_view name);
TrimOver parse_trim_over(std::string_view name);
Device parse_device(std::string_view name);
Rescale parse_rescale(std::string_view name);
Normalize parse_normalize(std::string_view name);
Compatibility parse_compatibility(std::string_view name);

std::string_view to_string(Method method);
std::string_view to_string(Sign sign);
std::string_view to_string(Space space);
std::string_view to_string(TrimOver where);
std::string_view to_string(Rescale rescale);
std::string_view to_string(Normalize normalize);
std::string_view to_string(Compatibility compatibility);

std::vector<std::string> method_names();

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
    bool majority_decides = false;   ///< an elected sum of 0 takes the most frequent sign of the whole model
    Device device = Device::cpu;     ///< of element-wise merges; see merge/device.h for the methods
    int device_index = 0;            ///< which CUDA device
};

/// The options with the switches set as a peer has them; method, numbers, density and weights stay.
/// - peft (0.19 and later): one adapter is trimmed or thinned like several, DARE divides by the density
/// - peft_0_18 (0.9 to 0.18): the same, but DARE does not divide
/// - mergekit (0.1): election on weighted values, division by the agreeing weights where mergekit does it by default
///   (linear, ties, della), at least one element kept, random drops restore the sum of magnitudes. Its default density
///   is 1
/// - ties_original (the code of Yadav et al.): trimming over the whole model, which keeps all that reach the threshold;
///   the model's majority decides sums of 0
MergeOptions follow(Compatibility peer, MergeOptions options);

/// What is chosen by name. An empty name leaves what `follow` sets.
struct OptionNames {
    std::string method = "ties";
    std::string sign = "total";
    std::string follow = "samner";
    std::string trim_over = {};
    std::string rescale = {};
    std::string normalize = {};
};

/// The options with what the names choose; numbers stay. @throws InputError for an unknown name, as the parse functions
MergeOptions with_names(OptionNames const& names, MergeOptions options);

/// @throws InputError when a number is out of its range or options contradict each other
void validate(MergeOptions const& options);

}  // namespace samner::merge
