#include "prompt/score_files.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <set>
#include <unordered_map>
#include <utility>

#include "core/error.h"
#include "core/input_lines.h"
#include "core/json.h"
#include "corpus/encoding.h"

namespace samner::prompt {
namespace {

/// @param without_text  how many have none, and are left out
std::vector<score::Entity> entities_of(Json const& line, std::string const& place, std::int64_t& without_text) {
    std::vector<score::Entity> entities;
    for (auto const& object : member<Json::array_t>(line, "entities", place)) {
        score::Entity entity{{score::normalise(member<std::string>(object, "text", place)),
                              corpus::composed(member<std::string>(object, "type", place))}};
        if (object.contains("start") || object.contains("end")) {
            corpus::Span const span{member<std::int64_t>(object, "start", place),
                                    member<std::int64_t>(object, "end", place)};
            if (span.begin < 0 || span.end < span.begin)
                throw InputError{fmt::format("an entity from {} to {} ({})", span.begin, span.end, place),
                                 "count code points from 0, the end not included"};
            entity.span = span;
        }
        if (entity.mention.text.empty()) {
            ++without_text;
        } else {
            entities.push_back(std::move(entity));
        }
    }
    return entities;
}

Answer answer_of(Json const& line, GoldLine const& gold, Format format, std::string const& place) {
    if (line.contains("entities")) {
        auto const flag = line.find("unparsable");
        Answer answer{.entities = {}, .not_in_sentence = {}};
        answer.entities = entities_of(line, place, answer.without_text);
        answer.unparsable = flag != line.end() && *flag == true;
        return answer;
    }
    auto const completion = member<std::string>(line, "completion", place);
    if (gold.types.empty())
        throw InputError{fmt::format("a completion cannot be read without its types (id {}, {})", gold.id, place),
                         "give --types, or `types` in the gold line"};
    if (gold.text.empty())
        throw InputError{fmt::format("a completion cannot be read without its text (id {}, {})", gold.id, place),
                         "give `text` in the gold line"};
    auto parsed = parse(completion, gold.types, gold.text, format);
    Answer answer{{}, {}, true, parsed.unparsable};
    for (auto& mention : parsed.named) answer.entities.push_back({std::move(mention)});
    for (auto const& mention : parsed.not_in_sentence) answer.not_in_sentence.push_back({mention});
    return answer;
}

}  // namespace

std::vector<GoldLine> read_gold(std::filesystem::path const& path, std::vector<std::string> const& types) {
    std::vector<GoldLine> gold;
    Distinct ids;
    for_each_input(path, [&](Json const& line, std::string const& place) {
        auto const optional = [&](char const* key) {
            return line.contains(key) ? member<std::string>(line, key, place) : std::string{};
        };
        auto& one = gold.emplace_back();
        one.id = id_of(line, place);
        ids.add(one.id, place);
        one.text = optional("text");
        one.target = optional("target");
        one.types = line.contains("types") ? member<std::vector<std::string>>(line, "types", place) : types;
        for (auto& type : one.types) type = corpus::composed(type);
        one.entities = entities_of(line, place, one.without_text);
        one.place = place;
    });
    return gold;
}

Misplaced misplaced(std::span<GoldLine const> gold) {
    Misplaced result;
    for (auto const& line : gold) {
        auto const note = [&](std::string const& what) {
            if (result.entities++ == 0) result.first = fmt::format("{} (id {}, {})", what, line.id, line.place);
        };
        auto const text = score::normalise(line.text);
        for (auto const& [mention, span] : line.entities) {
            if (text.empty()) break;
            if (text.find(mention.text) == std::string::npos) {
                note(fmt::format("'{}'", mention.text));
            } else if (span && score::normalise(corpus::cut(line.text, *span)) != mention.text) {
                note(fmt::format("'{}', which {} to {} do not cut out", mention.text, span->begin, span->end));
            }
        }
        for (std::int64_t i = 0; i < line.without_text; ++i) note("one without a text");
    }
    return result;
}

namespace {

std::vector<std::vector<Answer>> answers_in(std::filesystem::path const& path, std::span<GoldLine const> gold,
                                            Format format) {
    std::unordered_map<std::string_view, std::size_t> index;
    for (std::size_t i = 0; i < gold.size(); ++i) index.emplace(gold[i].id, i);
    std::vector<std::vector<Answer>> answers(gold.size());
    std::set<std::pair<std::size_t, std::string>> seen;
    std::size_t strangers = 0;
    std::string first_stranger;
    for_each_input(path, [&](Json const& line, std::string const& place) {
        auto const id = id_of(line, place);
        auto const found = index.find(id);
        if (found == index.end()) {
            if (strangers++ == 0) first_stranger = fmt::format("id {} ({})", id, place);
            return;
        }
        auto const sample = line.find("sample");
        if (!seen.emplace(found->second, sample == line.end() ? "" : sample->dump()).second)
            throw InputError{fmt::format("id {} stands twice ({})", id, place),
                             "tell several answers to one sentence apart by `sample`"};
        answers[found->second].push_back(answer_of(line, gold[found->second], format, place));
    });
    if (strangers > 0)
        throw InputError{fmt::format("{} predictions have no gold, the first is {}", strangers, first_stranger)};
    for (std::size_t i = 0; i < gold.size(); ++i) {
        if (answers[i].empty())
            throw InputError{fmt::format("no prediction for id {} ({})", gold[i].id, path.string()),
                             "predict every sentence of the gold file"};
        if (answers[i].size() != answers[0].size())
            throw InputError{fmt::format("{} answers for id {}, {} for id {} ({})", answers[i].size(), gold[i].id,
                                         answers[0].size(), gold[0].id, path.string()),
                             "give every sentence the same number of samples"};
    }
    return answers;
}

}  // namespace

std::vector<std::vector<Answer>> read_answers(std::filesystem::path const& path, std::span<GoldLine const> gold,
                                              std::optional<Format> format) {
    if (format) return answers_in(path, gold, *format);
    struct Reading {
        Format format;
        std::vector<std::vector<Answer>> answers;
        std::int64_t completions = 0;
        std::int64_t unparsable = 0;
    };
    std::optional<Reading> best;
    for (auto const tried : {Format::json, Format::enumeration, Format::sentences}) {
        Reading reading{tried, answers_in(path, gold, tried)};
        for (auto const& of_sentence : reading.answers)
            for (auto const& answer : of_sentence) {
                reading.completions += answer.from_completion;
                reading.unparsable += answer.from_completion && answer.unparsable;
            }
        if (!best || reading.unparsable < best->unparsable) best = std::move(reading);
        if (best->unparsable == 0) break;
    }
    if (best->completions > 0)
        spdlog::info("{}: completions are read as {} ({} of {} unparsable)", path.string(), name_of(best->format),
                     best->unparsable, best->completions);
    return std::move(best->answers);
}

}  // namespace samner::prompt
