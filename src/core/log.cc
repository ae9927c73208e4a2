#include "core/log.h"

#include <fmt/format.h>
#include <spdlog/details/null_mutex.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string_view>
#include <utility>
#include <vector>

#include "core/error.h"

namespace samner {

namespace {

/// What is on stderr below the log. One for the process, as stderr is.
struct LiveLine {
    std::mutex mutex;
    std::string text;

    /// With the mutex held: writes whole lines above it. One write, which no other process tears.
    void write_above(std::string_view lines) {
        std::string bytes = text.empty() ? "" : erase;
        bytes += lines;
        bytes += text;
        write(bytes);
    }
    void replace(std::string next) {
        if (next == text) return;
        std::string const bytes = (text.empty() ? "" : erase) + next;
        text = std::move(next);
        write(bytes);
    }

private:
    static constexpr auto erase = "\r\x1b[K";
    static void write(std::string_view bytes) {
        std::fwrite(bytes.data(), 1, bytes.size(), stderr);
        std::fflush(stderr);
    }
};

LiveLine& live_line() {
    static LiveLine line;
    return line;
}

/// stderr, whose live line stays below what is logged.
class StderrSink : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
protected:
    void sink_it_(spdlog::details::log_msg const& message) override {
        spdlog::memory_buf_t text;
        formatter_->format(message, text);
        auto& line = live_line();
        std::lock_guard const lock{line.mutex};
        line.write_above({text.data(), text.size()});
    }
    void flush_() override {}
};

Verbosity& verbosity() {
    static auto value = Verbosity::usual;
    return value;
}

void apply_verbosity(spdlog::logger& logger) {
    using enum spdlog::level::level_enum;
    logger.set_level(verbosity() == Verbosity::quiet ? warn : verbosity() == Verbosity::verbose ? debug : info);
    for (auto const& sink : logger.sinks())
        if (std::dynamic_pointer_cast<StderrSink>(sink))
            sink->set_pattern(verbosity() == Verbosity::verbose ? "%H:%M:%S.%e %v" : "%v");
}

constexpr auto columns_variable = "SAMNER_TERMINAL_COLUMNS";

}  // namespace

void set_verbosity(Verbosity value) {
    verbosity() = value;
    apply_verbosity(*spdlog::default_logger());
}

bool is_quiet() {
    return verbosity() == Verbosity::quiet;
}

void show_live_line(std::string text) {
    if (is_quiet()) return;
    auto& line = live_line();
    std::lock_guard const lock{line.mutex};
    line.replace(std::move(text));
}

std::size_t terminal_columns() {
    if (::isatty(STDERR_FILENO) == 1) {
        auto const* const kind = std::getenv("TERM");
        if (kind == nullptr || std::string_view{kind} == "dumb") return 0;
        winsize size{};
        constexpr std::size_t usual = 80;
        return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : usual;
    }
    auto const* const passed = std::getenv(columns_variable);
    if (passed == nullptr) return 0;
    std::string_view const text{passed};
    std::size_t columns = 0;
    auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), columns);
    return error == std::errc{} && end == text.data() + text.size() ? columns : 0;
}

void pass_terminal_on() {
    // Also where there is none: the programs' stderr is this one's, wherever that of its parent leads.
    ::setenv(columns_variable, std::to_string(terminal_columns()).c_str(), 1);
}

void start_logging(int rank, std::filesystem::path const& file) {
    std::vector<spdlog::sink_ptr> sinks;
    if (rank == 0) {
        sinks.push_back(std::make_shared<StderrSink>());
    }
    if (!file.empty()) {
        try {
            sinks.push_back(std::make_shared<spdlog::sinks::basic_file_sink_mt>(file.string()));
        } catch (spdlog::spdlog_ex const& error) {
            throw StorageError{fmt::format("cannot write the log '{}': {}", file.string(), error.what()),
                               "check free space and permissions"};
        }
        sinks.back()->set_pattern("%Y-%m-%dT%H:%M:%S.%e %l %v");
    }
    auto logger = std::make_shared<spdlog::logger>("samner", sinks.begin(), sinks.end());
    logger->flush_on(spdlog::level::debug);
    apply_verbosity(*logger);
    spdlog::set_default_logger(std::move(logger));
}

}  // namespace samner
