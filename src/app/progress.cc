#include "app/progress.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "app/run_progress.h"
#include "core/log.h"

namespace samner::app {

Progress::Progress(std::string what, std::size_t total)
    : what_{std::move(what)}, total_{total}, columns_{terminal_columns()} {}

Progress::~Progress() {
    if (columns_ > 1) show_live_line({});
}

void Progress::update(std::size_t done, std::string const& note) {
    using std::chrono::duration;
    auto const now = Clock::now();
    auto const interval = columns_ > 1 ? between_draws : between_log_lines;
    if (done < total_ && now - last_ < interval) return;
    last_ = now;
    auto const seconds = duration<double>(now - start_).count();
    auto text = fmt::format("[{}/{}] {} %", done, total_, total_ > 0 ? 100 * done / total_ : 100);
    if (auto const rate = seconds > 0 ? static_cast<double>(done) / seconds : 0.0; rate > 0)
        text += fmt::format(
            ", {:.3g}/s{}", rate,
            done < total_ ? fmt::format(", about {} left", duration_text(static_cast<double>(total_ - done) / rate))
                          : "");
    text += fmt::format(" | {}{}{}", what_, note.empty() ? "" : " ", note);
    if (columns_ > 1)
        show_live_line(cut_to(text, columns_ - 1));
    else
        spdlog::info("{}", text);
}

}  // namespace samner::app
