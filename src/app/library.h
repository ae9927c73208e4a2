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

/// The PEFT folders of a library, in the order of their names.
/// @throws InputError when it is no folder, or has none
std::vector<std::filesystem::path> adapters_in(std::filesystem::path const& library);

/// All experts of a library, in the order of their names.
/// @param base  nothing: whether they fit is not looked at
/// @throws InputError when it is no folder, or has no PEFT folder
std::vector<LibraryExpert> read_library(std::filesystem::path const& library, std::optional<LibraryBase> const& base,
                                        FileHash const& hash);

/// The folder of the encoder that was given, or the one that all cards' centroids are of.
/// @throws InputError where that is not one, or not there
std::filesystem::path encoder_of(std::filesystem::path const& given, std::vector<work::Card> const& cards);

/// The prompt that was asked for, or the one that all experts were trained with; full and json where no card tells.
/// @param layout  empty: as the cards say @param format  likewise
/// @throws InputError for an unknown name, and where cards disagree
prompt::Options prompt_of(std::string const& layout, std::string const& format, std::vector<work::Card> const& cards);

/// The cards of adapters' present weights, those that have one.
std::vector<work::Card> cards_of(std::vector<std::filesystem::path> const& adapters, FileHash const& hash);

}  // namespace samner::app
