#include "store/claims.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <random>

#include "core/error.h"
#include "core/file.h"
#include "store/rename_new.h"

namespace samner::store {
namespace {

namespace fs = std::filesystem;

/// 12 hex digits that no other run has.
std::string new_id() {
    std::random_device device;
    auto const bits = (std::uint64_t{device()} << 32U) | device();
    return fmt::format("{:012x}", bits & 0xFFFFFFFFFFFFU);
}

std::string without_line_end(std::string text) {
    if (text.ends_with('\n')) text.pop_back();
    return text;
}

bool is_id(std::string const& text) {
    return text.size() == 12 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

fs::path id_file(fs::path const& run) {
    return run / ".lease" / "run-id";
}

fs::path home_of(fs::path const& store, std::string const& id) {
    return store / ".runs" / id;
}

/// The run folder that a store knows under an id; empty when it knows none.
fs::path known_folder(fs::path const& home) {
    auto const file = home / "folder";
    return fs::is_regular_file(file) ? fs::path{without_line_end(read_text(file))} : fs::path{};
}

/// A run folder's id in a store, made when there is none. A copy of a run folder is another run.
std::string id_in(fs::path const& store, fs::path const& run) {
    auto id = run_id(run);
    if (!id.empty()) {
        auto const known = known_folder(home_of(store, id));
        bool const copied = !known.empty() && known != run && run_id(known) == id;
        if (!copied) return id;
    }
    id = new_id();
    write_atomically(id_file(run), id + "\n");
    return id;
}

}  // namespace

std::string run_id(fs::path const& run) {
    if (!fs::is_regular_file(id_file(run))) return {};
    auto const id = without_line_end(read_text(id_file(run)));
    return is_id(id) ? id : std::string{};
}

std::vector<KnownRun> runs_of(fs::path const& store) {
    std::vector<KnownRun> runs;
    if (!fs::exists(store / ".runs")) return runs;
    for (auto const& entry : fs::directory_iterator{store / ".runs"}) {
        if (is_id(entry.path().filename().string()))
            runs.push_back({entry.path().filename().string(), known_folder(entry.path()), entry.path()});
    }
    std::ranges::sort(runs, {}, &KnownRun::id);
    return runs;
}

void forget(KnownRun const& run) {
    fs::remove_all(run.home);
}

fs::path removal_folder(fs::path const& store) {
    return store / ".removal";
}

Claims::Claims(fs::path store, fs::path const& run, LeaseOptions options)
    : store_{std::move(store)}, options_{std::move(options)} {
    try {
        auto const folder = fs::canonical(run);
        auto id = id_in(store_, folder);
        auto home = home_of(store_, id);
        run_ = {std::move(id), folder, std::move(home)};
        fs::create_directories(run_.home);
        fs::create_directories(store_ / ".claims");
        if (known_folder(run_.home) != folder) write_atomically(run_.home / "folder", folder.string() + "\n");
        // Who holds the run folder's lease holds this one: whoever had it before is gone.
        auto own = options_;
        own.take_over = true;
        lease_.emplace(run_.home, own);
        if (auto const holder = last_holder(removal_folder(store_)); holder && holder->alive) {
            throw RunInUseError{fmt::format("process {} on {} removes what nobody needs from the store '{}'",
                                            holder->pid, holder->host, store_.string()),
                                "run this again when it has ended"};
        }
        // One that fell silent may wake up: it has to find that it was taken over.
        if (auto const holder = last_holder(removal_folder(store_)); holder && !holder->released)
            Lease{removal_folder(store_)};
        for (auto const& entry : fs::directory_iterator{store_ / ".claims"}) {
            auto const claim = read(entry.path());
            if (claim && claim->run == run_.id) remove(entry.path(), *claim);
        }
    } catch (fs::filesystem_error const& error) {
        throw StorageError{fmt::format("cannot use the store '{}': {}", store_.string(), error.what()),
                           "check free space and permissions"};
    }
}

Claims::~Claims() {
    for (auto const& key : held_) withdraw(key);
}

fs::path Claims::path(std::string const& key) const {
    return store_ / ".claims" / key;
}

std::optional<Claims::Claim> Claims::read(fs::path const& path) const {
    try {
        Claim claim;
        claim.text = read_text(path);
        auto const json = Json::parse(claim.text, nullptr, false);
        if (json.is_object()) {
            claim.run = json.value("run", "");
            claim.epoch = json.value("epoch", std::int64_t{0});
            claim.folder = json.value("folder", "");
        }
        return claim;
    } catch (std::exception const&) {
        if (fs::exists(fs::symlink_status(path))) return Claim{};  // something else: nobody's claim
        return std::nullopt;                                       // it was withdrawn in this moment
    }
}

bool Claims::is_alive(Claim const& claim) {
    if (claim.run == run_.id) return claim.epoch == lease_->epoch();
    // Of a claim that is not written yet, or never will be, nothing is known.
    if (claim.run.empty()) return false;
    auto const now = std::chrono::steady_clock::now();
    auto& seen = seen_[fmt::format("{} {}", claim.run, claim.epoch)];
    if (seen.when == std::chrono::steady_clock::time_point{} || now - seen.when > std::chrono::seconds{1}) {
        auto const holder = last_holder(home_of(store_, claim.run), options_);
        seen = {now, holder && holder->alive && holder->epoch == claim.epoch};
    }
    return seen.alive;
}

std::string Claims::own_text() const {
    return to_text(Json{{"run", run_.id}, {"epoch", lease_->epoch()}, {"folder", run_.folder.string()}}) + "\n";
}

/// Removes the claim of this session: after it was taken over, that of its successor may stand there.
void Claims::withdraw(std::string const& key) const {
    auto const claim = read(path(key));
    if (claim && claim->text == own_text()) ::unlink(path(key).c_str());
}

/// @return false where there is a claim
bool Claims::create(fs::path const& path) const {
    auto const draft = path.parent_path() / fmt::format(".{}.{}", path.filename().string(), run_.id);
    return write_new(path, draft, own_text());
}

/// Removes a dead run's claim, unless it is another one by now.
void Claims::remove(fs::path const& path, Claim const& dead) const {
    auto const aside = path.parent_path() / fmt::format(".{}.{}.dead", path.filename().string(), run_.id);
    if (::rename(path.c_str(), aside.c_str()) != 0) return;  // another run was faster
    auto const taken = read(aside);
    // What was taken away in error is given back; where a third run has claimed meanwhile, two do the task.
    if (taken && taken->text != dead.text) rename_new(aside, path);
    std::error_code ignored;
    fs::remove_all(aside, ignored);
}

Claims::Answer Claims::take(std::string const& key) {
    auto const file = path(key);
    fs::path dead;
    for (int attempt = 0; attempt < 100; ++attempt) {
        if (create(file)) {
            held_.push_back(key);
            return {.ours = true, .dead = dead};
        }
        auto const claim = read(file);
        if (!claim) continue;
        if (is_alive(*claim)) {
            if (claim->run == run_.id) return {.ours = true};
            return {.other = claim->folder};
        }
        remove(file, *claim);
        if (claim->run != run_.id) dead = claim->folder;
    }
    throw StorageError{fmt::format("cannot claim '{}'", file.string()), "check what else removes files there"};
}

void Claims::release(std::string const& key) {
    if (std::erase(held_, key) > 0) withdraw(key);
}

bool Claims::is_free(std::string const& key) {
    auto const file = path(key);
    if (!fs::exists(file)) return true;
    auto const claim = read(file);
    return !claim || !is_alive(*claim);
}

}  // namespace samner::store
