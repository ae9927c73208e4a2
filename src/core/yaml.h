#pragma once

#include <yaml-cpp/yaml.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "core/key.h"

namespace samner {

/// Parses one YAML document strictly: duplicate keys, merge keys (<<), aliases to an enclosing node, a second document,
/// more than 64 levels and files over 8 MB are errors with their place (yaml-cpp lets all of them pass).
/// @param place  what to name in messages, usually the path
/// @throws InputError
YAML::Node parse_yaml(std::string const& text, std::string_view place);
YAML::Node read_yaml(std::filesystem::path const& path);

/// A document as JSON: scalars without quotes are numbers and booleans where they look like JSON's, all others texts;
/// what is empty or missing is null.
Json to_json(YAML::Node const& node);

/// A word of the command line that has set a key of a document, and what it set.
struct YamlSetting {
    YAML::Node value;
    std::string word;
};

/// Sets `a.b.c=value` in a document; the value is parsed as YAML. Later sets win.
/// @return for the YamlMap that reads the document, whose messages then name the word in place of the file
/// @throws InputError
YamlSetting set_yaml(YAML::Node& root, std::string_view assignment);

/// Reads the keys of one YAML map and, in `finish`, refuses those that nobody asked for.
///     YamlMap map{node, "demo.yaml", "train"};
///     options.rank = map.get("r", options.rank);
///     map.finish();
/// Numbers must look like numbers (010 is ten, not eight), booleans are true and false only.
class YamlMap {
public:
    /// @param place     the file
    /// @param path      keys that lead here, as a.b; empty at the top
    /// @param settings  what the command line has set in it
    YamlMap(YAML::Node const& node, std::string place, std::string path = {}, std::vector<YamlSetting> settings = {});

    bool has(std::string const& key) const;  ///< the key is known from then on

    /// The value of a key. T: bool, int32/int64/uint64, double, std::string or std::vector of these.
    /// @param help  what the key is, for who left it out
    /// @throws InputError
    template <class T>
    T require(std::string const& key, std::string_view help = {});
    template <class T>
    T get(std::string const& key, T fallback);

    /// The map under a key (an empty one when absent), and the raw node for what has a shape of its own.
    YamlMap map(std::string const& key);
    YAML::Node node(std::string const& key);

    /// Keys in the order of the file.
    std::vector<std::string> keys() const;

    /// @param table  of keys that are known, with their aliases
    /// @throws InputError for a key that was not asked for: `unknown key a.b (file:line:column) — did you mean a.c?`
    void finish(std::span<Key const> table = {}) const;

    /// For a key that has to be there and is not.
    /// @throws InputError always; where another key is near to it, and nothing has asked for that one, it is misspelt
    [[noreturn]] void refuse_missing(std::string const& key, std::string const& remedy) const;

    /// The word of the command line that has set a key's value; null: the file has it.
    std::string const* word_of(std::string const& key) const;

    /// `file:line:column` of a node, or the word of the command line that set it.
    std::string place(YAML::Node const& node) const;
    std::string place() const { return place(node_); }
    /// That of a key's value; where there is none, that of the map.
    std::string place(std::string const& key) const;
    /// Those of all values.
    Places places() const;
    std::string const& path() const { return path_; }

private:
    template <class T>
    T convert(YAML::Node const& value, std::string const& key) const;
    std::string const* word_of(YAML::Node const& node) const;
    std::string full(std::string const& key) const { return path_.empty() ? key : path_ + "." + key; }
    /// Of an entry's key: one that the command line made has no line of its own.
    std::string place_of_key(YAML::Node const& key, YAML::Node const& value) const;

    YAML::Node node_;
    std::string file_;
    std::string path_;
    std::vector<YamlSetting> settings_;
    mutable std::set<std::string> asked_;
};

/// The candidate closest to `word`, or nothing. The edit distance, in which two letters may change places, is at most 2
/// or a third of the word's length, of words of up to 3 letters 1; and something of both has to be the same.
std::optional<std::string> did_you_mean(std::string_view word, std::vector<std::string> const& candidates);

}  // namespace samner
