#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "merge/model.h"
#include "task/merge_adapters.h"
#include "weights/adapter.h"

namespace samner::task {

/// The open adapters of a merge and the merge of their modules, which reads a module's factors when it merges it.
class Merger {
public:
    /// Opens the adapters and checks all but their values; hashes them, each on one rank.
    /// @param ranks  as for merge_adapters
    Merger(AdapterMerge const& request, merge::Space space, comm::Comm const* ranks);
    Merger(Merger const&) = delete;
    Merger& operator=(Merger const&) = delete;

    AdapterMerge const& request() const { return request_; }
    merge::ModelMerge const& merge() const { return *merge_; }
    std::vector<weights::AdapterFile> const& experts() const { return experts_; }

    /// Gives back the memory that reading a module's factors took.
    void release(std::size_t module) const;

    /// Reads a module's factors. @throws InputError for what must not be in them
    void check(std::size_t module) const;

    /// Bytes of a module's factors of all experts, at most.
    std::uint64_t largest_module() const;

    /// Of the experts' names of their base the longest, which says most: a path more than a folder's name. Of equally
    /// long ones the last in byte order, so that the order of the experts does not matter.
    std::string base_name() const;

    /// Inputs' hashes and weights, method and parameters.
    std::map<std::string, std::string> provenance() const;

private:
    void open_experts();
    void hash_experts(comm::Comm const* ranks);
    std::vector<merge::Module> modules() const;
    merge::FactorValues read(std::size_t module, std::size_t expert) const;

    AdapterMerge const& request_;
    std::vector<weights::AdapterFile> experts_;
    std::vector<std::string> hashes_;
    std::vector<std::vector<weights::LoraTensors const*>> tensors_;  ///< [module][expert], null where it has none
    std::optional<merge::ModelMerge> merge_;
};

}  // namespace samner::task
