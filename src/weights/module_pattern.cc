#include "weights/module_pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <fmt/format.h>
#include <pcre2.h>

#include <cstdint>

#include "core/error.h"
#include "weights/fields.h"

namespace samner::weights {
namespace {

template <auto release>
struct Release {
    template <class T>
    void operator()(T* object) const noexcept {
        release(object);
    }
};
using Code = std::unique_ptr<pcre2_code, Release<&pcre2_code_free>>;
using Match = std::unique_ptr<pcre2_match_data, Release<&pcre2_match_data_free>>;
using MatchContext = std::unique_ptr<pcre2_match_context, Release<&pcre2_match_context_free>>;

constexpr std::uint32_t most_steps = 100'000;
constexpr std::size_t longest_expression = 4096;

PCRE2_SPTR units(std::string_view text) {
    return reinterpret_cast<PCRE2_SPTR>(text.data());
}

}  // namespace

struct ModulePattern::Impl {
    std::string expression;
    Code code;
};

ModulePattern::ModulePattern(std::string const& expression, std::string_view place)
    : impl_{std::make_unique<Impl>(Impl{expression, nullptr})} {
    int error = 0;
    std::size_t offset = 0;
    if (expression.size() <= longest_expression) {
        impl_->code.reset(pcre2_compile(units(expression), expression.size(), PCRE2_ANCHORED | PCRE2_ENDANCHORED,
                                        &error, &offset, nullptr));
    }
    if (!impl_->code) {
        throw InputError{fmt::format("module pattern '{}' is no regular expression ({})", shown(expression), place),
                         "name modules by their last parts, such as q_proj"};
    }
}

ModulePattern::ModulePattern(ModulePattern&&) noexcept = default;
ModulePattern& ModulePattern::operator=(ModulePattern&&) noexcept = default;
ModulePattern::~ModulePattern() = default;

bool ModulePattern::matches(std::string_view name) const {
    Match const match{pcre2_match_data_create_from_pattern(impl_->code.get(), nullptr)};
    MatchContext const context{pcre2_match_context_create(nullptr)};
    if (!match || !context) throw Error{"out of memory in a regular expression"};
    pcre2_set_match_limit(context.get(), most_steps);
    pcre2_set_depth_limit(context.get(), most_steps);
    auto const result = pcre2_match(impl_->code.get(), units(name), name.size(), 0, 0, match.get(), context.get());
    if (result >= 0) return true;
    if (result == PCRE2_ERROR_NOMATCH) return false;
    throw InputError{fmt::format("module pattern '{}' cannot be matched with '{}' (PCRE2 error {})",
                                 shown(impl_->expression), shown(name), result),
                     "use a simpler pattern"};
}

}  // namespace samner::weights
