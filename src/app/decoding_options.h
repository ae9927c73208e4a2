#pragma once

#include <CLI/CLI.hpp>

#include "app/text_options.h"
#include "infer/generate.h"

namespace samner::app {

/// What verbs that answer texts with a model have in common.
struct DecodingOptions {
    TextOptions text;
    TargetOptions target;
    infer::Options infer;
};

void add_decoding_options(CLI::App& verb, DecodingOptions& options);

}  // namespace samner::app
