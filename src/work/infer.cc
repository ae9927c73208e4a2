#include "work/infer.h"

#include <fmt/format.h>

#include <algorithm>

#include "work/task.h"

namespace samner::work {

Json Infer::key() const {
    auto key = key_of_fields(*this);
    if (auto const whole = texts.whole_split()) {
        key["data"] = whole->split.sha256;
        key["sentences"] = whole->first;
        key["sample"] = nullptr;
    }
    return key;
}

std::string Infer::label() const {
    auto const drawn = sampling ? fmt::format(", answer {}", sampling->number + 1) : "";
    return fmt::format("infer {} on {}{}", model, texts.name(), drawn);
}

bool Infer::sampled() const {
    return std::ranges::any_of(texts.views, [](View const& view) { return std::holds_alternative<Sample>(view); });
}

std::string Infer::batch() const {
    if (!sampled() || !arithmetic.exact() || delta) return {};
    auto alike = *this;
    alike.adapter.reset();
    return key_of_task(std::move(alike));
}

}  // namespace samner::work
