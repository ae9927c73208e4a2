#include "work/cluster.h"

#include <fmt/format.h>

namespace samner::work {

std::string Cluster::label() const {
    if (target) return fmt::format("split {} in {}", target->name(), clusters);
    return fmt::format("cluster {}", recipe.name());
}

std::string to_labels_file(std::vector<std::int64_t> const& labels) {
    return Json{{"labels", labels}}.dump() + "\n";
}

std::vector<std::int64_t> read_labels(std::filesystem::path const& path) {
    return member<std::vector<std::int64_t>>(read_json(path), "labels", path.string());
}

}  // namespace samner::work
