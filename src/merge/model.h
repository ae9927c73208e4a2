#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "merge/adapter.h"
#include "merge/report.h"

namespace samner::merge {

/// What an expert has of a module, but for the values. Rank 0: the expert lacks the module.
struct ExpertModule {
    std::int64_t rank = 0;
    std::int64_t in = 0;
    std::int64_t out = 0;
    double scaling = 1.0;
    double weight = 1.0;
    std::string_view identity = {};      ///< see Factors
    std::optional<double> density = {};  ///< see Factors
};

/// One module of every expert, in one order for all modules.
struct Module {
    std::string name;
    std::vector<ExpertModule> experts;

    std::uint64_t bytes() const;  ///< of all experts' factors, in float32
};

/// The values of an expert's factors, in memory of their own or in that of somebody who keeps it longer.
struct FactorValues {
    std::span<float const> a;
    std::span<float const> b;
    std::array<std::vector<float>, 2> memory;
};

/// Reads the factors that an expert has of a module. Calls come from several threads at once.
using ReadFactors = std::function<FactorValues(std::size_t module, std::size_t expert)>;

/// Something that one rank does.
struct Share {
    std::string_view name;
    std::uint64_t bytes = 0;  ///< what it costs
};

/// Assigns items to ranks: the longest first (equal ones by name), each to the rank with the least so far (the lowest
/// of equals). Depends on the arguments alone. Where items are small beside a rank's share, as in language models, no
/// rank gets more than 1.2 times the mean or the largest item.
/// @return indices of the items of each rank, ascending
/// @throws InputError when ranks < 1
std::vector<std::vector<std::size_t>> assign_shards(std::span<Share const> items, int ranks);

/// A merge of whole adapters that is done module by module, in any order, by any number of ranks with the same bits. It
/// holds no values: a module is read when it is merged. What it needs to know of the whole model (TrimOver::model,
/// majority_decides) it finds when it is made, by walking through it; each rank finds the same, so that nothing has to
/// be exchanged.
class ModelMerge {
public:
    /// @param space  delta where `delta` will be called, factor where `factors` will be
    /// @throws InputError when options or a module's density are invalid, there is no module, or modules differ in
    /// their experts
    ModelMerge(MergeOptions options, Space space, std::vector<Module> modules, ReadFactors read);

    std::span<Module const> modules() const { return modules_; }
    std::vector<std::vector<std::size_t>> shards(int ranks) const;  ///< of the modules; see assign_shards

    /// As merge_factors and merge_delta, for one module. Calls may run on several threads at once. Memory beside the
    /// result: the experts' factors where `read` allocates them; for `delta` see merge_delta.
    /// @param report  where not null, becomes what the merge did to the module
    void factors(std::size_t module, MergedFactors& out, ModuleReport* report = nullptr) const;
    void delta(std::size_t module, std::span<float> out, ModuleReport* report = nullptr) const;

    /// As merge_delta, which gives the result part by part. @param memory  for whole updates, used again
    void delta(std::size_t module, TakePart const& take, UpdateMemory& memory) const;

private:
    void find_cuts(Space space);
    void find_majority(Space space);

    MergeOptions options_;
    std::vector<Module> modules_;
    ReadFactors read_;
    ModelTrim trim_;
};

}  // namespace samner::merge
