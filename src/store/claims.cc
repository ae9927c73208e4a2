#include "store/claims.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <fstream>
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

/// A claim's file is named RUN.EPOCH; what is named otherwise is nobody's.
Claims::Claim Claims::claim_named(std::string name) {
    auto const point = name.find('.');
    Claim claim{.name = std::move(name)};
    if (point == std::string::npos || !is_id(claim.name.substr(0, point))) return claim;
    auto const* const end = claim.name.data() + claim.name.size();
    auto const [at, error] = std::from_chars(claim.name.data() + point + 1, end, claim.epoch);
    if (error == std::errc{} && at == end) claim.run = claim.name.substr(0, point);
    return claim;
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
        withdraw_earlier();
    } catch (fs::filesystem_error const& error) {
        throw StorageError{fmt::format("cannot use the store '{}': {}", store_.string(), error.what()),
                           "check free space and permissions"};
    }
}

Claims::~Claims() {
    for (auto const& key : held_) withdraw(key);
}

/// Withdraws what earlier sessions of this run have left.
void Claims::withdraw_earlier() const {
    std::error_code gone;  // other runs remove theirs meanwhile
    for (auto const& entry : fs::directory_iterator{store_ / ".claims"}) {
        for (auto const& claim : claims_in(entry.path())) {
            if (claim.run != run_.id || claim.epoch == lease_->epoch()) continue;
            fs::remove(entry.path() / claim.name, gone);
            ::rmdir(entry.path().c_str());
        }
    }
}

fs::path Claims::path(std::string const& key) const {
    return store_ / ".claims" / key;
}

std::vector<Claims::Claim> Claims::claims_in(fs::path const& place) {
    std::vector<Claim> found;
    std::error_code gone;  // it was withdrawn in this moment
    for (fs::directory_iterator entry{place, gone}, end; !gone && entry != end; entry.increment(gone))
        found.push_back(claim_named(entry->path().filename().string()));
    return found;
}

bool Claims::is_alive(Claim const& claim) {
    if (claim.run == run_.id) return claim.epoch == lease_->epoch();
    if (claim.run.empty()) return false;  // no claim at all
    auto const now = std::chrono::steady_clock::now();
    auto& seen = seen_[claim.name];
    if (seen.when == std::chrono::steady_clock::time_point{} || now - seen.when > std::chrono::seconds{1}) {
        auto const holder = last_holder(home_of(store_, claim.run), options_);
        seen = {now, holder && holder->alive && holder->epoch == claim.epoch};
    }
    return seen.alive;
}

std::string Claims::own_name() const {
    return fmt::format("{}.{}", run_.id, lease_->epoch());
}

/// Removes the claim of this session and no other: after it was taken over, that of its successor stands there.
void Claims::withdraw(std::string const& key) const {
    std::error_code ignored;
    fs::remove(path(key) / own_name(), ignored);
    ::rmdir(path(key).c_str());  // only where nobody has claimed meanwhile
}

/// @return false where there is a claim
bool Claims::create(std::string const& key) const {
    auto const draft = store_ / ".claims" / fmt::format(".{}.{}", key, own_name());
    std::error_code ignored;
    fs::create_directories(draft);
    if (!std::ofstream{draft / own_name()}) throw storage_error("write", draft / own_name());
    // A folder replaces an empty one: that of a claim which is withdrawn in this moment.
    bool const placed = rename_new(draft, path(key));
    fs::remove_all(draft, ignored);
    return placed;
}

/// Makes a dead run's claim one of this run. Of all who try only one succeeds.
/// @return false where another was faster, or where it was no claim and is removed
bool Claims::take_over(std::string const& key, Claim const& dead) const {
    auto const claim = path(key) / dead.name;
    if (dead.run.empty()) {
        std::error_code ignored;
        fs::remove_all(claim, ignored);
        return false;
    }
    // A server that answers twice may say of a rename which was done that it failed.
    return ::rename(claim.c_str(), (path(key) / own_name()).c_str()) == 0 || fs::exists(path(key) / own_name());
}

Claims::Answer Claims::take(std::string const& key) {
    fs::path dead;
    for (int attempt = 0; attempt < 100; ++attempt) {
        if (create(key)) {
            held_.push_back(key);
            return {.ours = true, .dead = dead};
        }
        if (::unlink(path(key).c_str()) == 0) continue;  // a file, which is no claim
        for (auto const& claim : claims_in(path(key))) {
            if (is_alive(claim)) {
                if (claim.run == run_.id) return {.ours = true};
                return {.other = known_folder(home_of(store_, claim.run))};
            }
            if (!take_over(key, claim)) continue;
            if (claim.run != run_.id) dead = known_folder(home_of(store_, claim.run));
            held_.push_back(key);
            return {.ours = true, .dead = dead};
        }
    }
    throw StorageError{fmt::format("cannot claim '{}'", path(key).string()), "check what else removes files there"};
}

void Claims::release(std::string const& key) {
    if (std::erase(held_, key) > 0) withdraw(key);
}

bool Claims::is_free(std::string const& key) {
    auto const claims = claims_in(path(key));
    return std::ranges::none_of(claims, [&](auto const& claim) { return is_alive(claim); });
}

}  // namespace samner::store
