#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "merge/adapter.h"
#include "merge/report.h"

namespace samner::merge {

/// One module with the factors of every expert, in one order for all modules; an expert that lacks it is absent there.
struct Module {
    std::string name;
    std::vector<Factors> experts;

    std::uint64_t bytes() const;  ///< of all experts' factors
};

/// Assigns items to ranks: the longest first (equal ones by name), each to the rank with the least so far (the lowest
/// of equals). Depends on the arguments alone. Where modules are small beside a rank's share, as in language models, no
/// rank gets more than 1.2 times the mean or the largest module.
/// @return indices of the modules of each rank, ascending
/// @throws InputError when ranks < 1
std::vector<std::vector<std::size_t>> assign_shards(std::span<Module const> modules, int ranks);

/// A merge of whole adapters that is done module by module, in any order, by any number of ranks with the same bits.
/// What it needs to know of the whole model (TrimOver::model, majority_decides) it finds when it is made; each rank
/// finds the same, so that nothing has to be exchanged.
class ModelMerge {
public:
    /// @param modules  the spans' memory has to live as long as this object
    /// @param space    delta where `delta` will be called, factor where `factors` will be
    /// @throws InputError when options are invalid, there is no module, or modules differ in their experts
    ModelMerge(MergeOptions options, Space space, std::vector<Module> modules);

    std::span<Module const> modules() const { return modules_; }
    std::vector<std::vector<std::size_t>> shards(int ranks) const { return assign_shards(modules_, ranks); }

    /// As merge_factors and merge_delta, for one module. Calls may run on several threads at once.
    /// @param report  where not null, becomes what the merge did to the module
    void factors(std::size_t module, MergedFactors& out, ModuleReport* report = nullptr) const;
    void delta(std::size_t module, std::span<float> out, ModuleReport* report = nullptr) const;

private:
    void find_cuts(Space space);
    void find_majority(Space space);

    MergeOptions options_;
    std::vector<Module> modules_;
    ModelTrim trim_;
};

}  // namespace samner::merge
