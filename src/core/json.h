#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace samner {

using Json = nlohmann::json;

/// Parses one JSON document. Duplicate keys, nesting deeper than 128 and invalid UTF-8 are errors.
/// @param place  what to name in the message: a path, or `path:line`
/// @throws InputError with place and position
Json parse_json(std::string_view text, std::string_view place);

/// Parses a JSON file. @throws InputError
Json read_json(std::filesystem::path const& path);

/// The one spelling of a JSON value that hashes are taken of: keys sorted, no spaces, UTF-8 unescaped.
std::string canonical(Json const& value);

/// A JSON value for files and people, whose texts may hold any bytes: what is not valid UTF-8 becomes U+FFFD.
/// @param indent  spaces a level; below 0: one line
std::string to_text(Json const& value, int indent = -1);

/// Calls `visit(object, place)` for each line of a JSONL file that is not blank; place is `path:line`.
/// @throws InputError when a line is not a JSON object
void for_each_jsonl(std::filesystem::path const& path,
                    std::function<void(Json const&, std::string const&)> const& visit);

/// The `id` of a line: a text as it stands, another value as JSON. @throws InputError when there is none
std::string id_of(Json const& line, std::string_view place);

/// @param what  a member is called, such as "training option"
/// @throws InputError for a member that is not known, with the known one that it is near to
void refuse_unknown(Json const& object, std::set<std::string> const& known, std::string_view what,
                    std::string_view place);

/// For a name that is none of those known. @param what  it stands for, such as "merge method"
/// @throws InputError always, with the known one that it is near to
[[noreturn]] void refuse_name(std::string_view name, std::vector<std::string> const& known, std::string_view what,
                              std::string_view place);

/// A member of an object, as a T. @throws InputError naming place, key and what was expected
template <class T>
T member(Json const& object, std::string const& key, std::string_view place);

}  // namespace samner

#include "core/json_member.h"
