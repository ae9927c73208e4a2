#include "merge/method.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/yaml.h"

namespace samner::merge {
namespace {

template <class Enum, std::size_t size>
using Names = std::array<std::pair<std::string_view, Enum>, size>;

constexpr Names<Method, 12> methods{{{"linear", Method::linear},
                                     {"task_arithmetic", Method::task_arithmetic},
                                     {"magnitude_prune", Method::magnitude_prune},
                                     {"ties", Method::ties},
                                     {"dare_linear", Method::dare_linear},
                                     {"dare_ties", Method::dare_ties},
                                     {"cat", Method::cat},
                                     {"svd", Method::svd},
                                     {"magnitude_prune_svd", Method::magnitude_prune_svd},
                                     {"ties_svd", Method::ties_svd},
                                     {"dare_linear_svd", Method::dare_linear_svd},
                                     {"dare_ties_svd", Method::dare_ties_svd}}};
constexpr Names<Sign, 2> signs{{{"total", Sign::total}, {"frequency", Sign::frequency}}};
constexpr Names<Space, 2> spaces{{{"factor", Space::factor}, {"delta", Space::delta}}};

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

std::string_view to_string(Method method) {
    return name_of(methods, method);
}
std::string_view to_string(Sign sign) {
    return name_of(signs, sign);
}
std::string_view to_string(Space space) {
    return name_of(spaces, space);
}

bool is_svd(Method method) {
    switch (method) {
        case Method::svd:
        case Method::magnitude_prune_svd:
        case Method::ties_svd:
        case Method::dare_linear_svd:
        case Method::dare_ties_svd:
            return true;
        default:
            return false;
    }
}

void validate(MergeOptions const& options) {
    if (!(options.density > 0.0 && options.density <= 1.0))
        throw InputError{fmt::format("merge density is {}", options.density), "use a number in (0, 1]"};
    if (options.rank < 0)
        throw InputError{fmt::format("merge rank is {}", options.rank), "use 0 (the experts' largest) or more"};
}

}  // namespace samner::merge
