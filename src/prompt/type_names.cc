#include "prompt/type_names.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "core/yaml.h"
#include "prompt/collector.h"

namespace samner::prompt {
namespace {

using Counts = std::map<std::string, std::int64_t>;

bool is_asked(score::Sentence const& sentence, std::string const& type) {
    return sentence.types.empty() || std::ranges::find(sentence.types, type) != sentence.types.end();
}

void remove_common(Counts& a, Counts& b) {
    std::erase_if(a, [&](auto const& entry) { return b.erase(entry.first) > 0; });
}

/// Whether two names are spelled alike or one is short for the other, as ORG for organization.
bool are_alike(std::string const& a, std::string const& b) {
    constexpr std::size_t least = 2;
    auto const x = folded(a);
    auto const y = folded(b);
    return x == y || (std::min(x.size(), y.size()) >= least && (x.starts_with(y) || y.starts_with(x)));
}

/// Says which of two a data set has as label and name; empty where none has.
std::string described(std::string const& a, std::string const& b, corpus::Catalogue const* descriptions) {
    if (!descriptions) return {};
    for (auto const& [id, dataset] : descriptions->all()) {
        for (auto const& type : dataset.types) {
            if (type.label == type.name) continue;
            if (type.label == a && type.name == b) return fmt::format("'{}' is the label of '{}' in {}", a, b, id);
            if (type.label == b && type.name == a) return fmt::format("'{}' is the label of '{}' in {}", b, a, id);
        }
    }
    return {};
}

std::string likely_name(std::string const& type, std::vector<std::string> const& candidates,
                        corpus::Catalogue const* descriptions) {
    for (auto const& candidate : candidates) {
        if (auto text = described(type, candidate, descriptions); !text.empty()) return text;
    }
    auto const found = std::ranges::find_if(candidates, [&](auto const& other) { return are_alike(type, other); });
    auto const near = found != candidates.end() ? std::optional{*found} : did_you_mean(type, candidates);
    return near ? fmt::format("'{}' could be '{}'", type, *near) : std::string{};
}

}  // namespace

OneSidedTypes one_sided_types(std::span<score::Sentence const> sentences) {
    OneSidedTypes types;
    for (auto const& sentence : sentences) {
        for (auto const& entity : sentence.gold) ++types.gold[entity.mention.type];
        for (auto const& entity : sentence.predicted) ++types.predicted[entity.mention.type];
    }
    remove_common(types.gold, types.predicted);
    return types;
}

OneSidedTypes suspicious_types(std::span<score::Sentence const> sentences) {
    if (std::ranges::all_of(sentences, [](auto const& sentence) { return sentence.predicted.empty(); })) return {};
    auto types = one_sided_types(sentences);
    if (!types.predicted.empty()) return types;
    Counts asked;
    for (auto const& sentence : sentences) {
        for (auto const& entity : sentence.gold)
            if (is_asked(sentence, entity.mention.type)) ++asked[entity.mention.type];
    }
    std::erase_if(types.gold, [&](auto const& entry) { return !asked.contains(entry.first); });
    return types;
}

std::string likely_names(OneSidedTypes const& types, corpus::Catalogue const* descriptions) {
    std::vector<std::string> candidates;
    for (auto const& [type, count] : types.predicted) candidates.push_back(type);
    std::vector<std::string> found;
    for (auto const& [type, count] : types.gold) {
        if (auto text = likely_name(type, candidates, descriptions); !text.empty()) found.push_back(std::move(text));
    }
    return fmt::format("{}", fmt::join(found, ", "));
}

}  // namespace samner::prompt
