#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/json.h"
#include "token/tokenizer.h"

namespace samner::token {

inline std::filesystem::path const golden = std::filesystem::path{SAMNER_TEST_DATA} / "golden";

/// The texts of strings.json, by index.
inline std::vector<std::string> golden_strings() {
    std::vector<std::string> texts;
    for (auto const& entry : read_json(golden / "tokenizers/strings.json")) texts.push_back(entry.at("text"));
    return texts;
}

inline Tokenizer style(std::string const& name) {
    return Tokenizer::from_json(golden / "tokenizers" / (name + ".tokenizer.json"));
}

/// The encoder's tokenizer, which the set-up puts there.
inline std::filesystem::path const minilm = std::filesystem::path{SAMNER_SOURCE_DIR} / ".deps/minilm/tokenizer.json";

}  // namespace samner::token
