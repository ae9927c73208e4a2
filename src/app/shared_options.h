#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <filesystem>
#include <string>

namespace samner::app {

/// What verbs that compute with a model have in common.
struct ModelOptions {
    std::filesystem::path base;
    std::filesystem::path adapter;
    std::string device = "cpu";
    std::string dtype = "fp32";
    int threads = 0;  ///< 0: one a processor
};

void add_base_options(CLI::App& verb, ModelOptions& options);  ///< --model, --device, --threads
void add_device_options(CLI::App& verb, ModelOptions& options);
void add_adapter_options(CLI::App& verb, ModelOptions& options);  ///< --adapter, --device, --threads
void add_model_options(CLI::App& verb, ModelOptions& options);    ///< --model and the above
void add_dtype_option(CLI::App& verb, ModelOptions& options);     ///< for verbs that do not take it from their settings

/// A validator of options: a number that is `least` or more.
CLI::Validator at_least(std::int64_t least);

/// Computes with `threads` threads from now on; 0 takes an equal share, for each of `ranks` processes, of the
/// processors that this one may use.
void use_threads(int threads, int ranks = 1);

}  // namespace samner::app
