#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/hash.h"
#include "weights/architecture.h"
#include "work/card.h"

namespace samner::app {

/// An adapter of a library, which is a folder of PEFT folders.
struct LibraryExpert {
    std::string name;  ///< of its folder
    std::filesystem::path folder;
    std::int64_t rank = 0;
    std::int64_t modules = 0;
    std::string base_name;                  ///< as its configuration has it
    std::optional<work::Card> card = {};    ///< of these weights
    std::string refused = {};               ///< why it cannot be used; empty: it can
    std::vector<std::string> remarks = {};  ///< what users should know
};

/// The base model that experts are to fit.
struct LibraryBase {
    weights::ModelConfig const& config;
    std::string sha256;  ///< task::base_hash
};

/// All experts of a library, in the order of their names.
/// @param base  nothing: whether they fit is not looked at
/// @throws InputError when it is no folder, or has no PEFT folder
std::vector<LibraryExpert> read_library(std::filesystem::path const& library, std::optional<LibraryBase> const& base,
                                        FileHash const& hash);

}  // namespace samner::app
