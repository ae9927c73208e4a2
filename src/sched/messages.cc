#include "sched/messages.h"

#include <fmt/format.h>

#include <bit>
#include <concepts>
#include <cstdint>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/error.h"

namespace samner::sched {
namespace {

enum class Tag : char { assignment = 'A', stop = 'S', finish = 'F', result = 'R', outcome = 'O', progress = 'P' };

constexpr Tag tag_of(Assignment const&) {
    return Tag::assignment;
}
constexpr Tag tag_of(Stop const&) {
    return Tag::stop;
}
constexpr Tag tag_of(Finish const&) {
    return Tag::finish;
}
constexpr Tag tag_of(JobResult const&) {
    return Tag::result;
}
constexpr Tag tag_of(Outcome const&) {
    return Tag::outcome;
}
constexpr Tag tag_of(Progress const&) {
    return Tag::progress;
}

/// A T that is read or written.
template <class Given, class T>
concept Some = std::same_as<std::remove_const_t<Given>, T>;

// The members in the order in which they are sent.
auto members(Some<Job> auto& job) {
    return std::tie(job.key, job.label, job.after, job.seconds, job.width, job.batch, job.task);
}
auto members(Some<Assignment> auto& work) {
    return std::tie(work.jobs, work.team, work.number);
}
auto members(Some<Stop> auto& stop) {
    return std::tie(stop.signal);
}
auto members(Some<Finish> auto&) {
    return std::tie();
}
auto members(Some<JobResult> auto& result) {
    return std::tie(result.key, result.ok, result.stopped, result.sha256, result.result, result.error, result.seconds,
                    result.rank, result.team);
}
auto members(Some<Outcome> auto& outcome) {
    return std::tie(outcome.done, outcome.failed, outcome.not_run, outcome.stop_signal);
}
auto members(Some<Progress> auto& progress) {
    return std::tie(progress.key, progress.done, progress.total, progress.note, progress.rank);
}

class Writer {
public:
    explicit Writer(std::string& bytes) : bytes_{bytes} {}

    void write(std::integral auto value) {
        auto left = static_cast<std::make_unsigned_t<decltype(value)>>(value);
        for (std::size_t byte = 0; byte < sizeof value; ++byte)
            bytes_ += static_cast<char>(static_cast<std::uint64_t>(left) >> (8 * byte) & 0xFF);
    }
    void write(bool value) { bytes_ += value ? '\1' : '\0'; }
    void write(double value) { write(std::bit_cast<std::uint64_t>(value)); }
    void write(std::string const& text) {
        write(static_cast<std::uint64_t>(text.size()));
        bytes_ += text;
    }
    template <class T>
    void write(std::vector<T> const& values) {
        write(static_cast<std::uint64_t>(values.size()));
        for (auto const& value : values) write(value);
    }
    template <class T>
    requires requires(T const& value) { members(value); }
    void write(T const& value) {
        std::apply([&](auto const&... member) { (write(member), ...); }, members(value));
    }

private:
    std::string& bytes_;
};

class Reader {
public:
    explicit Reader(std::string_view bytes) : bytes_{bytes}, left_{bytes} {}

    std::string_view take(std::uint64_t size) {
        if (size > left_.size()) {
            throw Error{fmt::format("a message was cut off: it has {} bytes, and {} more are missing", bytes_.size(),
                                    size - left_.size())};
        }
        auto const taken = left_.substr(0, size);
        left_.remove_prefix(size);
        return taken;
    }
    void end() const {
        if (left_.empty()) return;
        throw Error{fmt::format("a message of {} bytes goes on for {} after its end", bytes_.size(), left_.size())};
    }

    template <std::integral T>
    void read(T& value) {
        auto const bytes = take(sizeof value);
        std::uint64_t read = 0;
        for (std::size_t byte = 0; byte < sizeof value; ++byte)
            read |= std::uint64_t{static_cast<unsigned char>(bytes[byte])} << (8 * byte);
        value = static_cast<T>(read);
    }
    void read(bool& value) {
        auto const byte = take(1).front();
        if (byte != '\0' && byte != '\1')
            throw Error{fmt::format("a message says {} where it has to say yes or no", static_cast<int>(byte))};
        value = byte == '\1';
    }
    void read(double& value) {
        std::uint64_t bits = 0;
        read(bits);
        value = std::bit_cast<double>(bits);
    }
    void read(std::string& text) {
        std::uint64_t size = 0;
        read(size);
        text = take(size);
    }
    template <class T>
    void read(std::vector<T>& values) {
        std::uint64_t size = 0;
        read(size);
        for (; size > 0; --size) read(values.emplace_back());  // no reserve: the number may be wrong
    }
    template <class T>
    requires requires(T& value) { members(value); }
    void read(T& value) {
        std::apply([&](auto&... member) { (read(member), ...); }, members(value));
    }

private:
    std::string_view bytes_;
    std::string_view left_;
};

template <class T>
std::string encoded(T const& value) {
    std::string bytes{static_cast<char>(tag_of(value))};
    Writer{bytes}.write(value);
    return bytes;
}

template <class T>
T read_all(Reader& reader) {
    T value;
    reader.read(value);
    reader.end();
    return value;
}

}  // namespace

std::string encode(Message const& message) {
    return std::visit([](auto const& value) { return encoded(value); }, message);
}

std::string encode(Assignment const& work) {
    return encoded(work);
}

std::string encode(JobResult const& result) {
    return encoded(result);
}

std::string encode(Progress const& progress) {
    return encoded(progress);
}

Message decode(std::string_view bytes) {
    Reader reader{bytes};
    auto const tag = reader.take(1).front();
    switch (static_cast<Tag>(tag)) {
        case Tag::assignment:
            return read_all<Assignment>(reader);
        case Tag::stop:
            return read_all<Stop>(reader);
        case Tag::finish:
            return read_all<Finish>(reader);
        case Tag::result:
            return read_all<JobResult>(reader);
        case Tag::outcome:
            return read_all<Outcome>(reader);
        case Tag::progress:
            return read_all<Progress>(reader);
    }
    throw Error{fmt::format("a message of {} bytes has the unknown tag {:#04x}", bytes.size(),
                            static_cast<unsigned>(static_cast<unsigned char>(tag)))};
}

std::optional<Stop> decode_stop(std::string_view bytes) {
    if (bytes.empty() || static_cast<Tag>(bytes.front()) != Tag::stop) return std::nullopt;
    return std::get<Stop>(decode(bytes));
}

}  // namespace samner::sched
