#pragma once

#include <CLI/CLI.hpp>

#include "core/error.h"

namespace samner::app {

/// Each adds its verbs to the command line; they run while it is parsed, and throw what goes wrong.
void add_run_verbs(CLI::App& app, ExitCode& code);  ///< run, plan
void add_compare_verb(CLI::App& app);
void add_gc_verb(CLI::App& app);
void add_view_verbs(CLI::App& app);                    ///< report, show, status
void add_engine_verbs(CLI::App& app, ExitCode& code);  ///< train, generate, encode
void add_predict_verb(CLI::App& app);
void add_select_verb(CLI::App& app);
void add_combine_verb(CLI::App& app);
void add_expert_verbs(CLI::App& app);  ///< card, experts
void add_adapt_verb(CLI::App& app, ExitCode& code);
void add_merge_verb(CLI::App& app, ExitCode& code);
void add_score_verb(CLI::App& app);
void add_data_verbs(CLI::App& app, ExitCode& code);  ///< data list, verify, stats, fetch, export
void add_model_verbs(CLI::App& app);                 ///< model info, tokenize, logits
void add_doctor_verb(CLI::App& app, ExitCode& code);
void add_completion_verb(CLI::App& app);

}  // namespace samner::app
