#include <fmt/format.h>
#include <malloc.h>

#include <CLI/CLI.hpp>

#include "app/verbs.h"
#include "core/error.h"
#include "core/log.h"
#include "core/stop.h"

namespace samner::app {
namespace {

int run(int argc, char** argv) {
    CLI::App app{
        "Select-and-Merge experiments on NER with LLMs: train experts, select, merge with TIES, decode, score.",
        "samner"};
    app.set_version_flag("--version", SAMNER_VERSION);
    app.require_subcommand(1);
    app.fallthrough(false);
    ExitCode code = ExitCode::done;
    add_run_verbs(app, code);
    add_view_verbs(app);
    add_gc_verb(app);
    add_engine_verbs(app, code);
    add_predict_verbs(app);
    add_merge_verb(app, code);
    add_score_verb(app);
    add_data_verbs(app, code);
    add_model_verbs(app);
    add_doctor_verb(app, code);
    try {
        app.parse(argc, argv);
        return static_cast<int>(code);
    } catch (CLI::ParseError const& error) {
        if (error.get_exit_code() == 0) return app.exit(error);
        fmt::print(stderr, "error: {} (command line) — see samner{} --help\n", error.what(),
                   app.get_subcommands().empty() ? "" : " " + app.get_subcommands().front()->get_name());
        return static_cast<int>(ExitCode::bad_input);
    }
}

}  // namespace
}  // namespace samner::app

int main(int argc, char** argv) {
    // Activations come and go by the megabyte: keep their memory instead of giving it back to the system each time.
    ::mallopt(M_MMAP_THRESHOLD, 1 << 30);
    ::mallopt(M_TRIM_THRESHOLD, 1 << 30);
    samner::watch_signals();
    samner::start_logging(0);
    try {
        return samner::app::run(argc, argv);
    } catch (std::exception const& error) {
        fmt::print(stderr, "error: {}\n", samner::describe(error));
        return static_cast<int>(samner::exit_code(error));
    }
}
