#include "corpus/table11.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/error.h"
#include "core/yaml.h"
#include "corpus/training_set.h"

namespace samner::corpus {
namespace {

namespace fs = std::filesystem;

bool is_there(std::vector<DataFile> const& files, fs::path const& root) {
    return std::ranges::all_of(files, [&](DataFile const& file) { return fs::exists(root / file.path); });
}

/// At least one split's files are all there.
bool is_there(Dataset const& dataset, fs::path const& root) {
    return std::ranges::any_of(dataset.splits, [&](auto const& split) { return is_there(split.second, root); });
}

/// The corpora that are there for a printed one: itself, or those that stand in for it.
std::vector<Dataset const*> there_for(std::string const& id, Catalogue const& catalogue, fs::path const& root) {
    std::vector<Dataset const*> stand_ins;
    for (auto const& [name, dataset] : catalogue.all()) {
        if (!is_there(dataset, root)) continue;
        if (name == id) return {&dataset};
        if (std::ranges::find(dataset.substitutes, id) != dataset.substitutes.end()) stand_ins.push_back(&dataset);
    }
    return stand_ins;
}

}  // namespace

PrintedTable read_printed_table(fs::path const& path) {
    auto const root = read_yaml(path);
    YamlMap map{root, path.string()};
    PrintedTable table;
    auto quotas = map.map("recomputed").map("sampling_rule").map("quotas");
    for (auto const& domain : quotas.keys()) table.quotas[domain] = quotas.require<std::int64_t>(domain);
    for (auto const& node : map.node("rows")) {
        YamlMap row{node, path.string(), "rows"};
        table.rows.push_back({row.require<std::string>("id"), row.require<std::string>("domain"),
                              row.require<std::int64_t>("types"), row.require<std::int64_t>("train"),
                              row.require<std::int64_t>("dev"), row.require<std::int64_t>("test"),
                              row.require<std::int64_t>("sampled")});
        if (!table.quotas.contains(table.rows.back().domain)) {
            throw InputError{fmt::format("no quota for the domain '{}' ({})", table.rows.back().domain, row.place()),
                             "add it to recomputed.sampling_rule.quotas"};
        }
    }
    return table;
}

std::vector<PresentCounts> present_table(
    Catalogue const& catalogue, fs::path const& root, PrintedTable const& printed,
    std::function<std::int64_t(Dataset const&, std::string const& split)> const& sentences) {
    std::vector<PresentCounts> rows;
    auto const count = [&](Dataset const& dataset, std::string const& domain) {
        PresentCounts counts{dataset.id, domain, {}, std::ssize(dataset.type_names()), {}, 0};
        for (auto const& [split, files] : dataset.splits) {
            if (is_there(files, root)) counts.sentences[split] = sentences(dataset, split);
        }
        return counts;
    };
    for (auto const& row : printed.rows) {
        for (auto const* const dataset : there_for(row.id, catalogue, root)) {
            auto found = std::ranges::find(rows, dataset->id, &PresentCounts::id);
            if (found == rows.end()) found = rows.insert(rows.end(), count(*dataset, row.domain));
            found->stands_for.push_back(row.id);
        }
    }
    for (auto const& [domain, quota] : printed.quotas) {
        std::vector<PresentCounts*> members;
        std::vector<std::int64_t> types;
        for (auto& row : rows) {
            if (row.domain != domain) continue;
            members.push_back(&row);
            types.push_back(row.types);
        }
        auto const sampled = shares(quota, types);
        for (std::size_t i = 0; i < members.size(); ++i) members[i]->sampled = sampled[i];
    }
    return rows;
}

}  // namespace samner::corpus
