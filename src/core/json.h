#pragma once

#include <concepts>
#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/key.h"

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

/// Where the members of an object stand, for messages: one place for all, or one for each.
class Places {
public:
    template <std::convertible_to<std::string_view> Text>
    Places(Text const& all) : whole_{std::string_view{all}} {}
    Places(std::string whole, std::map<std::string, std::string> members)
        : whole_{std::move(whole)}, members_{std::move(members)} {}

    std::string const& whole() const { return whole_; }
    /// That of a member or of what is in it, as `rank_pattern.q_proj`.
    std::string const& of(std::string const& member) const;

private:
    std::string whole_;
    std::map<std::string, std::string> members_;
};

/// @param what   a member is called, such as "training option"
/// @param table  of the known ones, for their aliases
/// @throws InputError for a member that is not known, with the known one that it stands for or is near to
void refuse_unknown(Json const& object, std::set<std::string> const& known, std::string_view what, Places const& places,
                    std::span<Key const> table = {});

/// For a name that is none of those known. @param what  it stands for, such as "merge method"
/// @throws InputError always, with the known one that it is near to
[[noreturn]] void refuse_name(std::string_view name, std::vector<std::string> const& known, std::string_view what,
                              std::string_view place);

/// A member of an object, as a T. @throws InputError naming place, key and what was expected
template <class T>
T member(Json const& object, std::string const& key, std::string_view place);

}  // namespace samner

#include "core/json_member.h"
