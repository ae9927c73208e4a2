#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <unordered_map>

#include "core/json.h"

namespace samner {

/// As for_each_jsonl, for a file that a user names: one without lines is warned of.
void for_each_input(std::filesystem::path const& path,
                    std::function<void(Json const&, std::string const&)> const& visit);

/// The ids of a file, each of which may stand there once: answers could not be told apart, and `score` could not take
/// them.
class Distinct {
public:
    /// @throws InputError for an id that was there before, naming both places
    void add(std::string const& id, std::string const& place);

private:
    std::unordered_map<std::string, std::string> places_;
};

}  // namespace samner
