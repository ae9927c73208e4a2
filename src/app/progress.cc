#include "app/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

namespace samner::app {

Progress::Progress(std::string what, std::size_t total)
    : what_{std::move(what)}, total_{total}, terminal_{::isatty(STDERR_FILENO) == 1} {}

Progress::~Progress() {
    if (terminal_ && printed_) fmt::print(stderr, "\n");
}

void Progress::update(std::size_t done, std::string const& note) {
    using std::chrono::duration;
    auto const now = Clock::now();
    auto const interval = terminal_ ? std::chrono::milliseconds{100} : std::chrono::milliseconds{10'000};
    if (done < total_ && now - (printed_ ? last_ : start_) < interval) return;
    last_ = now;
    printed_ = true;
    auto const seconds = duration<double>(now - start_).count();
    auto const rate = seconds > 0 ? static_cast<double>(done) / seconds : 0.0;
    auto const left = rate > 0 ? static_cast<double>(total_ - done) / rate : 0.0;
    fmt::print(stderr, "{}{} {}/{} ({:.2f}/s, {:.0f} s left){}{}{}", terminal_ ? "\r\x1b[K" : "", what_, done, total_,
               rate, left, note.empty() ? "" : ", ", note, terminal_ ? "" : "\n");
    std::fflush(stderr);
}

}  // namespace samner::app
