#include "merge/method.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/yaml.h"
#include "merge/device.h"

namespace samner::merge {
namespace {

template <class Enum, std::size_t size>
using Names = std::array<std::pair<std::string_view, Enum>, size>;

constexpr Names<Method, 26> methods{{{"linear", Method::linear},
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
                                     {"karcher_svd", Method::karcher_svd}}};
constexpr Names<Sign, 2> signs{{{"total", Sign::total}, {"frequency", Sign::frequency}}};
constexpr Names<Space, 2> spaces{{{"factor", Space::factor}, {"delta", Space::delta}}};
constexpr Names<TrimOver, 2> trims{{{"tensor", TrimOver::tensor}, {"model", TrimOver::model}}};
constexpr Names<Device, 2> devices{{{"cpu", Device::cpu}, {"cuda", Device::cuda}}};
constexpr Names<Rescale, 3> rescales{{{"none", Rescale::none}, {"expected", Rescale::expected}, {"l1", Rescale::l1}}};
constexpr Names<Normalize, 3> normalizes{
    {{"method", Normalize::method}, {"weights", Normalize::weights}, {"none", Normalize::none}}};
constexpr Names<Compatibility, 5> peers{{{"samner", Compatibility::samner},
                                         {"peft", Compatibility::peft},
                                         {"peft-0.18", Compatibility::peft_0_18},
                                         {"mergekit", Compatibility::mergekit},
                                         {"ties-original", Compatibility::ties_original}}};

template <class Enum, std::size_t size>
Enum parse(Names<Enum, size> const& names, std::string_view what, std::string_view name) {
    std::vector<std::string> known;
    for (auto const& [text, value] : names) {
        if (text == name) return value;
        known.emplace_back(text);
    }
    auto const near = did_you_mean(name, known);
    throw InputError{fmt::format("unknown {} '{}'", what, name),
                     near ? fmt::format("did you mean {}?", *near) : fmt::format("use {}", fmt::join(known, ", "))};
}

template <class Enum, std::size_t size>
std::string_view name_of(Names<Enum, size> const& names, Enum value) {
    for (auto const& [text, entry] : names)
        if (entry == value) return text;
    throw std::logic_error{"an enumerator without a name"};
}

}  // namespace

Method parse_method(std::string_view name) {
    return parse(methods, "merge method", name);
}
Sign parse_sign(std::string_view name) {
    return parse(signs, "sign election", name);
}
Space parse_space(std::string_view name) {
    return parse(spaces, "merge space", name);
}
TrimOver parse_trim_over(std::string_view name) {
    return parse(trims, "range of trimming", name);
}
Device parse_device(std::string_view name) {
    return parse(devices, "device", name);
}
Rescale parse_rescale(std::string_view name) {
    return parse(rescales, "rescaling", name);
}
Normalize parse_normalize(std::string_view name) {
    return parse(normalizes, "normalisation", name);
}
Compatibility parse_compatibility(std::string_view name) {
    return parse(peers, "merge compatibility", name);
}

std::string_view to_string(Method method) {
    return name_of(methods, method);
}
std::string_view to_string(Sign sign) {
    return name_of(signs, sign);
}
std::string_view to_string(Space space) {
    return name_of(spaces, space);
}
std::string_view to_string(TrimOver where) {
    return name_of(trims, where);
}
std::string_view to_string(Rescale rescale) {
    return name_of(rescales, rescale);
}
std::string_view to_string(Normalize normalize) {
    return name_of(normalizes, normalize);
}
std::string_view to_string(Compatibility compatibility) {
    return name_of(peers, compatibility);
}

std::vector<std::string> method_names() {
    std::vector<std::string> names;
    for (auto const& [name, method] : methods) names.emplace_back(name);
    return names;
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
            options.rescale = Rescale::expected;
            break;
        case Compatibility::peft_0_18:
            options.operate_on_single = true;
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

MergeOptions with_names(OptionNames const& names, MergeOptions options) {
    options.method = parse_method(names.method);
    options.sign = parse_sign(names.sign);
    options = follow(parse_compatibility(names.follow), options);
    if (!names.trim_over.empty()) options.trim_over = parse_trim_over(names.trim_over);
    if (!names.rescale.empty()) options.rescale = parse_rescale(names.rescale);
    if (!names.normalize.empty()) options.normalize = parse_normalize(names.normalize);
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
