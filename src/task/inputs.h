#pragma once

#include <filesystem>
#include <vector>

#include "core/hash.h"
#include "plan/graph.h"
#include "task/context.h"
#include "work/card.h"

namespace samner::task {

/// SHA-256 over a base model's weights, configuration and tokeniser. @param hash  of a file; sees each of the model's
std::string base_hash(Engine const& engine, FileHash const& hash = sha256_file);

/// What an expert's card says of its domain. @param texts  at least one @throws InputError for what is no encoder
work::Card::Domain domain_of(std::filesystem::path const& encoder, std::string const& device,
                             std::vector<std::string> const& texts, FileHash const& hash = sha256_file);

/// Hashes and sizes of what experiments read, and with that a check of all of it: models open and fit, data sets are
/// described and readable. Nothing is computed yet.
/// @param hash  of a file; one that remembers saves reading the models' weights
/// @throws InputError with what is wrong and where
plan::Inputs examine_inputs(std::vector<plan::Experiment> const& experiments, plan::RunFile const& run,
                            FileHash const& hash = sha256_file);

/// Where tasks of a run find what they need.
/// @param checkpoints  folder for the state of trainings
/// @param files        with which the run was planned; none: whatever is there will do
Workplace workplace_of(plan::RunFile const& run, std::filesystem::path const& checkpoints,
                       plan::ModelFiles const& files = {});

}  // namespace samner::task
