#include "score/metric.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "core/error.h"

namespace samner::score {
namespace {

/// What is compared, sorted: type, text, begin, end. Text is empty for offsets, begin and end are 0 for the others.
using Element = std::tuple<std::string_view, std::string_view, std::int64_t, std::int64_t>;

constexpr std::string_view no_type;  ///< of instructuie's 'none'

bool asked(Sentence const& sentence, Entity const& entity) {
    return sentence.types.empty() || std::ranges::find(sentence.types, entity.mention.type) != sentence.types.end();
}

std::vector<Element> elements(Metric metric, Sentence const& sentence, std::vector<Entity> const& entities) {
    std::vector<Element> result;
    for (auto const& entity : entities) {
        if (metric != Metric::with_misc && !asked(sentence, entity)) continue;
        auto const& [text, type] = entity.mention;
        if (metric != Metric::offsets) {
            result.emplace_back(type, text, 0, 0);
        } else if (entity.span) {
            result.emplace_back(type, std::string_view{}, entity.span->begin, entity.span->end);
        } else {
            throw InputError{
                fmt::format("the metric offsets needs offsets, and '{}' has none (id {})", text, sentence.id),
                "give start and end of all entities, or another --metric"};
        }
    }
    if (metric == Metric::instructuie && result.empty()) result.emplace_back(no_type, "none", 0, 0);
    std::ranges::sort(result);
    if (metric != Metric::multiset) result.erase(std::unique(result.begin(), result.end()), result.end());
    return result;
}

void add(Tally& tally, Metric metric, Sentence const& sentence) {
    auto const gold = elements(metric, sentence, sentence.gold);
    auto const predicted = elements(metric, sentence, sentence.predicted);
    auto& counts = tally.per_sentence.emplace_back();
    auto const one = [&](Element const& element, std::int64_t Counts::*kind) {
        ++(counts.*kind);
        if (auto const type = std::get<0>(element); type != no_type) ++(tally.per_type[std::string{type}].*kind);
    };
    auto g = gold.begin();
    auto p = predicted.begin();
    while (g != gold.end() || p != predicted.end()) {
        if (p == predicted.end() || (g != gold.end() && *g < *p)) {
            one(*g++, &Counts::false_negative);
        } else if (g == gold.end() || *p < *g) {
            one(*p++, &Counts::false_positive);
        } else {
            one(*g++, &Counts::true_positive);
            ++p;
        }
    }
    tally.counts += counts;
}

}  // namespace

std::string_view name_of(Metric metric) {
    switch (metric) {
        case Metric::entity:
            return "entity";
        case Metric::instructuie:
            return "instructuie";
        case Metric::multiset:
            return "multiset";
        case Metric::offsets:
            return "offsets";
        case Metric::with_misc:
            break;
    }
    return "with_misc";
}

Metric parse_metric(std::string_view name) {
    auto const found = std::ranges::find(all_metrics, name, name_of);
    if (found == all_metrics.end())
        throw InputError{fmt::format("--metric is '{}'", name),
                         "use entity, instructuie, multiset, offsets or with_misc"};
    return *found;
}

bool has_offsets(Sentence const& sentence) {
    auto const known = [&](Entity const& entity) { return entity.span || !asked(sentence, entity); };
    return std::ranges::all_of(sentence.gold, known) && std::ranges::all_of(sentence.predicted, known);
}

Tally tally(Metric metric, std::span<Sentence const> sentences) {
    Tally result;
    for (auto const& sentence : sentences) add(result, metric, sentence);
    return result;
}

std::map<std::string, Tally> tally_per_target(Metric metric, std::span<Sentence const> sentences) {
    std::map<std::string, Tally> result;
    for (auto const& sentence : sentences) add(result[sentence.target], metric, sentence);
    return result;
}

}  // namespace samner::score
