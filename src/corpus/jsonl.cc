#include "corpus/jsonl.h"

#include <fmt/format.h>

#include "core/error.h"
#include "core/file.h"
#include "core/json.h"

namespace samner::corpus {
namespace {

bool is_continuation(char byte) {
    return (static_cast<unsigned char>(byte) & 0xC0U) == 0x80U;
}

/// The bytes of [begin, end) code points of valid UTF-8; shorter where the text is.
std::string_view cut(std::string_view text, Span span) {
    std::size_t at = 0;
    auto const advance = [&](std::int64_t points) {
        for (; points > 0 && at < text.size(); --points) {
            do ++at;
            while (at < text.size() && is_continuation(text[at]));
        }
        return at;
    };
    auto const begin = advance(span.begin);
    return text.substr(begin, advance(span.end - span.begin) - begin);
}

Entity read_entity(Json const& object, std::string const& text, std::string const& place) {
    Entity entity{member<std::string>(object, "text", place), member<std::string>(object, "type", place)};
    if (!object.contains("start") && !object.contains("end")) return entity;
    Span const span{member<std::int64_t>(object, "start", place), member<std::int64_t>(object, "end", place)};
    if (span.begin < 0 || span.end < span.begin || cut(text, span) != entity.text) {
        throw InputError{fmt::format("offsets {} to {} do not cut '{}' out of the text ({})", span.begin, span.end,
                                     entity.text, place),
                         "count Unicode code points from 0, the end not included"};
    }
    entity.span = span;
    return entity;
}

}  // namespace

std::vector<Sentence> read_jsonl(std::string_view text, std::string_view place, Skipped* skipped) {
    std::vector<Sentence> sentences;
    for_each_line(without_bom(text), [&](std::string_view line, std::size_t number) {
        if (line.find_first_not_of(" \t") == std::string_view::npos) return;
        auto const where = fmt::format("{}:{}", place, number);
        try {
            auto const object = parse_json(line, where);
            Sentence sentence{{}, member<std::string>(object, "text", where), {}};
            for (auto const& entity : member<Json::array_t>(object, "entities", where))
                sentence.entities.push_back(read_entity(entity, sentence.text, where));
            sentences.push_back(std::move(sentence));
        } catch (InputError const& error) {
            if (!skipped) throw;
            if (skipped->sentences++ == 0) skipped->first = error.what();
        }
    });
    return sentences;
}

}  // namespace samner::corpus
