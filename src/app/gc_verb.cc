#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "app/run_folder.h"
#include "app/command_line.h"
#include "app/verbs.h"
#include "core/error.h"
#include "core/file.h"
#include "core/hash.h"
#include "core/json.h"
#include "core/stop.h"
#include "store/artifacts.h"
#include "store/claims.h"

namespace samner::app {
namespace {

namespace fs = std::filesystem;

struct Options {
    fs::path path;  ///< of a run folder or a store
    bool remove = false;
    bool only_present = false;
    bool forget_missing = false;
};

/// A run that uses a store, and the keys of what it needs.
struct User {
    std::string id;
    fs::path folder;
    bool there = true;
    bool live = false;
    std::set<std::string> keys;
};

/// Something in a store that nobody needs.
struct Unneeded {
    fs::path path;
    std::string label;
    std::int64_t bytes = 0;
};

fs::path store_of(fs::path const& path) {
    if (fs::exists(path / "journal") && fs::is_directory(path / "artifacts")) return path / "artifacts";
    if (fs::is_directory(path / ".runs")) return path;
    throw InputError{fmt::format("'{}' is neither a run folder nor a store", path.string()),
                     "name a folder with a journal, or one that runs were given as --store"};
}

/// The keys of all that a run's journal says is there.
/// @param only_present  of the last experiment: what its plan had when it began, and what came after
/// @throws InputError also for a journal with lines that cannot be read, which may tell of more
std::set<std::string> needed_by(fs::path const& run, bool only_present) {
    auto const replay = read_journal(run);
    if (!replay.problems.empty()) {
        throw InputError{fmt::format("the journal of '{}' has {} lines that cannot be read: what they tell of is not "
                                     "known",
                                     run.string(), replay.problems.size()),
                         "restore the journal, or keep this store as it is"};
    }
    if (replay.records.empty()) {
        throw InputError{fmt::format("the journal of '{}' is empty: what the run needs is not known", run.string()),
                         "restore the journal, or run it once more"};
    }
    std::set<std::string> keys;
    for (auto const& record : replay.records) {
        if (only_present && record.value("kind", Json{}) == "experiment") keys.clear();
        auto const task = work::from_journal(record);
        if (task && task->ok) keys.insert(task->key);
    }
    if (!only_present) return keys;
    auto const file = run / "plan.json";
    if (!fs::exists(file)) {
        throw InputError{fmt::format("'{}' has no plan.json", run.string()),
                         "run it once more, or leave out --only-present"};
    }
    auto const plan = parse_json(read_text(file), file.string());
    if (plan.value("experiment", Json{}) != sha256(read_text(run / "experiment.yaml"))) {
        throw InputError{fmt::format("'{}' is not the plan of its present experiment", file.string()),
                         "run it once more, or leave out --only-present"};
    }
    for (auto const& task : member<Json>(plan, "tasks", file.string()))
        keys.insert(member<std::string>(task, "key", file.string()));
    return keys;
}

/// Whether a file is one that a run's writer left unfinished: KEY.RUN-EPOCH-RANK-N.partial.
bool is_partial(std::string const& name) {
    static std::regex const pattern{R"([0-9a-f]{64}\.[0-9a-z.-]+-[0-9]+-[0-9]+(\.partial)+)"};
    return std::regex_match(name, pattern);
}

/// Whether a file of a store is a task's result.
bool is_key(std::string const& name) {
    return name.size() == 64 && name.find_first_not_of("0123456789abcdef") == std::string::npos;
}

std::vector<User> users_of(fs::path const& store, Options const& options) {
    std::vector<User> users;
    auto const named = fs::exists(options.path / "journal") ? fs::canonical(options.path) : fs::path{};
    /// @param id  that the folder has to have; empty: any
    auto const add = [&](fs::path folder, std::string const& id, bool live) {
        if (!id.empty() && !named.empty() && store::run_id(named) == id) folder = named;  // it was moved
        auto& user = users.emplace_back();
        user.id = id;
        user.folder = folder;
        user.live = live;
        user.there = fs::exists(folder / "journal") && (id.empty() || store::run_id(folder) == id);
        if (user.there) user.keys = needed_by(folder, options.only_present);
    };
    auto const live = [](fs::path const& held) {
        auto const holder = store::last_holder(held);
        return holder && holder->alive;
    };
    for (auto const& run : store::runs_of(store)) add(run.folder, run.id, live(run.home));
    // A run folder from before stores knew their runs.
    if (!named.empty() && std::ranges::find(users, named, &User::folder) == users.end()) add(named, {}, live(named));
    return users;
}

std::string label_in(store::Artifacts const& artifacts, std::string const& key) {
    auto const text = artifacts.record(key);
    auto const json = text ? Json::parse(*text, nullptr, false) : Json{};
    if (!json.is_object()) return "without a record";
    auto const label = json.value("label", Json{});
    return label.is_string() ? label.get<std::string>() : "unknown";
}

void gc_verb(Options const& options) {
    auto const root = store_of(options.path);
    // Runs that begin now wait for this one; those that had begun are found below.
    std::optional<store::Lease> lease;
    if (options.remove) lease.emplace(store::removal_folder(root));
    store::Artifacts const artifacts{root};
    auto const users = users_of(root, options);
    std::set<std::string> needed;
    fmt::print("store: {}\n", root.string());
    for (auto const& user : users) {
        needed.insert(user.keys.begin(), user.keys.end());
        fmt::print("run:   {}: {}{}\n", user.folder.string(),
                   user.there ? fmt::format("needs {} results", user.keys.size()) : "not there any more",
                   user.live ? ", is running" : "");
    }
    std::vector<Unneeded> unneeded;
    std::int64_t kept = 0;
    std::size_t kept_count = 0;
    for (auto const& entry : fs::directory_iterator{root}) {
        auto const name = entry.path().filename().string();
        bool const partial = is_partial(name);
        if (!partial && !is_key(name)) continue;  // not samner's
        auto const bytes = store::bytes_of(entry.path());
        if (needed.contains(name)) {
            kept += bytes;
            ++kept_count;
        } else {
            unneeded.push_back({entry.path(), partial ? "unfinished" : label_in(artifacts, name), bytes});
        }
    }
    std::ranges::sort(unneeded, {}, [](Unneeded const& one) { return std::pair{one.label, one.path}; });
    std::int64_t freed = 0;
    for (auto const& one : unneeded) {
        freed += one.bytes;
        fmt::print("  {:.12}  {:>10}  {}\n", one.path.filename().string(), size_text(static_cast<double>(one.bytes)),
                   one.label);
    }
    fmt::print("kept: {} results, {}; not needed: {}, {}\n", kept_count, size_text(static_cast<double>(kept)),
               unneeded.size(), size_text(static_cast<double>(freed)));
    auto const running = std::ranges::find_if(users, &User::live);
    auto const missing = std::ranges::find_if_not(users, &User::there);
    if (!options.remove) {
        fmt::print("nothing was removed: --delete does it\n");
        return;
    }
    if (running != users.end()) {
        throw RunInUseError{fmt::format("the run in '{}' is live: nothing was removed", running->folder.string()),
                            "wait for it, or stop it"};
    }
    if (missing != users.end() && !options.forget_missing) {
        throw InputError{fmt::format("the run folder '{}' is not there: nothing was removed", missing->folder.string()),
                         "mount it, or keep nothing for such runs with --forget-missing"};
    }
    if (users.empty() && !unneeded.empty()) {
        throw InputError{fmt::format("'{}' knows of no run: nothing was removed", root.string()),
                         "call a run that uses it once more, so that it does"};
    }
    for (auto const& one : unneeded) {
        check_stop();
        lease->check();  // when this was suspended, runs may have begun
        auto const name = one.path.filename().string();
        if (is_partial(name)) {
            fs::remove_all(one.path);
        } else {
            artifacts.discard(name);
        }
    }
    for (auto const& run : store::runs_of(root)) {
        auto const user = std::ranges::find(users, run.id, &User::id);
        if (user != users.end() && !user->there) store::forget(run);
    }
    fmt::print("removed {} results, {}\n", unneeded.size(), size_text(static_cast<double>(freed)));
}

}  // namespace

void add_gc_verb(CLI::App& app) {
    auto options = std::make_shared<Options>();
    auto* const gc = app.add_subcommand("gc", "List, or remove, what no run on a store needs");
    gc->add_option("PATH", options->path, "run folder or store")->required();
    gc->add_flag("--delete", options->remove, "remove it; without this it is only listed");
    gc->add_flag("--only-present", options->only_present,
                 "keep what the present experiments of its runs need, not what earlier versions of them did");
    gc->add_flag("--forget-missing", options->forget_missing, "keep nothing for runs whose folders are not there");
    add_examples(*gc, "samner gc runs/demo");
    gc->callback([options] { gc_verb(*options); });
}

}  // namespace samner::app
