#include "merge/method.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/fields.h"
#include "core/yaml.h"
#include "merge/device.h"

namespace samner::merge {
Method parse_method(std::string_view name) {
    return value_named<Method>(name, "merge method", "merge");
}

std::string_view to_string(Method method) {
    return name_of_value(method);
}

std::vector<std::string> method_names() {
    return names_of_values<Method>();
}

std::string_view help_of(Method method) {
    auto const plain = operator_of(method);
    switch (plain) {
        case Method::linear:
            return "Weighted sum.";
        case Method::task_arithmetic:
            return "The same as `linear`.";
        case Method::magnitude_prune:
            return "Keeps the largest elements, then the weighted sum.";
        case Method::ties:
            return "TIES (Yadav et al. 2023): keeps the largest elements, elects a sign for each, takes the mean of "
                   "those "
                   "that agree.";
        case Method::dare_linear:
            return "DARE (Yu et al. 2023): drops elements at random, rescales the others, then the weighted sum.";
        case Method::dare_ties:
            return "The same drop, with election and mean of TIES.";
        case Method::breadcrumbs:
            return "Model breadcrumbs (Davari and Belilovsky 2023): drops the smallest and the very largest elements, "
                   "then the weighted sum.";
        case Method::breadcrumbs_ties:
            return "The same drop, with election and mean of TIES.";
        case Method::della:
            return "DELLA (Deep et al. 2024): drops at random, small elements more often, with election and mean.";
        case Method::della_linear:
            return "The same drop, then the weighted sum.";
        case Method::slerp:
            return "Spherical interpolation of two experts.";
        case Method::model_stock:
            return "Model Stock (Jang et al. 2024): the mean, pulled to the base by the angle between the experts.";
        case Method::karcher:
            return "Weighted Karcher mean of the directions, at the weighted mean of the norms.";
        case Method::cat:
            return "Factors side by side: the weighted sum of the products, at the sum of the ranks.";
        default:
            throw Error{"a method without a help"};  // operator_of gives no other
    }
}

bool is_svd(Method method) {
    return method == Method::svd || operator_of(method) != method;
}

Method operator_of(Method method) {
    constexpr std::string_view suffix = "_svd";
    if (method == Method::svd) return Method::linear;
    auto const name = to_string(method);
    return name.ends_with(suffix) ? parse_method(name.substr(0, name.size() - suffix.size())) : method;
}

bool is_geometric(Method method) {
    auto const plain = operator_of(method);
    return plain == Method::slerp || plain == Method::model_stock || plain == Method::karcher;
}

MergeOptions follow(Compatibility peer, MergeOptions options) {
    auto const plain = operator_of(options.method);
    switch (peer) {
        case Compatibility::samner:
            break;
        case Compatibility::peft:
            options.operate_on_single = true;
            options.same_rank = true;
            options.rescale = Rescale::expected;
            break;
        case Compatibility::peft_0_18:
            options.operate_on_single = true;
            options.same_rank = true;
            options.rescale = Rescale::none;
            break;
        case Compatibility::mergekit:
            options.operate_on_single = true;
            options.rescale = Rescale::l1;
            options.elect_weighted = true;
            options.keep_at_least_one = true;
            options.normalize = plain == Method::linear || plain == Method::ties || plain == Method::della
                                    ? Normalize::weights
                                    : Normalize::none;
            break;
        case Compatibility::ties_original:
            options.operate_on_single = true;
            options.trim_over = TrimOver::model;
            options.majority_decides = true;
            break;
    }
    return options;
}

void validate(MergeOptions const& options) {
    auto const plain = operator_of(options.method);
    if (!(options.density > 0.0 && options.density <= 1.0))
        throw InputError{fmt::format("merge density is {}", options.density), "use a number in (0, 1]"};
    if (options.rank < 0)
        throw InputError{fmt::format("merge rank is {}", options.rank), "use 0 (the experts' largest) or more"};
    if (!(options.gamma >= 0.0 && options.gamma < 1.0))
        throw InputError{fmt::format("merge gamma is {}", options.gamma), "use a number in [0, 1)"};
    if (!std::isfinite(options.lambda))
        throw InputError{fmt::format("merge lambda is {}", options.lambda), "use a finite number"};
    bool const drops_by_rank = (plain == Method::della || plain == Method::della_linear) && options.density < 1.0;
    if (drops_by_rank &&
        !(options.epsilon >= 0.0 && options.density - options.epsilon > 0.0 && options.density + options.epsilon < 1.0))
        throw InputError{fmt::format("merge epsilon is {} at density {}", options.epsilon, options.density),
                         "density - epsilon and density + epsilon have to be in (0, 1)"};
    if (options.normalize == Normalize::weights && (plain == Method::cat || is_geometric(plain)))
        throw InputError{fmt::format("method {} divided by the weights", to_string(options.method)),
                         "use normalize: method"};
    if (options.device == Device::cuda) {
        bool const there = plain == Method::linear || plain == Method::task_arithmetic || plain == Method::ties ||
                           plain == Method::magnitude_prune;
        if (!there || is_svd(options.method))
            throw InputError{fmt::format("method {} on a CUDA device", to_string(options.method)),
                             "use linear, task_arithmetic, magnitude_prune or ties there, or device cpu"};
        if (auto const obstacle = device_obstacle(); !obstacle.empty())
            throw InputError{fmt::format("a merge on a CUDA device: {}", obstacle), "use device cpu"};
    }
    bool const trims = plain == Method::ties || plain == Method::magnitude_prune;
    if (options.trim_over == TrimOver::model && !trims)
        throw InputError{fmt::format("trimming over the whole model with method {}", to_string(options.method)),
                         "use ties or magnitude_prune"};
    if (options.majority_decides && (plain != Method::ties || options.sign != Sign::total || options.elect_weighted))
        throw InputError{"the model's majority decides signs only in ties, elected by the total of the plain values",
                         "use method ties and sign total"};
}

}  // namespace samner::merge
