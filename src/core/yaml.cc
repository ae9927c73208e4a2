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
#include "core/kind.h"

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

/// Whether a node is another, or in it.
bool holds(YAML::Node const& whole, YAML::Node const& part) {
    if (!whole.IsDefined() || !part.IsDefined()) return false;
    if (whole.is(part)) return true;
    for (auto const& entry : whole) {
        // An entry of a list is a node, one of a map a pair of them.
        if (entry.IsDefined() ? holds(entry, part) : holds(entry.second, part)) return true;
    }
    return false;
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

YamlSetting set_yaml(YAML::Node& root, std::string_view assignment) {
    auto const equals = assignment.find('=');
    if (equals == std::string_view::npos || equals == 0) {
        throw InputError{fmt::format("'{}' is not key=value (command line)", assignment),
                         "write the key, = and the value without blanks"};
    }
    auto const place = fmt::format("command line: {}", assignment);
    auto const value = parse_yaml(std::string{assignment.substr(equals + 1)}, place);
    auto path = assignment.substr(0, equals);
    YAML::Node node = root;
    for (;;) {
        auto const dot = path.find('.');
        std::string const key{path.substr(0, dot)};
        if (key.empty() || (node.IsDefined() && !node.IsNull() && !node.IsMap())) {
            throw InputError{fmt::format("'{}' does not lead to a key ({})", assignment.substr(0, equals), place),
                             "name keys of maps, with dots between them"};
        }
        if (dot == std::string_view::npos) {
            node[key] = value;
            return {value, std::string{assignment}};
        }
        node.reset(node[key]);
        path.remove_prefix(dot + 1);
    }
}

YamlMap::YamlMap(YAML::Node const& node, std::string place, std::string path, std::vector<YamlSetting> settings)
    : node_{node}, file_{std::move(place)}, path_{std::move(path)}, settings_{std::move(settings)} {
    if (node_.IsDefined() && !node_.IsNull() && !node_.IsMap()) {
        throw InputError{
            fmt::format("{} is not a map of keys ({})", path_.empty() ? "the document" : path_, this->place(node_)),
            "write key: value"};
    }
}

std::string const* YamlMap::word_of(YAML::Node const& node) const {
    for (auto setting = settings_.rbegin(); setting != settings_.rend(); ++setting) {
        // A map that has no line was made on the way to the key that the word sets.
        bool const made = node.Mark().is_null() && !(path_.empty() && node.is(node_));
        if (holds(setting->value, node) || (made && holds(node, setting->value))) return &setting->word;
    }
    return nullptr;
}

std::string const* YamlMap::word_of(std::string const& key) const {
    auto const& map = node_;
    return map.IsMap() && map[key].IsDefined() ? word_of(YAML::Node{map[key]}) : nullptr;
}

std::string YamlMap::place(YAML::Node const& node) const {
    if (!node.IsDefined()) return file_;
    auto const* const word = word_of(node);
    return word ? fmt::format("command line: {}", *word) : at(file_, node.Mark());
}

std::string YamlMap::place(std::string const& key) const {
    auto const& map = node_;
    if (!map.IsMap() || !map[key].IsDefined()) return place();
    return place(YAML::Node{map[key]});
}

std::string YamlMap::place_of_key(YAML::Node const& key, YAML::Node const& value) const {
    return key.Mark().is_null() ? place(value) : at(file_, key.Mark());
}

Places YamlMap::places() const {
    std::map<std::string, std::string> members;
    if (node_.IsMap()) {
        for (auto const& entry : node_) members[entry.first.Scalar()] = place(entry.second);
    }
    return {place(), std::move(members)};
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
    return has(key) ? YamlMap{node(key), file_, full(key), settings_}
                    : YamlMap{YAML::Node{YAML::NodeType::Map}, file_, full(key), settings_};
}

std::vector<std::string> YamlMap::keys() const {
    std::vector<std::string> names;
    if (node_.IsMap()) {
        for (auto const& entry : node_) {
            if (!entry.first.IsScalar())
                throw InputError{fmt::format("a key is no text ({})", place(entry.first)), "write it in quotes"};
            names.push_back(entry.first.Scalar());
        }
    }
    return names;
}

void YamlMap::finish(std::span<Key const> table) const {
    if (!node_.IsMap()) return;
    for (auto const& entry : node_) {
        auto const key = entry.first.Scalar();
        if (asked_.contains(key)) continue;
        std::optional<std::string> meant{known_as(table, key)};
        if (meant->empty()) meant = did_you_mean(key, {asked_.begin(), asked_.end()});
        throw InputError{fmt::format("unknown key {} ({})", full(key), place_of_key(entry.first, entry.second)),
                         meant ? fmt::format("did you mean {}?", full(*meant))
                               : fmt::format("known here: {}", fmt::join(asked_, ", "))};
    }
}

void YamlMap::refuse_missing(std::string const& key, std::string const& remedy) const {
    if (node_.IsMap()) {
        for (auto const& entry : node_) {
            auto const other = entry.first.Scalar();
            if (asked_.contains(other) || !did_you_mean(other, {key})) continue;
            throw InputError{fmt::format("unknown key {} ({})", full(other), place_of_key(entry.first, entry.second)),
                             fmt::format("did you mean {}?", full(key))};
        }
    }
    throw InputError{fmt::format("{} is missing ({})", full(key), place()), remedy};
}

template <class T>
T YamlMap::convert(YAML::Node const& value, std::string const& key) const {
    if constexpr (IsVector<T>::value) {
        if (!value.IsSequence())
            throw InputError{fmt::format("{} is not a list ({})", full(key), place(value)),
                             fmt::format("give it {}", kind_of_value<T>())};
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
            fmt::format("give it {}", kind_of_value<T>())};
    }
}

template <class T>
T YamlMap::require(std::string const& key, std::string_view help) {
    if (has(key)) return convert<T>(node(key), key);
    auto const first = help.substr(0, help.find(". "));
    auto const what = first.ends_with('.') ? first.substr(0, first.size() - 1) : first;
    refuse_missing(key, fmt::format("give it {}{}{}", kind_of_value<T>(), what.empty() ? "" : ": ", what));
}

template <class T>
T YamlMap::get(std::string const& key, T fallback) {
    asked_.insert(key);
    return has(key) ? convert<T>(node(key), key) : std::move(fallback);
}

#define SAMNER_YAML_TYPE(T)                                               \
    template T YamlMap::require<T>(std::string const&, std::string_view); \
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

namespace {

/// How many letters have to be put in, left out, replaced or swapped with the next one to make one word the other.
std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> before(b.size() + 1);  // the row before the last one
    std::vector<std::size_t> last(b.size() + 1);
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(last.begin(), last.end(), std::size_t{0});
    for (std::size_t i = 1; i <= a.size(); ++i) {
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
            bool const swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
        }
        before.swap(last);
        last.swap(row);
    }
    return last.back();
}

}  // namespace

std::optional<std::string> did_you_mean(std::string_view word, std::vector<std::string> const& candidates) {
    std::optional<std::string> best;
    auto best_distance = (word.size() <= 3 ? 1 : std::max<std::size_t>(2, word.size() / 3)) + 1;
    for (auto const& candidate : candidates) {
        auto const distance = edit_distance(word, candidate);
        if (distance >= best_distance || distance >= std::min(word.size(), candidate.size())) continue;
        best_distance = distance;
        best = candidate;
    }
    return best;
}

}  // namespace samner
