#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include "core/fields.h"
#include "core/json.h"
#include "core/key.h"
#include "merge/method.h"

namespace samner::merge {

/// What a user can set of a merge, in a run file (`merge:`), on the command line or in a row. `for_each_setting` is the
/// table of its members.
struct Settings {
    Space space = Space::factor;
    double density = 0.5;
    Sign sign = Sign::total;
    Compatibility follow = Compatibility::samner;
    std::optional<TrimOver> trim_over = {};  ///< not given: as `follow` has it; likewise the next two
    std::optional<Rescale> rescale = {};
    std::optional<Normalize> normalize = {};
    double lambda = 1;
    double gamma = 0.01;
    double epsilon = 0.15;
    std::int64_t rank = 0;

    /// All of them; what is not given is an empty text.
    Json to_json() const;
    /// Reads those that an object names. @throws InputError for an unknown one, or a value that it cannot have
    static Settings from_json(Json const& object, std::string_view place);
    /// Sets one by its name. @throws InputError as from_json
    void set(std::string_view name, Json const& value, std::string_view place);

    friend bool operator==(Settings const&, Settings const&) = default;
};

/// One line of the table.
template <class T, class Option>
struct Setting {
    std::string_view name;
    T Settings::*member;
    Option option;            ///< the member of MergeOptions that it sets; null: several (merge::follow), or none
    bool (*used_by)(Method);  ///< other methods do not look at it
    bool always;              ///< part of a merge's key also where it has its default
    std::string_view help;
    Range range = {};  ///< which `validate` checks
};

inline bool any_method(Method) {
    return true;
}
bool is_breadcrumbs(Method method);
bool is_della(Method method);
/// Whether the method drops elements at random, with the seed.
bool is_random(Method method);

/// Calls visit with each line of the table.
template <class Visit>
void for_each_setting(Visit&& visit) {
    visit(Setting{"space", &Settings::space, nullptr, any_method, false,
                  "what is merged: each factor of the adapters by itself, or their products, into the base's weights "
                  "(delta)"});
    visit(Setting{"density",
                  &Settings::density,
                  &MergeOptions::density,
                  any_method,
                  true,
                  "share of the elements kept, in (0, 1]",
                  {.least = 0, .most = 1, .above = true}});
    visit(Setting{"sign", &Settings::sign, &MergeOptions::sign, any_method, true,
                  "elects signs: the total of the values, or the frequency of either sign"});
    visit(Setting{"follow", &Settings::follow, nullptr, any_method, false,
                  "whose arithmetic: samner's own, or that of peft, peft-0.18, mergekit or ties-original"});
    visit(
        Setting{"trim_over", &Settings::trim_over, &MergeOptions::trim_over, any_method, false,
                "where ties and magnitude_prune look for the largest elements: in each tensor, or in the whole model"});
    visit(Setting{
        "rescale", &Settings::rescale, &MergeOptions::rescale, any_method, false,
        "makes up for random drops: division by the chance of being kept (expected), a factor a tensor (l1), or none"});
    visit(Setting{"normalize", &Settings::normalize, &MergeOptions::normalize, any_method, false,
                  "what sums are divided by: what the method says (method), the summed weights (weights), or none"});
    visit(
        Setting{"lambda", &Settings::lambda, &MergeOptions::lambda, any_method, false, "multiplies the merged update"});
    visit(Setting{"gamma",
                  &Settings::gamma,
                  &MergeOptions::gamma,
                  is_breadcrumbs,
                  true,
                  "breadcrumbs: share of the largest elements dropped, in [0, 1)",
                  {.least = 0, .most = 1, .below = true}});
    visit(Setting{"epsilon", &Settings::epsilon, &MergeOptions::epsilon, is_della, true,
                  "della: keep probabilities are density - epsilon to + epsilon"});
    visit(
        Setting{"rank",
                &Settings::rank,
                &MergeOptions::rank,
                is_svd,
                false,
                "of the result of an svd method; 0: the largest of the experts', with follow peft that of all modules",
                {.least = 0}});
}

/// The settings of one merge.
struct MethodSettings {
    Method method = Method::ties;
    std::uint64_t seed = 0;  ///< of a method that draws, else 0
    Settings given = {};

    template <class Self, class Visit>
    static void fields(Self& self, Visit&& visit) {
        visit("method", self.method);
        visit("seed", self.seed);
        visit("given", self.given);
    }
    /// What the result depends on. What the method does not use, or what is left as usual, is left out: it does not
    /// change the keys of earlier runs.
    Json key() const;
    /// @throws InputError when they contradict each other, as `validate`
    MergeOptions options() const;
};

/// Whether a merge of one adapter of weight 1 is that adapter: nothing is trimmed, scaled or brought to another rank.
bool keeps_single_adapter(MergeOptions const& options);

MethodSettings of_method(Settings const& given, Method method, std::uint64_t seed);

}  // namespace samner::merge
