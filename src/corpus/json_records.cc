#include "corpus/json_records.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <span>

#include "core/error.h"
#include "core/file.h"
#include "core/json.h"
#include "corpus/encoding.h"

namespace samner::corpus {
namespace {

using Visit = std::function<void(Json const&)>;

/// A path as JsonLayout has it, taken apart.
class Path {
public:
    explicit Path(std::string const& text) : text_{text} {
        for (std::size_t at = 0; !text.empty() && at <= text.size();) {
            auto const end = std::min(text.find('.', at), text.size());
            steps_.push_back(text.substr(at, end - at));
            at = end + 1;
        }
    }

    bool empty() const { return steps_.empty(); }
    std::string const& text() const { return text_; }

    /// Calls `visit` for all values that the path leads to.
    void follow(Json const& from, Visit const& visit) const { follow(from, steps_, visit); }

    /// The value that the path leads to first, null when there is none.
    Json const* find(Json const& from) const {
        Json const* found = nullptr;
        follow(from, [&](Json const& value) {
            if (!found) found = &value;
        });
        return found;
    }

    template <class T>
    T get(Json const& from, std::string_view place) const {
        auto const* const value = find(from);
        if (!value) throw InputError{fmt::format("'{}' is missing ({})", text_, place)};
        try {
            return value->template get<T>();
        } catch (nlohmann::json::exception const&) {
            throw InputError{fmt::format("'{}' is of another kind ({})", text_, place),
                             "give it the type that the format asks for"};
        }
    }

private:
    static void follow(Json const& from, std::span<std::string const> steps, Visit const& visit) {
        if (steps.empty()) return visit(from);
        auto const& step = steps.front();
        auto const rest = steps.subspan(1);
        if (step == "*") {
            if (!from.is_structured()) return;
            for (auto const& element : from) follow(element, rest, visit);
        } else if (from.is_object()) {
            if (auto const member = from.find(step); member != from.end()) follow(*member, rest, visit);
        } else if (from.is_array() && step.size() < 9 && step.find_first_not_of("0123456789") == std::string::npos) {
            if (auto const position = std::stoul("0" + step); position < from.size())
                follow(from[position], rest, visit);
        }
    }

    std::string text_;
    std::vector<std::string> steps_;
};

/// Sorts entities that all have offsets into the order of the text.
void sort_by_offsets(std::vector<Entity>& entities) {
    if (!std::ranges::all_of(entities, [](Entity const& entity) { return entity.span.has_value(); })) return;
    std::ranges::stable_sort(entities, {}, [](Entity const& entity) {
        return std::pair{entity.span->begin, entity.span->end};
    });
}

/// A layout whose paths are taken apart.
class RecordReader {
public:
    explicit RecordReader(JsonLayout const& layout)
        : layout_{layout},
          records_{layout.records},
          text_{layout.text},
          entities_{layout.entities},
          entity_text_{layout.entity_text},
          type_{layout.type},
          start_{layout.start},
          end_{layout.end},
          tokens_{layout.tokens},
          tag_{layout.tag} {}

    void read(Json const& record, std::string const& place, std::vector<Sentence>& sentences) const {
        if (!record.is_object()) throw InputError{fmt::format("not a JSON object ({})", place)};
        if (records_.empty()) return sentences.push_back(sentence(record, place));
        bool found = false;
        records_.follow(record, [&](Json const& list) {
            found = true;
            for (auto const& element : array(list, records_, place)) sentences.push_back(sentence(element, place));
        });
        if (!found) throw InputError{fmt::format("'{}' is missing ({})", records_.text(), place)};
    }

private:
    static Json const& array(Json const& list, Path const& path, std::string const& place) {
        if (list.is_array()) return list;
        throw InputError{fmt::format("'{}' is no list ({})", path.text(), place)};
    }

    static std::int64_t offset(Path const& path, Json const& object, std::string const& place) {
        auto const value = path.get<Json>(object, place);
        if (value.is_number_integer()) return value.get<std::int64_t>();
        throw InputError{fmt::format("'{}' is no whole number ({})", path.text(), place)};
    }

    Sentence sentence(Json const& record, std::string const& place) const {
        if (!tokens_.empty()) return tagged(record, place);
        Sentence result{{}, text_.get<std::string>(record, place), {}};
        bool found = false;
        entities_.follow(record, [&](Json const& list) {
            found = true;
            for (auto const& element : array(list, entities_, place))
                result.entities.push_back(entity(element, result.text, place));
        });
        if (!found && layout_.entities.find('*') == std::string::npos)
            throw InputError{fmt::format("'{}' is missing ({})", entities_.text(), place)};
        sort_by_offsets(result.entities);
        return result;
    }

    Entity entity(Json const& object, std::string const& text, std::string const& place) const {
        Entity result{{}, type_.get<std::string>(object, place)};
        auto const& until = layout_.tags.label_until;
        if (!until.empty()) result.type = result.type.substr(0, result.type.find(until));
        bool const has_text = entity_text_.find(object) != nullptr;
        if (has_text) result.text = entity_text_.get<std::string>(object, place);
        if (has_text && !start_.find(object) && !end_.find(object)) return result;
        Span const span{offset(start_, object, place), offset(end_, object, place)};
        bool const in_order = span.begin >= 0 && span.end >= span.begin;
        auto const covered = in_order ? cut(text, span) : std::string_view{};
        if (!has_text || composed(covered) == composed(result.text)) result.text = covered;
        if (!in_order || covered != result.text || code_points(covered) != span.end - span.begin) {
            throw InputError{fmt::format("offsets {} to {} do not cut '{}' out of the text ({})", span.begin, span.end,
                                         excerpt(result.text), place),
                             "count Unicode code points from 0, the end not included"};
        }
        result.span = span;
        return result;
    }

    Sentence tagged(Json const& record, std::string const& place) const {
        auto const tokens = tokens_.get<std::vector<std::string>>(record, place);
        auto const tags = tag_.get<Json::array_t>(record, place);
        if (tokens.empty() || tokens.size() != tags.size())
            throw InputError{fmt::format("{} tokens have {} tags ({})", tokens.size(), tags.size(), place)};
        TagReader reader{layout_.tags};
        SentenceBuilder builder{nullptr};
        for (std::size_t i = 0; i < tokens.size(); ++i) {
            auto const text = tags[i].is_string() ? tags[i].get<std::string>() : tags[i].dump();
            auto const tag = reader.read(text);
            if (!tag) throw InputError{fmt::format("tag '{}' ({})", excerpt(text), place)};
            builder.add(tokens[i], *tag);
        }
        return builder.finish().at(0);
    }

    JsonLayout const& layout_;
    Path records_, text_, entities_, entity_text_, type_, start_, end_, tokens_, tag_;
};

/// Joins a document's sentences to texts with mentions.
void read_document(Json const& document, std::string const& place, std::vector<Sentence>& sentences) {
    auto const lists = member<std::vector<std::vector<std::string>>>(document, "sentences", place);
    auto const mentions = member<std::vector<Json::array_t>>(document, "ner", place);
    if (lists.size() != mentions.size()) {
        throw InputError{
            fmt::format("{} sentences have {} lists of mentions ({})", lists.size(), mentions.size(), place)};
    }
    std::int64_t first_token = 0;
    for (std::size_t s = 0; s < lists.size(); ++s) {
        auto const& tokens = lists[s];
        SentenceBuilder builder{nullptr};
        std::vector<Span> spans;  // of each token, in code points
        for (std::int64_t at = 0; auto const& token : tokens) {
            if (token.empty()) throw InputError{fmt::format("an empty token ({})", place)};
            builder.add(token, Tag{'O', {}});
            spans.push_back({at, at + code_points(token).value_or(0)});
            at = spans.back().end + 1;
        }
        auto built = builder.finish();
        auto sentence = built.empty() ? Sentence{} : std::move(built[0]);
        for (auto const& mention : mentions[s]) {
            if (!mention.is_array() || mention.size() < 3 || !mention[0].is_number_integer() ||
                !mention[1].is_number_integer() || !mention[2].is_string())
                throw InputError{fmt::format("a mention is not [first, last, type] ({})", place)};
            auto const last_of_sentence = first_token + std::ssize(tokens) - 1;
            auto const first = mention[0].get<std::int64_t>();
            auto const last = mention[1].get<std::int64_t>();
            if (first < first_token || last < first || last > last_of_sentence) {
                throw InputError{fmt::format("a mention goes from token {} to {}, its sentence from {} to {} ({})",
                                             first, last, first_token, last_of_sentence, place),
                                 "count the document's tokens from 0, the last included"};
            }
            Span const span{spans[static_cast<std::size_t>(first - first_token)].begin,
                            spans[static_cast<std::size_t>(last - first_token)].end};
            sentence.entities.push_back({std::string{cut(sentence.text, span)}, mention[2].get<std::string>(), span});
        }
        sort_by_offsets(sentence.entities);
        if (!tokens.empty()) sentences.push_back(std::move(sentence));
        first_token += std::ssize(tokens);
    }
}

using ReadRecord = std::function<void(Json const& record, std::string const& place, std::vector<Sentence>& sentences)>;

/// Calls `read` for each record of JSONL or of an array.
std::vector<Sentence> read_records(std::string_view text, std::string_view place, Skipped* skipped,
                                   ReadRecord const& read) {
    std::vector<Sentence> sentences;
    auto const guarded = [&](auto const& content, auto const& action) {
        auto const before = sentences.size();
        try {
            action();
        } catch (InputError const& error) {
            auto const what = fmt::format("{} in '{}'", error.what(), excerpt(content()));
            if (!skipped) throw InputError{what, error.remedy()};
            if (skipped->sentences++ == 0) skipped->first = what;
            sentences.resize(before);
        }
    };
    text = without_bom(text);
    auto const begin = text.find_first_not_of(" \t\r\n");
    if (begin != std::string_view::npos && text[begin] == '[') {
        auto const array = parse_json(text, place);
        for (std::size_t i = 0; i < array.size(); ++i) {
            guarded([&] { return array[i].dump(); },
                    [&] { read(array[i], fmt::format("{}, element {}", place, i), sentences); });
        }
        return sentences;
    }
    for_each_line(text, [&](std::string_view line, std::size_t number) {
        if (line.find_first_not_of(" \t\r") == std::string_view::npos) return;
        auto const where = fmt::format("{}:{}", place, number);
        guarded([&] { return line; }, [&] { read(parse_json(line, where), where, sentences); });
    });
    return sentences;
}

}  // namespace

std::vector<Sentence> read_json_records(std::string_view text, JsonLayout const& layout, std::string_view place,
                                        Skipped* skipped) {
    RecordReader const reader{layout};
    return read_records(text, place, skipped, [&](Json const& record, std::string const& where, auto& sentences) {
        reader.read(record, where, sentences);
    });
}

std::vector<Sentence> read_documents(std::string_view text, std::string_view place, Skipped* skipped) {
    return read_records(text, place, skipped, read_document);
}

}  // namespace samner::corpus
