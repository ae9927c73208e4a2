#include "core/yaml.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <limits>
#include <map>
#include <numeric>
#include <sstream>
#include <type_traits>

#include "core/error.h"
#include "core/file.h"

namespace samner {
namespace {

constexpr std::size_t max_bytes = 8u << 20;
constexpr std::size_t max_depth = 64;

std::string at(std::string_view place, YAML::Mark const& mark) {
    return mark.is_null() ? std::string{place} : fmt::format("{}:{}:{}", place, mark.line + 1, mark.column + 1);
}

/// Refuses what yaml-cpp's node builder accepts silently.
class Checker : public YAML::EventHandler {
public:
    explicit Checker(std::string_view place) : place_{place} {}

    void OnDocumentStart(YAML::Mark const&) override {}
    void OnDocumentEnd() override {}
    void OnNull(YAML::Mark const& mark, YAML::anchor_t anchor) override { value(mark, "", anchor); }
    void OnAlias(YAML::Mark const& mark, YAML::anchor_t anchor) override {
        for (auto const& level : levels_) {
            if (level.anchor == anchor)
                throw InputError{fmt::format("alias to an enclosing node ({})", at(place_, mark))};
        }
        if (++aliases_ > 1000) throw InputError{fmt::format("more than 1000 aliases ({})", place_)};
        value(mark, "", 0);
        // What an alias stands for counts each time: readers go through it as if it were written out.
        auto const size = sizes_.find(anchor);
        count(size == sizes_.end() ? 0 : size->second - 1);
    }
    void OnScalar(YAML::Mark const& mark, std::string const&, YAML::anchor_t anchor, std::string const& text) override {
        value(mark, text, anchor);
    }
    void OnSequenceStart(YAML::Mark const& mark, std::string const&, YAML::anchor_t anchor,
                         YAML::EmitterStyle::value) override {
        open(mark, anchor, false);
    }
    void OnSequenceEnd() override { close(); }
    void OnMapStart(YAML::Mark const& mark, std::string const&, YAML::anchor_t anchor,
                    YAML::EmitterStyle::value) override {
        open(mark, anchor, true);
    }
    void OnMapEnd() override { close(); }

private:
    struct Level {
        bool is_map;
        YAML::anchor_t anchor;
        bool expects_key = true;
        std::set<std::string> keys;
        std::uint64_t before = 0;  ///< nodes, this one not among them
    };

    void count(std::uint64_t nodes) {
        constexpr std::uint64_t most = 1'000'000;
        nodes_ += nodes;
        if (nodes_ > most) throw InputError{fmt::format("more than {} values, aliases written out ({})", most, place_)};
    }
    void close() {
        sizes_[levels_.back().anchor] = nodes_ - levels_.back().before;
        levels_.pop_back();
    }
    void open(YAML::Mark const& mark, YAML::anchor_t anchor, bool is_map) {
        value(mark, is_map ? "{}" : "[]", anchor);
        if (levels_.size() >= max_depth)
            throw InputError{fmt::format("nested deeper than {} ({})", max_depth, at(place_, mark))};
        levels_.push_back({is_map, anchor, true, {}, nodes_ - 1});
    }
    void value(YAML::Mark const& mark, std::string const& text, YAML::anchor_t anchor) {
        count(1);
        sizes_[anchor] = 1;
        if (levels_.empty() || !levels_.back().is_map) return;
        auto& level = levels_.back();
        if (level.expects_key) {
            if (text == "<<") {
                throw InputError{fmt::format("merge key '<<' ({})", at(place_, mark)), "write the keys out"};
            }
            if (!level.keys.insert(text).second) {
                throw InputError{fmt::format("key '{}' stands twice ({})", text, at(place_, mark)),
                                 "remove one of them"};
            }
        }
        level.expects_key = !level.expects_key;
    }

    std::string place_;
    std::vector<Level> levels_;
    int aliases_ = 0;
    std::uint64_t nodes_ = 0;                        ///< so far, those of aliases each time
    std::map<YAML::anchor_t, std::uint64_t> sizes_;  ///< nodes of what an anchor names
};

template <class T>
struct IsVector : std::false_type {};
template <class T>
struct IsVector<std::vector<T>> : std::true_type {};

template <class T>
constexpr std::string_view kind() {
    if constexpr (std::is_same_v<T, bool>) return "true or false";
    if constexpr (std::is_floating_point_v<T>) return "a number";
    if constexpr (std::is_unsigned_v<T>) return "a whole number, 0 or more";
    if constexpr (std::is_integral_v<T>) return "a whole number";
    return "a text";
}

template <class T>
std::optional<T> parse_scalar(std::string const& text) {
    if constexpr (std::is_same_v<T, std::string>) {
        return text;
    } else if constexpr (std::is_same_v<T, bool>) {
        if (text == "true") return true;
        if (text == "false") return false;
        return std::nullopt;
    } else {
        T number{};
        auto const* const end = text.data() + text.size();
        auto const [stop, code] = std::from_chars(text.data(), end, number);
        if (code != std::errc{} || stop != end) return std::nullopt;
        return number;
    }
}

}  // namespace

YAML::Node parse_yaml(std::string const& text, std::string_view place) {
    if (text.size() > max_bytes)
        throw InputError{fmt::format("YAML of {} bytes, at most {} ({})", text.size(), max_bytes, place)};
    try {
        std::istringstream stream{text};
        YAML::Parser parser{stream};
        Checker checker{place};
        parser.HandleNextDocument(checker);
        if (parser.HandleNextDocument(checker))
            throw InputError{fmt::format("a second YAML document ({})", place), "keep one"};
        return YAML::Load(text);
    } catch (YAML::Exception const& error) {
        throw InputError{fmt::format("not valid YAML: {} ({})", error.msg, at(place, error.mark)), "mend the line"};
    }
}

YAML::Node read_yaml(std::filesystem::path const& path) {
    return parse_yaml(read_text(path), path.string());
}

Json to_json(YAML::Node const& node) {
    if (node.IsMap()) {
        auto object = Json::object();
        for (auto const& entry : node) object[entry.first.Scalar()] = to_json(entry.second);
        return object;
    }
    if (node.IsSequence()) {
        auto list = Json::array();
        for (auto const& item : node) list.push_back(to_json(item));
        return list;
    }
    if (!node.IsScalar()) return nullptr;
    if (node.Tag() == "!") return node.Scalar();
    auto const parsed = Json::parse(node.Scalar(), nullptr, false);
    return parsed.is_number() || parsed.is_boolean() ? parsed : Json(node.Scalar());
}

void set_yaml(YAML::Node& root, std::string_view assignment) {
    auto const equals = assignment.find('=');
    if (equals == std::string_view::npos || equals == 0) {
        throw InputError{fmt::format("'{}' is not key=value", assignment), "write for example train.max_steps=20"};
    }
    auto const value = parse_yaml(std::string{assignment.substr(equals + 1)}, assignment);
    auto path = assignment.substr(0, equals);
    YAML::Node node = root;
    for (;;) {
        auto const dot = path.find('.');
        std::string const key{path.substr(0, dot)};
        if (key.empty() || (node.IsDefined() && !node.IsNull() && !node.IsMap())) {
            throw InputError{fmt::format("'{}' does not lead to a key", assignment)};
        }
        if (dot == std::string_view::npos) {
            node[key] = value;
            return;
        }
        node.reset(node[key]);
        path.remove_prefix(dot + 1);
    }
}

YamlMap::YamlMap(YAML::Node const& node, std::string place, std::string path)
    : node_{node}, file_{std::move(place)}, path_{std::move(path)} {
    if (node_.IsDefined() && !node_.IsNull() && !node_.IsMap()) {
        throw InputError{
            fmt::format("{} is not a map of keys ({})", path_.empty() ? "the document" : path_, this->place(node_))};
    }
}

std::string YamlMap::place(YAML::Node const& node) const {
    return node.IsDefined() ? at(file_, node.Mark()) : file_;
}

bool YamlMap::has(std::string const& key) const {
    auto const& map = node_;
    asked_.insert(key);
    return map.IsMap() && map[key].IsDefined();
}

YAML::Node YamlMap::node(std::string const& key) {
    asked_.insert(key);
    auto const& map = node_;
    return map.IsMap() ? YAML::Node{map[key]} : YAML::Node{YAML::NodeType::Undefined};
}

YamlMap YamlMap::map(std::string const& key) {
    return has(key) ? YamlMap{node(key), file_, full(key)} : YamlMap{YAML::Node{YAML::NodeType::Map}, file_, full(key)};
}

std::vector<std::string> YamlMap::keys() const {
    std::vector<std::string> names;
    if (node_.IsMap()) {
        for (auto const& entry : node_) names.push_back(entry.first.Scalar());
    }
    return names;
}

void YamlMap::finish() const {
    if (!node_.IsMap()) return;
    for (auto const& entry : node_) {
        auto const key = entry.first.Scalar();
        if (asked_.contains(key)) continue;
        auto const near = did_you_mean(key, {asked_.begin(), asked_.end()});
        throw InputError{fmt::format("unknown key {} ({})", full(key), place(entry.first)),
                         near ? fmt::format("did you mean {}?", full(*near))
                              : fmt::format("known here: {}", fmt::join(asked_, ", "))};
    }
}

template <class T>
T YamlMap::convert(YAML::Node const& value, std::string const& key) const {
    if constexpr (IsVector<T>::value) {
        if (!value.IsSequence()) throw InputError{fmt::format("{} is not a list ({})", full(key), place(value))};
        T list;
        for (auto const& item : value) list.push_back(convert<typename T::value_type>(item, key));
        return list;
    } else {
        if (value.IsScalar()) {
            bool const quoted = value.Tag() == "!";
            if (!quoted || std::is_same_v<T, std::string>) {
                if (auto parsed = parse_scalar<T>(value.Scalar())) return *parsed;
            }
        }
        throw InputError{
            fmt::format("{} is {} ({})", full(key),
                        value.IsScalar() ? "'" + value.Scalar() + "'" : "not a single value", place(value)),
            fmt::format("give it {}", kind<T>())};
    }
}

template <class T>
T YamlMap::require(std::string const& key) {
    if (!has(key))
        throw InputError{fmt::format("{} is missing ({})", full(key), place()), fmt::format("give it {}", kind<T>())};
    return convert<T>(node(key), key);
}

template <class T>
T YamlMap::get(std::string const& key, T fallback) {
    asked_.insert(key);
    return has(key) ? convert<T>(node(key), key) : std::move(fallback);
}

#define SAMNER_YAML_TYPE(T)                             \
    template T YamlMap::require<T>(std::string const&); \
    template T YamlMap::get<T>(std::string const&, T)
SAMNER_YAML_TYPE(bool);
SAMNER_YAML_TYPE(std::int32_t);
SAMNER_YAML_TYPE(std::int64_t);
SAMNER_YAML_TYPE(std::uint64_t);
SAMNER_YAML_TYPE(double);
SAMNER_YAML_TYPE(std::string);
SAMNER_YAML_TYPE(std::vector<std::int64_t>);
SAMNER_YAML_TYPE(std::vector<double>);
SAMNER_YAML_TYPE(std::vector<std::string>);
#undef SAMNER_YAML_TYPE

std::optional<std::string> did_you_mean(std::string_view word, std::vector<std::string> const& candidates) {
    std::optional<std::string> best;
    auto best_distance = std::max<std::size_t>(2, word.size() / 3) + 1;
    for (auto const& candidate : candidates) {
        std::vector<std::size_t> row(candidate.size() + 1);
        std::iota(row.begin(), row.end(), std::size_t{0});
        for (std::size_t i = 1; i <= word.size(); ++i) {
            auto diagonal = row[0];
            row[0] = i;
            for (std::size_t j = 1; j <= candidate.size(); ++j) {
                auto const above = row[j];
                row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (word[i - 1] == candidate[j - 1] ? 0 : 1)});
                diagonal = above;
            }
        }
        if (row.back() < best_distance) {
            best_distance = row.back();
            best = candidate;
        }
    }
    return best;
}

}  // namespace samner
