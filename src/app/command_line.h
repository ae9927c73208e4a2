#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace samner::app {

/// What the command line says of itself: help in groups, examples, completion. Verbs give their options a name and an
/// explanation; what names have in common in all verbs stands in one table behind these functions.

/// What the value of an option is, for whoever completes it.
enum class ValueKind { text, file, folder, path, choice };

/// An option or positional, as all verbs use its name.
struct Word {
    std::string_view name;   ///< --model, -m or, of a positional, EXPERIMENT
    std::string_view group;  ///< heading in --help
    std::string_view value;  ///< what stands for its value in --help; empty: that of CLI11
    ValueKind kind = ValueKind::text;
    std::vector<std::string> (*choices)() = nullptr;
};

/// @throws std::logic_error for a name that the table does not have
Word const& word_of(CLI::Option const& option);

/// Command lines to show below a verb's help; each runs as it stands where the files that it names are there.
/// @param lines  one command a line
void add_examples(CLI::App& verb, std::string const& lines);

/// Gives all verbs -v, -q, their headings and their help; to be called when all of them are there.
void finish_command_line(CLI::App& app);

/// What `samner` alone prints: the way for each kind of user.
std::string overview();

/// Version, commit, and the libraries of this build, a line each.
std::string version_text();

}  // namespace samner::app
