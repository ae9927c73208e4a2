#include "prompt/json_answer.h"

#include <algorithm>
#include <array>
#include <utility>

#include "prompt/loose_json.h"
#include "score/score.h"

namespace samner::prompt {
namespace {

using Kind = Value::Kind;
constexpr auto none = std::string_view::npos;

/// A member's name as it is looked up: lower case, without what stands between words.
std::string squeezed(std::string_view name) {
    auto text = score::normalise(name);
    std::erase_if(text, [](char c) { return c == ' ' || c == '_' || c == '-'; });
    return text;
}

template <std::size_t N>
bool is_one_of(std::array<std::string_view, N> const& names, std::string_view name) {
    return std::ranges::find(names, name) != names.end();
}

/// What names the type in an object such as {"text": "Ada", "type": "person"}.
bool names_types(std::string_view key) {
    constexpr auto names = std::to_array<std::string_view>(
        {"type", "types", "label", "labels", "entitytype", "entitylabel", "entitycategory", "entityclass",
         "entitygroup", "category", "class", "tag", "kind", "nertag", "nertype", "nerlabel"});
    return is_one_of(names, squeezed(key));
}

/// What names the mention.
bool names_spans(std::string_view key) {
    constexpr auto names = std::to_array<std::string_view>(
        {"text",        "texts",     "entity",     "entities",   "name",        "names",      "span",
         "spans",       "mention",   "mentions",   "value",      "values",      "word",       "words",
         "phrase",      "phrases",   "string",     "surface",    "term",        "terms",      "token",
         "tokens",      "content",   "entitytext", "entityname", "entityvalue", "entityspan", "entitymention",
         "surfaceform", "instances", "examples",   "items"});
    return is_one_of(names, squeezed(key));
}

/// Reads mentions and types out of a value. What it is can be seen from the names of the types alone.
class Reader {
public:
    Reader(Collector& collector, int depth) : collector_{collector}, depth_{depth} {}

    /// @param type  of what is in it; null: not known
    void value(Value const& value, std::string const* type, bool in_list = false) {
        switch (value.kind) {
            case Kind::nothing:
                saw_nothing_ = true;
                break;
            case Kind::text:
                text(value.text, type);
                break;
            case Kind::scalar:
                if (type && occurs(value.text)) collector_.add(value.text, *type);
                break;
            case Kind::list:
                list(value, type);
                break;
            case Kind::object:
                object(value, type, in_list);
                break;
        }
    }

    bool saw_nothing() const { return saw_nothing_; }  ///< an empty list, null, none
    bool missed() const { return missed_; }            ///< something that could be a mention, without a known type

private:
    bool occurs(std::string_view text) const {
        auto const normalised = score::normalise(text);
        return !normalised.empty() && collector_.occurs(normalised);
    }
    bool is_type(std::string_view text) const { return collector_.type(text).has_value(); }

    void span(std::string_view text, std::string const& type) {
        if (is_none(text) && !occurs(text)) {
            saw_nothing_ = true;
            return;
        }
        // Quotes around a mention that the sentence does not have are not part of it.
        auto const inner = text.find_first_not_of("\"'");
        auto const bare = inner == none ? text : text.substr(inner, text.find_last_not_of("\"'") + 1 - inner);
        collector_.add(bare.size() < text.size() && !occurs(text) && occurs(bare) ? bare : text, type);
    }

    void text(std::string_view text, std::string const* type) {
        if (type) return span(text, *type);
        if (is_none(text)) {
            saw_nothing_ = true;
        } else if (!labelled(text)) {
            missed_ = true;
        }
    }

    /// Ada (person), Ada: person, person: Ada.
    bool labelled(std::string_view text) {
        auto const attempt = [&](std::string_view name, std::string_view of) {
            auto const type = collector_.type(name);
            if (type) span(of, *type);
            return type.has_value();
        };
        if (auto const open = text.rfind('(');
            text.ends_with(')') && open != none && open > 0 &&
            attempt(text.substr(open + 1, text.size() - open - 2), text.substr(0, open)))
            return true;
        if (auto const last = text.rfind(':'); last != none && attempt(text.substr(last + 1), text.substr(0, last)))
            return true;
        auto const first = text.find(':');
        return first != none && attempt(text.substr(0, first), text.substr(first + 1));
    }

    /// Mention and type in either order; the second is the type when both could be.
    void pair(std::string const& a, std::string const& b) {
        auto const type_a = collector_.type(a);
        auto const type_b = collector_.type(b);
        if (type_a && type_b && !occurs(a)) {
            if (occurs(b)) return span(b, *type_a);
            missed_ = true;  // names of types, and no mention
        } else if (type_b) {
            span(a, *type_b);
        } else if (type_a) {
            span(b, *type_a);
        } else if (!is_none(a) || !is_none(b)) {
            missed_ = true;
        } else {
            saw_nothing_ = true;
        }
    }

    void list(Value const& value, std::string const* type) {
        auto const& members = value.members;
        if (members.empty()) saw_nothing_ = true;
        if (std::ranges::any_of(members, [](Member const& member) { return member.key.has_value(); }))
            return object(value, type, false);
        if (type) {
            for (auto const& [key, item] : members) {
                // ["Ada", "person"] in a list of persons
                bool const repeats =
                    item.kind == Kind::text && collector_.type(item.text) == *type && !occurs(item.text);
                if (!repeats) this->value(item, type, true);
            }
            return;
        }
        std::vector<std::string> texts;
        for (auto const& [key, item] : members)
            if (item.kind == Kind::text) texts.push_back(item.text);
        if (texts.size() == 1) {
            one_text(texts.front(), members);
        } else {
            several_texts(texts);
        }
        bool scalars = false;
        for (auto const& [key, item] : members) {
            scalars = scalars || item.kind == Kind::scalar;
            if (item.kind == Kind::nothing && texts.empty()) saw_nothing_ = true;
            if (item.is_container() && texts.size() != 1) this->value(item, nullptr, true);
        }
        if (scalars && texts.empty()) missed_ = true;
    }

    /// A text among numbers and containers: a type, whose mentions are in the containers or a number; or a mention of
    /// the types in a container.
    void one_text(std::string const& text, std::vector<Member> const& members) {
        auto const containers =
            std::ranges::count_if(members, [](Member const& member) { return member.value.is_container(); });
        if (containers > 0) {
            auto const own_type = collector_.type(text);
            for (auto const& [key, item] : members) {
                if (!item.is_container()) continue;
                auto const types = types_of(item);
                if (!own_type && !types.empty() && types.size() == item.members.size()) {
                    for (auto const& one : types) span(text, one);
                } else {
                    value(item, own_type && item.kind == Kind::list ? &*own_type : nullptr, true);
                }
            }
            if (!own_type) missed_ = true;
            return;
        }
        auto const number = std::ranges::find_if(members, [&](Member const& member) {
            return member.value.kind == Kind::scalar && occurs(member.value.text);
        });
        auto const type = collector_.type(text);
        if (type && number != members.end()) return span(number->value.text, *type);
        this->text(text, nullptr);
    }

    /// A pair; pairs one after the other; or one type and words beside it.
    void several_texts(std::vector<std::string> const& texts) {
        std::size_t even = 0;
        std::size_t odd = 0;
        for (std::size_t i = 0; i < texts.size(); ++i)
            if (is_type(texts[i])) ++(i % 2 == 0 ? even : odd);
        auto const half = texts.size() / 2;
        if (texts.size() % 2 == 0 && (odd == half || even == half)) {
            for (std::size_t i = 0; i < texts.size(); i += 2) pair(texts[i], texts[i + 1]);
        } else if (even + odd == 1) {
            auto const label = std::ranges::find_if(texts, [&](auto const& text) { return is_type(text); });
            auto const type = *collector_.type(*label);
            auto found =
                std::ranges::find_if(texts, [&](auto const& text) { return &text != &*label && occurs(text); });
            if (found == texts.end()) found = texts.begin() + (label == texts.begin() ? 1 : 0);
            span(*found, type);
        } else {
            for (auto const& text : texts) this->text(text, nullptr);
        }
    }

    /// The types that a member names: a text, or a list of them.
    std::vector<std::string> types_of(Value const& value) const {
        std::vector<std::string> types;
        auto const add = [&](Value const& one) {
            if (one.kind != Kind::text) return;
            if (auto type = collector_.type(one.text)) types.push_back(*std::move(type));
        };
        add(value);
        for (auto const& [key, item] : value.members) add(item);
        return types;
    }

    bool is_label_key(std::string const& key) const { return names_types(key) && !is_type(key); }
    bool is_span_key(std::string const& key) const { return names_spans(key) && !is_type(key); }

    /// The member that names the type of a record such as {"text": "Ada", "type": "person"}, whatever the keys; null:
    /// it is no record but a map. Maps have mentions or types as keys.
    Member const* label_of(std::vector<Member const*> const& keyed, bool in_list) const {
        Member const* label = nullptr;
        Member const* by_value = nullptr;
        std::size_t texts = 0;
        std::size_t types = 0;
        for (auto const* const member : keyed) {
            bool const named = is_label_key(*member->key);
            auto const kind = member->value.kind;
            if (!label && named && (kind == Kind::text || (kind == Kind::list && !types_of(member->value).empty())))
                label = member;
            if (kind != Kind::text) continue;
            ++texts;
            if (!is_type(member->value.text)) continue;
            by_value = member;
            ++types;
        }
        auto const is_span = [&](Member const* member) {
            if (member == label || !is_span_key(*member->key)) return false;
            bool const could_be_mention = member->value.kind != Kind::text || !is_type(member->value.text) ||
                                          occurs(member->value.text) || !occurs(*member->key);
            return could_be_mention;
        };
        if (label) {
            if (std::ranges::any_of(keyed, is_span)) return label;
            return in_list && texts > 1 ? label : nullptr;
        }
        if (types != 1 || is_type(*by_value->key) || occurs(*by_value->key)) return nullptr;
        bool const beside_span = std::ranges::any_of(keyed, [&](Member const* member) {
            return member != by_value && is_span_key(*member->key) && !occurs(*member->key);
        });
        auto const is_map_key = [&](Member const* member) { return is_type(*member->key) || occurs(*member->key); };
        bool const two = in_list && texts == 2 && keyed.size() == 2 && std::ranges::none_of(keyed, is_map_key);
        return beside_span || two ? by_value : nullptr;
    }

    /// What a record's mentions are read from: the member that is named so, best of all one that is in the sentence.
    Member const* span_of(std::vector<Member const*> const& keyed, Member const* label) const {
        Member const* best = nullptr;
        int best_rank = 0;
        for (auto const* const member : keyed) {
            auto const& value = member->value;
            if (member == label || is_label_key(*member->key)) continue;
            bool const named = is_span_key(*member->key);
            if (!named && value.kind != Kind::text) continue;
            bool const found = value.is_container() || occurs(value.text);
            auto const rank = 1 + (found ? 1 : 0) + (named ? 2 : 0);
            if (rank > best_rank) best = member;
            best_rank = std::max(best_rank, rank);
        }
        return best;
    }

    void record(std::vector<Member const*> const& keyed, Member const* label, std::string const* type) {
        auto const* const mention = span_of(keyed, label);
        auto types = label ? types_of(label->value) : std::vector<std::string>{};
        if (types.empty() && type) types.push_back(*type);
        if (!mention) {
            missed_ = true;
        } else if (types.empty()) {
            (is_none(mention->value.text) && !mention->value.is_container() ? saw_nothing_ : missed_) = true;
        } else if (label && label->value.kind == Kind::list && mention->value.kind == Kind::list &&
                   label->value.members.size() == mention->value.members.size()) {
            for (std::size_t i = 0; i < label->value.members.size(); ++i) {
                auto const own = types_of(label->value.members[i].value);
                if (!own.empty()) value(mention->value.members[i].value, &own.front(), true);
            }
        } else {
            for (auto const& one : types) value(mention->value, &one);
        }
    }

    void object(Value const& value, std::string const* type, bool in_list) {
        std::vector<Member const*> keyed;
        for (auto const& member : value.members) {
            if (member.key) {
                keyed.push_back(&member);
            } else {
                this->value(member.value, type, true);
            }
        }
        if (value.members.empty()) saw_nothing_ = true;
        if (keyed.empty()) return;
        auto const* const label = label_of(keyed, in_list);
        bool const named = std::ranges::any_of(keyed, [&](Member const* member) { return is_span_key(*member->key); });
        if (label || (type && named)) return record(keyed, label, type);
        for (auto const* const member : keyed) {
            if (type) {
                entry_of_type(*member->key, member->value, *type);
            } else {
                entry(*member->key, member->value);
            }
        }
    }

    /// {"person": {"Ada": …}} or {"person": {"first": "Ada"}}
    void entry_of_type(std::string const& key, Value const& item, std::string const& type) {
        if (is_label_key(key)) return;
        if (auto const own = collector_.type(key)) return value(item, &*own);
        if (item.kind == Kind::text && (occurs(item.text) || !occurs(key))) return span(item.text, type);
        if (occurs(key)) return span(key, type);
        value(item, &type);
    }

    /// {"Ada": "person"}, {"person": "Ada"}, {"person": ["Ada"]}, {"entities": […]}
    void entry(std::string const& key, Value const& item) {
        auto const type = collector_.type(key);
        switch (item.kind) {
            case Kind::text:
                if ((is_label_key(key) || is_span_key(key)) && is_type(item.text) && !occurs(key)) {
                    missed_ = true;
                    return;
                }
                if (type || is_type(item.text)) return pair(key, item.text);
                if (is_none(item.text)) {
                    saw_nothing_ = true;
                } else if (!inner_json(item.text) && occurs(key)) {
                    missed_ = true;
                }
                return;
            case Kind::nothing:
                saw_nothing_ = true;
                return;
            case Kind::scalar:
                if (type) value(item, &*type);
                return;
            case Kind::list:
                if (type) return value(item, &*type);
                if (is_label_key(key)) return;
                if (occurs(key) && !types_of(item).empty()) {
                    for (auto const& own : types_of(item)) span(key, own);
                    return;
                }
                return value(item, nullptr);
            case Kind::object:
                if (!type && occurs(key)) {
                    for (auto const& [name, of] : item.members) {
                        auto const types = name && is_label_key(*name) ? types_of(of) : std::vector<std::string>{};
                        for (auto const& own : types) span(key, own);
                        if (!types.empty()) return;
                    }
                }
                return value(item, type ? &*type : nullptr);
        }
    }

    /// JSON as the text of JSON.
    bool inner_json(std::string const& text) {
        auto const begin = text.find_first_not_of(" \t\r\n");
        if (depth_ > 0 || begin == none || (text[begin] != '[' && text[begin] != '{')) return false;
        auto const reading = LooseJson{text}.read(begin);
        Reader reader{collector_, depth_ + 1};
        reader.value(reading.value, nullptr);
        saw_nothing_ = saw_nothing_ || reader.saw_nothing();
        missed_ = missed_ || reader.missed();
        return true;
    }

    Collector& collector_;
    int depth_;
    bool saw_nothing_ = false;
    bool missed_ = false;
};

/// Looks for the first container that is an answer; one with mentions of the sentence goes before one without.
/// @param brackets  that it can begin with
/// @return whether there is one
bool find_answer(std::string_view text, std::string_view brackets, Collector& collector) {
    constexpr int most_unclosed = 16;  // each of them may reach to the text's end
    LooseJson json{text};
    std::optional<Parsed> elsewhere;
    auto const begin = text.find_first_not_of(" \t\r\n");
    int unclosed = 0;
    for (auto at = text.find_first_of(brackets); at != none && unclosed < most_unclosed;) {
        auto const reading = json.read(at);
        Reader reader{collector, 0};
        reader.value(reading.value, nullptr);
        if (!collector.parsed.mentions.empty()) return true;
        auto parsed = std::exchange(collector.parsed, {});
        if (!parsed.not_in_sentence.empty()) {
            if (!elsewhere) elsewhere = std::move(parsed);
        } else if (reader.saw_nothing() && !reader.missed() && reading.dropped == 0 && !elsewhere) {
            if (at == begin) return true;
            elsewhere.emplace();  // unless the text has another answer, as behind an example of what it could look like
        }
        if (!reading.closed) ++unclosed;
        at = text.find_first_of(brackets, reading.closed ? std::max(reading.end, at + 1) : at + 1);
    }
    if (!elsewhere) return false;
    collector.parsed = *std::move(elsewhere);
    return true;
}

}  // namespace

void parse_json_answer(std::string_view text, Collector& collector) {
    // What a model goes on with when it has answered: the next prompt.
    auto const head = text.substr(0, text.find("\nText:"));
    if (is_none(text)) return;
    bool const has_head = head.size() < text.size() && head.find_first_not_of(" \t\r\n") != none;
    if (has_head && (is_none(head) || find_answer(head, "[{", collector))) return;
    if (find_answer(text, "[{", collector)) return;
    auto const has_mentions = [&](std::string_view of, std::string_view brackets) {
        if (find_answer(of, brackets, collector) && !collector.parsed.mentions.empty()) return true;
        collector.parsed = {};
        return false;
    };
    if (has_mentions(text, "(")) return;
    // The first bracket may be missing.
    if (text.find(':') != none && has_mentions("{" + std::string{text}, "{")) return;
    collector.parsed.unparsable = true;
}

}  // namespace samner::prompt
