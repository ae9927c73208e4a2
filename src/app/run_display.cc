#include "app/run_display.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <chrono>
#include <utility>

#include "app/progress.h"
#include "core/error.h"
#include "core/file.h"
#include "core/host.h"
#include "core/log.h"
#include "core/stop.h"

namespace samner::app {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr auto between_files = 2s;

double seconds_now() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

fs::path progress_path(fs::path const& run) {
    return run / "progress.json";
}

RunDisplay::RunDisplay(Run run)
    : run_{std::move(run)},
      progress_{run_.ranks, seconds_now},
      host_{host_name()},
      since_{utc_now()},
      logged_{Clock::now()} {
    write();
}

RunDisplay::~RunDisplay() {
    if (state_ == "running") end(End::failed);
}

void RunDisplay::set_phase(std::string const& phase) {
    progress_.set_phase(phase);
    if (!phase.empty() && terminal_columns() == 0) spdlog::info("{}", phase);
    refresh();
    write();
}

void RunDisplay::tick() noexcept {
    try {
        auto const now = Clock::now();
        if (now - drawn_ >= between_draws) refresh();
        bool const begins = !wrote_running_ && progress_.is_running();  // whoever looks need not wait for that
        if (begins || now - written_ >= between_files) write();
        if (now - logged_ < between_log_lines) return;
        logged_ = now;
        // On a terminal the live line says it.
        if (terminal_columns() == 0 && progress_.is_running()) spdlog::info("{}", progress_.line(0));
    } catch (std::exception const&) {
        // What cannot be shown is no reason to end a run.
    }
}

void RunDisplay::end(End how, std::string const& signal) {
    state_ = how == End::done ? "done" : how == End::failed ? "failed" : "stopped";
    signal_ = signal;
    progress_.set_phase({});
    show_live_line({});
    write();
}

void RunDisplay::refresh() {
    drawn_ = Clock::now();
    auto const columns = terminal_columns();
    if (columns < 2) return;
    auto text = progress_.line(columns - 1);  // the last column would begin the next line on some terminals
    if (stop_signal() != 0) text = cut_to("stopping | " + text, columns - 1);
    show_live_line(std::move(text));
}

Json RunDisplay::document() const {
    auto json = progress_.to_json();
    json["state"] = state_ == "running" && stop_signal() != 0 ? "stopping" : state_;
    json["signal"] = signal_;
    json["host"] = host_;
    json["pid"] = ::getpid();
    json["epoch"] = run_.epoch;
    json["ranks"] = run_.ranks;
    json["since"] = since_;
    json["at"] = utc_now();
    return json;
}

void RunDisplay::write() {
    written_ = Clock::now();
    wrote_running_ = progress_.is_running();
    try {
        if (run_.guard) run_.guard();
        write_in_passing(progress_path(run_.folder), to_text(document(), 1) + "\n");
    } catch (std::exception const& error) {
        if (!std::exchange(warned_, true)) spdlog::warn("the run goes on without its progress: {}", error.what());
    }
}

}  // namespace samner::app
