#pragma once

#include <cstdint>
#include <string_view>

namespace samner::merge {

/// The operators a user can name. `linear` and `task_arithmetic` are one operator under the two names users know.
enum class Method {
    linear,
    task_arithmetic,
    magnitude_prune,
    ties,
    dare_linear,
    dare_ties,
    cat,
    svd,
    magnitude_prune_svd,
    ties_svd,
    dare_linear_svd,
    dare_ties_svd,
};

/// How the sign of an element is elected: by the sum of the trimmed values (a sum of 0 counts as +) or of their signs.
enum class Sign { total, frequency };

/// What a LoRA merge works on: each factor by itself, or the products s B A.
enum class Space { factor, delta };

/// @throws InputError with the known names, and the nearest one
Method parse_method(std::string_view name);
Sign parse_sign(std::string_view name);
Space parse_space(std::string_view name);

std::string_view to_string(Method method);
std::string_view to_string(Sign sign);
std::string_view to_string(Space space);

/// Whether the method merges the products s B A and truncates the result back to a rank.
bool is_svd(Method method);

struct MergeOptions {
    Method method = Method::ties;
    double density = 0.5;  ///< share of the elements kept where the method drops some, in (0, 1]
    Sign sign = Sign::total;
    std::uint64_t seed = 0;          ///< of the DARE masks
    std::int64_t rank = 0;           ///< of the result of an svd method; 0: the largest rank of the experts
    bool rescale_dropped = true;     ///< DARE divides by the density (peft >= 0.19); false: peft 0.9 to 0.18
    bool operate_on_single = false;  ///< trim or drop also where there is one expert only, as peft does
};

/// @throws InputError when a number is out of its range
void validate(MergeOptions const& options);

}  // namespace samner::merge
