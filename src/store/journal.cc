#include "store/journal.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "core/error.h"
#include "core/file.h"
#include "core/hash.h"
#include "core/log.h"

namespace samner::store {
namespace {

constexpr std::string_view crc_member = ",\"crc32c\":\"";
constexpr std::size_t tail_size = crc_member.size() + 8 + 2;  // … 8 hex digits and "}

/// A line's record, or null with the reason in `why`.
Json decode(std::string_view line, std::string& why) {
    if (line.size() <= tail_size || line.substr(line.size() - tail_size, crc_member.size()) != crc_member) {
        why = "it does not end in a crc32c";
        return {};
    }
    auto const body = line.substr(0, line.size() - tail_size);
    if (line.substr(line.size() - 10) != fmt::format("{:08x}\"}}", crc32c(body))) {
        why = "its crc32c does not match";
        return {};
    }
    auto record = Json::parse(line, nullptr, false);
    auto const whole = [&](char const* name) { return record.contains(name) && record[name].is_number_integer(); };
    if (!record.is_object() || !whole("seq") || !whole("epoch")) {
        why = "it is no JSON object with seq and epoch";
        return {};
    }
    return record;
}

}  // namespace

Replay replay_journal(std::filesystem::path const& path) {
    Replay replay;
    if (!std::filesystem::exists(path)) return replay;
    MappedFile const file{path};
    auto const text = file.text();
    auto const last_end = text.rfind('\n');
    replay.whole_bytes = last_end == std::string_view::npos ? 0 : last_end + 1;
    replay.torn = replay.whole_bytes != text.size();
    std::int64_t epoch = 0;
    std::int64_t dropped = 0;  // lines since the last good one, each of which used up a number
    for_each_line(text.substr(0, replay.whole_bytes), [&](std::string_view line, std::size_t number) {
        std::string why;
        auto record = decode(line, why);
        if (record.is_null()) {
            replay.problems.push_back({number, why});
            ++dropped;
            return;
        }
        auto const record_epoch = record["epoch"].get<std::int64_t>();
        auto const seq = record["seq"].get<std::int64_t>();
        if (record_epoch < epoch) {
            replay.problems.push_back(
                {number, fmt::format("epoch {} writes after epoch {} began", record_epoch, epoch)});
            return;
        }
        if (record_epoch == epoch && seq <= replay.last_seq) {
            replay.problems.push_back({number, fmt::format("number {} comes after {}", seq, replay.last_seq)});
            return;
        }
        if (record_epoch == epoch && seq > replay.last_seq + 1 + dropped) {
            replay.problems.push_back({number, fmt::format("numbers {} to {} are missing before it, the line is kept",
                                                           replay.last_seq + 1, seq - 1)});
        }
        dropped = 0;
        epoch = record_epoch;
        replay.last_seq = std::max(replay.last_seq, seq);
        replay.records.push_back(std::move(record));
    });
    return replay;
}

Journal::Journal(std::filesystem::path path, std::int64_t epoch, std::function<void()> guard)
    : path_{std::move(path)}, epoch_{epoch}, guard_{std::move(guard)}, history_{replay_journal(path_)} {
    for (auto const& problem : history_.problems) {
        spdlog::warn("{}:{}: {}; work that a lost record told of is done again", path_.string(), problem.line,
                     problem.what);
    }
    if (!history_.records.empty() && history_.records.back()["epoch"].get<std::int64_t>() >= epoch_) {
        throw InputError{fmt::format("'{}' has records of epoch {}, this run holds epoch {}", path_.string(),
                                     history_.records.back()["epoch"].get<std::int64_t>(), epoch_),
                         "the lease files of the run folder were removed: put them back or start a new run folder"};
    }
    next_seq_ = history_.last_seq + 1;
    if (guard_) guard_();
    bool const is_new = !std::filesystem::exists(path_);
    file_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (file_ < 0) throw storage_error("open", path_);
    try {
        if (history_.torn) {
            spdlog::warn("{}: the last line was cut short when its writer died, and is dropped", path_.string());
            if (::ftruncate(file_, static_cast<off_t>(history_.whole_bytes)) != 0) throw storage_error("cut", path_);
        }
        append({{"kind", "opened"}});
        sync();
        if (is_new) sync_to_disk(std::filesystem::absolute(path_).parent_path());
    } catch (...) {
        ::close(file_);
        throw;
    }
}

Journal::~Journal() {
    if (file_ >= 0) ::close(file_);
}

void Journal::append(Json const& record) {
    if (broken_) throw StorageError{fmt::format("'{}' takes no more records after a failed write", path_.string())};
    // seq and epoch first and crc32c last, for people and for the checksum: so the text is put together here.
    auto body = fmt::format("{{\"seq\":{},\"epoch\":{}", next_seq_, epoch_);
    // An error's text may name a file in any bytes.
    auto const rest = to_text(record);
    if (rest.size() > 2) body += "," + rest.substr(1, rest.size() - 2);
    pending_ += fmt::format("{}{}{:08x}\"}}\n", body, crc_member, crc32c(body));
    ++next_seq_;
}

void Journal::sync() {
    if (pending_.empty()) return;
    if (broken_) throw StorageError{"the journal failed before, and takes no more records", "see the first error"};
    if (guard_) guard_();
    auto const start = ::lseek(file_, 0, SEEK_END);
    std::string_view left = pending_;
    while (start >= 0 && !left.empty()) {
        auto const written = ::write(file_, left.data(), left.size());
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) break;
        left.remove_prefix(static_cast<std::size_t>(written));
    }
    if (start < 0 || !left.empty() || ::fdatasync(file_) != 0) {
        auto const error = storage_error("write", path_);
        broken_ = true;
        // Half a batch is as good as none: nobody was told of it. A failure here leaves a torn line, which replay
        // drops.
        if (start >= 0 && ::ftruncate(file_, start) != 0)
            spdlog::warn("cannot cut '{}' after a failed write", path_.string());
        throw error;
    }
    pending_.clear();
}

}  // namespace samner::store
