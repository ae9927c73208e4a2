#include <algorithm>
#include <optional>
#include <utility>

#include "prompt/collector.h"
#include "prompt/json_answer.h"
#include "prompt/prompt.h"

namespace samner::prompt {

namespace {

/// What comes behind a model's thoughts, whose end it marks.
std::string_view without_thoughts(std::string_view text, std::string_view sentence) {
    for (std::string_view const end :
         {"</think>", "</thinking>", "</thought>", "</thoughts>", "</reasoning>", "</reflection>", "</scratchpad>",
          "</analysis>", "[/THINK]", "<|channel|>final<|message|>"}) {
        auto const found = text.rfind(end);
        if (found == std::string_view::npos || sentence.find(end) != std::string_view::npos) continue;
        text.remove_prefix(found + end.size());
    }
    return text;
}

/// What stands in the first code fence, unless an answer begins before it: then the fence is part of a span.
std::string_view without_fence(std::string_view text, Format format) {
    auto const open = text.find("```");
    if (open == std::string_view::npos ||
        (format != Format::enumeration && text.find_first_of(format == Format::sentences ? "\"" : "[{") < open))
        return text;
    auto const line_end = text.find('\n', open);
    auto const line = text.substr(open + 3, line_end == std::string_view::npos ? line_end : line_end - open - 3);
    // The rest of the line is the language's name, or else the answer.
    bool const answers = line_end == std::string_view::npos || line.find_first_of("[{\":") != std::string_view::npos;
    auto const inside = text.substr(answers ? open + 3 : line_end + 1);
    return inside.substr(0, inside.find("```"));
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
        if (collector.is_span(joined())) collector.add(joined(), type);
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
    bool any = false;  // of a known type
    for (auto quote = text.find('"'); quote != std::string_view::npos;) {
        auto const span = quote + 1;
        std::optional<StatementEnd> end;
        auto close = text.find(verb, span);
        while (close != std::string_view::npos && !(end = statement_end(text.substr(close + verb.size()), collector)))
            close = text.find(verb, close + 1);
        if (!end) break;
        any = any || end->type;
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
    auto const answer = without_thoughts(completion, sentence);
    auto const text = without_fence(answer, format);
    Collector collector{types, sentence};
    if (answer.size() < completion.size() && answer.find_first_not_of(" \t\r\n") == std::string_view::npos) {
        collector.parsed.unparsable = true;  // thoughts alone
        return std::move(collector.parsed);
    }
    if (format == Format::enumeration) {
        parse_enumeration(text, collector);
    } else if (format == Format::sentences) {
        parse_sentences(text, collector);
    } else {
        parse_json_answer(text, collector);
        // Not the fence with the answer, perhaps.
        if (collector.parsed.unparsable && text.size() < answer.size()) {
            collector.parsed = {};
            parse_json_answer(answer, collector);
        }
    }
    return std::move(collector.parsed);
}

}  // namespace samner::prompt
