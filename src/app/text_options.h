#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "prompt/prompt.h"
#include "work/card.h"
#include "work/texts.h"

namespace samner::app {

/// What verbs that read texts of data sets have in common.
struct TextOptions {
    std::filesystem::path root;
    std::vector<std::string> folders;  ///< of descriptions, beside those that come with samner
    std::string layout;                ///< empty: not given
    std::string format;                ///< likewise

    /// @param described  whether data sets are read: only then have their descriptions to be there
    work::TextReader reader(bool described) const;
    /// @param cards  of the adapters that answer, which say what they were trained with
    prompt::Options prompt(std::vector<work::Card> const& cards = {}) const;
};

/// @param otherwise  what says which prompt it is where none is given, and no prompt follows: "that of the card, else "
void add_text_options(CLI::App& verb, TextOptions& options, std::string const& otherwise = "");

/// Texts of one data set, or of a file.
struct TargetOptions {
    std::string data;  ///< DATASET[:SPLIT]
    std::filesystem::path in;
    std::vector<std::string> types;

    /// @param needs_types  of a file
    /// @throws InputError unless one of both is given, a file with types
    void check(bool needs_types = true) const;
    bool described() const { return !data.empty(); }
    std::string name() const { return data.empty() ? "'" + in.string() + "'" : data; }  ///< for messages
    work::Texts texts(work::TextReader& reader) const;                                  ///< after `check`
    /// The types by their names, or those of a file (plan::load_types).
    std::vector<work::WantedType> wanted_types() const;
};

void add_target_options(CLI::App& verb, TargetOptions& options);

}  // namespace samner::app
