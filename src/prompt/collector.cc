#include "prompt/collector.h"

#include <algorithm>
#include <array>
#include <utility>

namespace samner::prompt {

std::string folded(std::string_view type) {
    auto text = score::normalise(type);
    std::ranges::replace(text, '_', ' ');
    std::ranges::replace(text, '-', ' ');
    return text;
}

bool is_none(std::string_view text) {
    constexpr auto words = std::to_array<std::string_view>(
        {"none", "na", "n/a", "null", "nil", "[]", "{}", "()", "no entities", "no entities found", "none found",
         "there are no entities", "no named entities", "no named entities found"});
    auto const whole = score::normalise(text);
    std::string_view trimmed = whole;
    constexpr std::string_view around = ".;!\"'`*";
    while (!trimmed.empty() && around.find(trimmed.back()) != std::string_view::npos) trimmed.remove_suffix(1);
    while (!trimmed.empty() && std::string_view{"\"'`*"}.find(trimmed.front()) != std::string_view::npos)
        trimmed.remove_prefix(1);
    return trimmed.empty() || std::ranges::find(words, trimmed) != words.end();
}

Collector::Collector(std::span<std::string const> types, std::string_view sentence)
    : types_{types}, sentence_{score::normalise(sentence)} {
    for (auto const& type : types) folded_.push_back(folded(type));
}

std::optional<std::string> Collector::type(std::string_view name) const {
    auto const found = std::ranges::find(folded_, folded(name));
    if (found == folded_.end()) return std::nullopt;
    return types_[static_cast<std::size_t>(found - folded_.begin())];
}

bool Collector::is_span(std::string_view text) const {
    if (!is_none(text)) return true;
    auto const normalised = score::normalise(text);
    return normalised != "none" && occurs(normalised);
}

void Collector::add(std::string_view span, std::string const& its_type) {
    auto text = score::normalise(span);
    if (text.empty()) return;
    if (occurs(text)) {
        parsed.named.push_back({text, its_type});
        parsed.mentions.insert({std::move(text), its_type});
    } else {
        parsed.not_in_sentence.insert({std::move(text), its_type});
    }
}

}  // namespace samner::prompt
