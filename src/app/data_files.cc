#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <sstream>

#include "app/data_options.h"
#include "app/progress.h"
#include "core/file.h"
#include "core/hash.h"
#include "core/json.h"

namespace samner::app {
namespace {

namespace fs = std::filesystem;

/// Those that are named; where none is, those of the folders that are named, or all.
std::vector<corpus::Dataset> chosen(DataOptions const& options) {
    auto const catalogue = options.catalogue();
    std::vector<corpus::Dataset> result;
    for (auto const& id : options.datasets) result.push_back(catalogue.at(id));
    if (options.datasets.empty()) {
        auto const all =
            options.folders.empty() ? catalogue : corpus::Catalogue{{options.folders.begin(), options.folders.end()}};
        for (auto const& [id, dataset] : all.all()) result.push_back(dataset);
    }
    return result;
}

/// What to do about a data set that cannot be fetched; an own one has no source.
std::string how_to_get(corpus::Dataset const& dataset, std::vector<corpus::DataFile> const& files) {
    std::vector<std::string> paths;
    for (auto const& file : files)
        if (std::ranges::find(paths, file.path) == paths.end()) paths.push_back(file.path);
    auto const where = fmt::format("put {} under the data root", fmt::join(paths, ", "));
    if (dataset.source.empty()) return fmt::format("{} yourself", where);
    auto const licence = dataset.licence.empty() ? "" : fmt::format(" ({})", dataset.licence);
    return fmt::format("get it from {}{} and {}", dataset.source, licence, where);
}

std::vector<corpus::DataFile> files_of(corpus::Dataset const& dataset) {
    std::vector<corpus::DataFile> files;
    for (auto const& [split, part] : dataset.splits) files.insert(files.end(), part.begin(), part.end());
    return files;
}

/// Files with their states: good, different, missing, unchecked (no SHA-256 is known), yours (nobody has to have it).
class Verification {
public:
    Verification(fs::path root, bool json) : root_{std::move(root)}, json_{json} {}

    void check(std::string const& path, std::string const& sha256) {
        if (!fs::exists(root_ / path)) return add("missing", path, "");
        if (sha256.empty() || fs::is_directory(root_ / path))
            return add("unchecked", path, ": its description has no SHA-256");
        if (auto const hash = sha256_file(root_ / path); hash != sha256)
            return add("different", path, fmt::format(": SHA-256 is {}, not {}", hash, sha256));
        add("good", path, "");
    }
    void add(std::string const& state, std::string const& path, std::string const& why) {
        ++counts_[state];
        files_.push_back({{"file", path}, {"state", state}});
        if (!json_ && state != "good") fmt::print("{:<9} {}{}\n", state, path, why);
    }
    void print(bool are_cuts) {
        if (json_) return fmt::print("{}\n", files_.dump(1));
        fmt::print("{} {}, {} unchecked, {} different, {} missing ({})\n", counts_["good"],
                   are_cuts ? "cuts as CUTS.tsv lists them (not upstream's whole files)" : "files as described",
                   counts_["unchecked"], counts_["different"], counts_["missing"], root_.string());
    }
    bool failed() { return counts_["different"] + counts_["missing"] > 0; }

private:
    fs::path root_;
    bool json_;
    std::map<std::string, std::int64_t> counts_;
    Json files_ = Json::array();
};

/// The list that was made with a folder of cuts: path and SHA-256.
std::map<std::string, std::string> read_cuts(fs::path const& list) {
    std::map<std::string, std::string> cuts;
    for_each_line(read_text(list), [&](std::string_view line, std::size_t number) {
        if (number == 1) return;
        std::istringstream fields{std::string{line}};
        std::string path;
        std::string sentences;
        std::string sha256;
        if (!(fields >> path >> sentences >> sha256))
            throw InputError{fmt::format("no path, number of sentences and SHA-256 ({}:{})", list.string(), number)};
        cuts[path] = sha256;
    });
    return cuts;
}

}  // namespace

corpus::Catalogue DataOptions::catalogue() const {
    auto catalogue = corpus::Catalogue::with_shipped({folders.begin(), folders.end()});
    catalogue.warn_of_replaced();
    return catalogue;
}

fs::path DataOptions::data() const {
    return corpus::root_or_default(root, "give --root DIR");
}

void verify(DataOptions const& options, ExitCode& code) {
    auto const root = options.data();
    auto const list = root / "CUTS.tsv";
    bool const are_cuts = fs::exists(list);
    auto const cuts = are_cuts ? read_cuts(list) : std::map<std::string, std::string>{};
    Verification result{root, options.json};
    for (auto const& dataset : chosen(options)) {
        for (auto const& file : files_of(dataset)) {
            if (are_cuts) {
                if (auto const cut = cuts.find(file.path); cut != cuts.end()) result.check(file.path, cut->second);
            } else if (dataset.user_supplied && !fs::exists(root / file.path)) {
                result.add("yours", file.path, "");
            } else {
                result.check(file.path, file.sha256);
            }
        }
    }
    result.print(are_cuts);
    if (result.failed()) code = ExitCode::task_failed;
}

void fetch(DataOptions const& options, ExitCode& code) {
    std::vector<corpus::DataFile> files;
    for (auto const& dataset : chosen(options)) {
        auto const all = files_of(dataset);
        if (std::ranges::all_of(all, [](auto const& file) { return !file.sha256.empty(); })) {
            files.insert(files.end(), all.begin(), all.end());
            continue;
        }
        // Without a SHA-256 nothing would tell a whole file from a broken one, so these are never fetched.
        auto const how = how_to_get(dataset, all);
        if (!options.datasets.empty())
            throw InputError{fmt::format("data set {} cannot be fetched: its description has no SHA-256", dataset.id),
                             how};
        fmt::print("yours     {}: {}\n", dataset.id, how);
    }
    auto const root = options.data();
    using State = corpus::FetchStatus::State;
    std::map<State, std::int64_t> counts;
    Progress progress{"fetching", files.size()};
    auto const failed = corpus::fetch(files, root, options.fetch, [&](corpus::FetchStatus const& status) {
        if (status.state != State::fetching) ++counts[status.state];
        if (status.state == State::fetched) fmt::print("fetched   {}\n", status.file.path);
        if (status.state == State::failed) fmt::print(stderr, "error: {}\n", status.error);
        auto const done =
            static_cast<std::size_t>(counts[State::there] + counts[State::fetched] + counts[State::failed]);
        auto const mebibytes = [](std::int64_t bytes) { return static_cast<double>(bytes) / (1 << 20); };
        progress.update(done, status.state != State::fetching ? std::string{}
                              : status.total == 0
                                  ? fmt::format("{} {:.1f} MiB", status.file.path, mebibytes(status.bytes))
                                  : fmt::format("{} {:.1f} of {:.1f} MiB", status.file.path, mebibytes(status.bytes),
                                                mebibytes(status.total)));
    });
    fmt::print("{} files fetched, {} were there, {} failed ({})\n", counts[State::fetched], counts[State::there],
               failed, root.string());
    if (failed > 0) code = ExitCode::task_failed;
}

}  // namespace samner::app
