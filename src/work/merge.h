#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/fields.h"
#include "merge/settings.h"
#include "work/texts.h"

namespace samner::work {

struct Merged {
    static constexpr std::string_view kind = "merge";
    std::int64_t experts = 0;

    template <class Self, class Visit>
    static void fields(Self& self, Visit&& visit) {
        visit("experts", self.experts);
    }
};

/// Merges adapters (SaM, section 3.3): a PEFT folder.
struct Merge {
    using Result = Merged;
    static constexpr std::string_view kind = "merge";

    std::vector<Input> adapters;  ///< sorted, with their weights
    std::vector<double> weights;
    merge::MethodSettings settings;
    std::vector<std::string> names;  ///< of the adapters, for people
    int layers = 1;                  ///< of the base model: what ranks can share

    template <class Self, class Visit>
    static void fields(Self& self, Visit&& visit) {
        visit("adapters", self.adapters);
        visit("weights", self.weights);
        visit("settings", self.settings, no_influence);  // those that the method uses: see key()
        visit("names", self.names, no_influence);
        visit("layers", self.layers, no_influence);
    }
    /// 2: svd methods that follow peft give every module the largest rank of all. Others are as they were.
    int revision() const;
    Json key() const;
    std::string label() const;
    int width() const { return layers; }
    std::int64_t size() const { return std::ssize(adapters); }
};

}  // namespace samner::work
