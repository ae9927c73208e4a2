#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "core/json.h"
#include "prompt/prompt.h"

namespace samner::prompt {
namespace {

/// Lower case with '_' and '-' as spaces.
std::string folded(std::string_view type) {
    auto text = score::normalise(type);
    std::ranges::replace(text, '_', ' ');
    std::ranges::replace(text, '-', ' ');
    return text;
}

bool is_none(std::string_view text) {
    auto trimmed = score::normalise(text);
    while (trimmed.ends_with('.') || trimmed.ends_with(';')) trimmed.pop_back();
    return trimmed.empty() || trimmed == "none" || trimmed == "na" || trimmed == "n/a" || trimmed == "null" ||
           trimmed == "[]" || trimmed == "{}";
}

struct Member;

/// A JSON value of which the end may be missing.
struct Value {
    enum class Kind { text, list, object, other } kind = Kind::other;
    std::string text;
    std::vector<Member> members;  ///< of an object; of a list without keys
};

struct Member {
    std::string key;
    Value value;
};

/// Reads the first object or list of a text; what a cut has left incomplete is dropped, what is complete stays.
class JsonReader {
public:
    explicit JsonReader(std::string_view text) : text_{text} {}

    std::optional<Value> read() {
        at_ = text_.find_first_of("[{");
        if (at_ == std::string_view::npos) return std::nullopt;
        Value value;
        container(value, 0);
        return value;
    }

private:
    static constexpr int max_depth = 64;

    void skip_space() {
        while (at_ < text_.size() && std::string_view{" \t\r\n"}.find(text_[at_]) != std::string_view::npos) ++at_;
    }
    bool take(char character) {
        skip_space();
        if (at_ >= text_.size() || text_[at_] != character) return false;
        ++at_;
        return true;
    }

    /// A quoted string, or nothing when it has no end.
    std::optional<std::string> string() {
        skip_space();
        if (at_ >= text_.size() || text_[at_] != '"') return std::nullopt;
        auto end = at_ + 1;
        while (end < text_.size() && text_[end] != '"') end += text_[end] == '\\' ? 2 : 1;
        if (end >= text_.size()) return std::nullopt;
        auto const literal = text_.substr(at_, end + 1 - at_);
        at_ = end + 1;
        auto const parsed = Json::parse(literal, nullptr, false);
        if (parsed.is_string()) return parsed.get<std::string>();
        return std::string{
            literal.substr(1, literal.size() - 2)};  // an escape or control character that JSON does not know
    }

    /// @return whether the value is complete; an incomplete container keeps what it has
    bool value(Value& result, int depth) {
        skip_space();
        if (at_ >= text_.size()) return false;
        if (text_[at_] == '[' || text_[at_] == '{') return depth < max_depth && container(result, depth + 1);
        if (text_[at_] == '"') {
            auto text = string();
            if (!text) return false;
            result.kind = Value::Kind::text;
            result.text = std::move(*text);
            return true;
        }
        auto const end = std::min(text_.find_first_of(",]}", at_), text_.size());
        bool const complete = end < text_.size() && end > at_;
        at_ = end;
        return complete;
    }

    bool container(Value& result, int depth) {
        bool const is_object = text_[at_] == '{';
        result.kind = is_object ? Value::Kind::object : Value::Kind::list;
        char const close = is_object ? '}' : ']';
        ++at_;
        if (take(close)) return true;
        for (;;) {
            std::string key;
            if (is_object) {
                auto name = string();
                if (!name || !take(':')) return false;
                key = std::move(*name);
            }
            Value item;
            bool const complete = value(item, depth);
            // Pairs and objects of a list count whole or not at all; containers in them have kept their complete parts.
            if (complete || (item.kind == Value::Kind::list && is_object) ||
                (item.kind != Value::Kind::other && item.kind != Value::Kind::text && holds_containers(item))) {
                result.members.push_back({std::move(key), std::move(item)});
            }
            if (!complete) return false;
            if (take(close)) return true;
            if (!take(',')) return false;
        }
    }

    static bool holds_containers(Value const& value) {
        return std::ranges::any_of(value.members, [](auto const& member) {
            return member.value.kind == Value::Kind::list || member.value.kind == Value::Kind::object;
        });
    }

    std::string_view text_;
    std::size_t at_ = 0;
};

class Collector {
public:
    Collector(std::span<std::string const> types, std::string_view sentence)
        : types_{types}, sentence_{score::normalise(sentence)} {
        for (auto const& type : types) folded_.push_back(folded(type));
    }

    std::optional<std::string> type(std::string_view text) const {
        auto const found = std::ranges::find(folded_, folded(text));
        if (found == folded_.end()) return std::nullopt;
        return types_[static_cast<std::size_t>(found - folded_.begin())];
    }
    bool occurs(std::string const& normalised) const { return sentence_.find(normalised) != std::string::npos; }

    void add(std::string_view span, std::string const& its_type) {
        auto text = score::normalise(span);
        if (text.empty()) return;
        if (occurs(text)) {
            parsed.named.push_back({text, its_type});
            parsed.mentions.insert({std::move(text), its_type});
        } else {
            parsed.not_in_sentence.insert({std::move(text), its_type});
        }
    }
    /// Span and type in either order; the second is the type when both could be.
    void pair(std::string const& a, std::string const& b) {
        if (auto const second = type(b)) {
            add(a, *second);
        } else if (auto const first = type(a)) {
            add(b, *first);
        }
    }

    void object(Value const& value) {
        for (auto const& [key, item] : value.members) {
            if (item.kind == Value::Kind::text) pair(key, item.text);
            if (item.kind != Value::Kind::list) continue;
            for (auto const& [none, span] : item.members) {
                if (span.kind != Value::Kind::text) continue;
                if (auto const its_type = type(key)) {
                    add(span.text, *its_type);
                } else {
                    pair(key, span.text);
                }
            }
        }
    }
    /// {"text": "Kofi Annan", "type": "person"} whatever the keys, beside them perhaps offsets; or a map like any
    /// other.
    void object_in_list(Value const& value) {
        constexpr auto type_keys =
            std::to_array<std::string_view>({"type", "label", "entity type", "category", "class"});
        std::vector<std::pair<std::string, std::string_view>> texts;  // folded key, value
        for (auto const& [key, item] : value.members) {
            if (item.kind == Value::Kind::text) texts.emplace_back(folded(key), item.text);
        }
        auto const names_type = [&](auto const& text) {
            return std::ranges::find(type_keys, text.first) != type_keys.end() && !type(text.first);
        };
        auto label = std::ranges::find_if(texts, names_type);
        if (label == texts.end()) {
            auto const is_type = [&](auto const& text) { return type(text.second).has_value(); };
            if (texts.size() != 2 || std::ranges::count_if(texts, is_type) != 1) return object(value);
            label = std::ranges::find_if(texts, is_type);
            auto const& other = texts[label == texts.begin() ? 1 : 0];
            if (type(label->first) || type(other.first) || occurs(other.first) || occurs(label->first))
                return object(value);
        }
        auto const span = std::ranges::find_if(texts, [&](auto const& text) { return &text != &*label; });
        if (span == texts.end()) return object(value);
        if (auto const known = type(label->second)) add(span->second, *known);
    }
    void list(Value const& value) {
        auto const& members = value.members;
        bool const texts =
            std::ranges::all_of(members, [](auto const& member) { return member.value.kind == Value::Kind::text; });
        if (texts && members.size() == 2) return pair(members[0].value.text, members[1].value.text);
        for (auto const& [none, item] : members) {
            if (item.kind == Value::Kind::list) list(item);
            if (item.kind == Value::Kind::object) object_in_list(item);
        }
    }

    Parsed parsed;

private:
    std::span<std::string const> types_;
    std::vector<std::string> folded_;
    std::string sentence_;
};

/// What stands in the first code fence, unless an answer begins before it: then the fence is part of a span.
std::string_view without_fence(std::string_view text, Format format) {
    auto const open = text.find("```");
    if (open == std::string_view::npos ||
        (format != Format::enumeration && text.find_first_of(format == Format::sentences ? "\"" : "[{") < open))
        return text;
    auto const line_end = text.find('\n', open);
    auto const inside = text.substr(line_end == std::string_view::npos ? open + 3 : line_end + 1);
    return inside.substr(0, inside.find("```"));
}

void parse_json_answer(std::string_view text, Collector& collector) {
    auto const value = JsonReader{text}.read();
    if (!value) {
        collector.parsed.unparsable = !is_none(text);
    } else if (value->kind == Value::Kind::object) {
        collector.object(*value);
    } else {
        collector.list(*value);
    }
}

/// Whether an item of a list is a span: Na, null and a full stop are, where the sentence has them; none never is.
bool is_span(std::string_view item, Collector const& collector) {
    if (!is_none(item)) return true;
    auto const text = score::normalise(item);
    return text != "none" && collector.occurs(text);
}

/// Whether the separator between two texts is part of a span: what stands around it stands so in the sentence.
bool separator_in_span(std::string_view before, std::string_view after, Collector const& collector) {
    auto const last = before.substr(before.rfind(',') + 1);
    auto const first = after.substr(0, after.find(','));
    return !score::normalise(last).empty() && !score::normalise(first).empty() &&
           collector.occurs(score::normalise(std::string{last} + ";" + std::string{first}));
}

/// Spans separated by commas; neighbours that occur in the sentence together are one span, as many as possible.
void add_spans(std::string_view text, std::string const& type, Collector& collector) {
    std::vector<std::string_view> items;
    for (auto rest = text;;) {
        auto const comma = rest.find(',');
        items.push_back(rest.substr(0, comma));
        if (comma == std::string_view::npos) break;
        rest.remove_prefix(comma + 1);
    }
    constexpr std::size_t longest_join = 16;
    for (std::size_t first = 0; first < items.size();) {
        auto last = std::min(first + longest_join, items.size()) - 1;
        auto const joined = [&] {
            return std::string_view{
                items[first].data(),
                static_cast<std::size_t>(items[last].data() + items[last].size() - items[first].data())};
        };
        while (last > first && !collector.occurs(score::normalise(joined()))) --last;
        if (is_span(joined(), collector)) collector.add(joined(), type);
        first = last + 1;
    }
}

void parse_enumeration(std::string_view text, Collector& collector) {
    std::string type;                  // of the open segment
    std::optional<std::string> spans;  // its text so far
    bool any = false;
    auto const close = [&] {
        if (spans) add_spans(*spans, type, collector);
        spans.reset();
    };
    for (auto rest = text;;) {
        auto const end = rest.find_first_of(";\n");
        auto const segment = rest.substr(0, end);
        auto const colon = segment.find(':');
        auto const known = colon == std::string_view::npos ? std::nullopt : collector.type(segment.substr(0, colon));
        if (known) {
            close();
            type = *known;
            spans = std::string{segment.substr(colon + 1)};
            any = true;
        } else if (spans && separator_in_span(*spans, segment, collector)) {
            spans->append(";").append(segment);
        } else if (!score::normalise(segment).empty()) {
            close();
        }
        if (end == std::string_view::npos) break;
        rest.remove_prefix(end + 1);
    }
    close();
    collector.parsed.unparsable = !any && !is_none(text);
}

/// The type of a statement's end `a chemical.`, and the bytes up to behind its full stop.
struct StatementEnd {
    std::optional<std::string> type;  ///< nothing when it is not one of the types
    std::size_t size;
};

/// @param text  from behind `" is ` on
/// @return nothing when there is no full stop before the next line or within what a type's name can be long
std::optional<StatementEnd> statement_end(std::string_view text, Collector const& collector) {
    constexpr std::size_t longest_type = 256;
    auto const line = text.substr(0, std::min(text.find('\n'), longest_type));
    std::size_t begin = 0;
    for (std::string_view const article : {"a ", "an "}) {
        if (line.starts_with(article)) begin = article.size();
    }
    // A type's name may hold full stops itself.
    for (auto stop = line.find('.'); stop != std::string_view::npos; stop = line.find('.', stop + 1)) {
        if (auto type = collector.type(line.substr(begin, stop - begin)))
            return StatementEnd{std::move(type), stop + 1};
    }
    auto const stop = line.find('.');
    if (stop == std::string_view::npos) return std::nullopt;
    return StatementEnd{std::nullopt, stop + 1};
}

/// Statements `"span" is a type.`; a span may hold quotes, but not what ends a statement.
void parse_sentences(std::string_view text, Collector& collector) {
    constexpr std::string_view verb = "\" is ";
    bool any = false;
    for (auto quote = text.find('"'); quote != std::string_view::npos;) {
        auto const span = quote + 1;
        std::optional<StatementEnd> end;
        auto close = text.find(verb, span);
        while (close != std::string_view::npos && !(end = statement_end(text.substr(close + verb.size()), collector)))
            close = text.find(verb, close + 1);
        if (!end) break;
        any = true;
        if (end->type) collector.add(text.substr(span, close - span), *end->type);
        quote = text.find('"', close + verb.size() + end->size);
    }
    auto const none = [&] { return score::normalise(text).starts_with("there are no entities") || is_none(text); };
    collector.parsed.unparsable = !any && !none();
}

}  // namespace

Parsed parse(std::string_view completion, std::span<std::string const> types, std::string_view sentence, Format format,
             std::span<std::string const> stops) {
    for (auto const& stop : stops) {
        if (!stop.empty()) completion = completion.substr(0, completion.find(stop));
    }
    auto const text = without_fence(completion, format);
    Collector collector{types, sentence};
    if (format == Format::enumeration) {
        parse_enumeration(text, collector);
    } else if (format == Format::sentences) {
        parse_sentences(text, collector);
    } else {
        parse_json_answer(text, collector);
    }
    return std::move(collector.parsed);
}

}  // namespace samner::prompt
