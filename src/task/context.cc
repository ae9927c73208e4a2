#include "task/context.h"

#include "weights/adapter.h"
#include "weights/safetensors.h"
#include "work/cluster.h"

namespace samner::task {

Context::Context(Workplace workplace, store::Artifacts const& artifacts)
    : workplace_{std::move(workplace)}, artifacts_{artifacts}, texts_{workplace_.descriptions, workplace_.data} {}

Engine& Context::engine() {
    if (!engine_) {
        engine_.emplace(workplace_.base, workplace_.device, workplace_.precision, PlannedFiles{workplace_.files.base});
    }
    return *engine_;
}

TextEncoder& Context::encoder() {
    if (!encoder_) encoder_.emplace(workplace_.encoder, workplace_.device, PlannedFiles{workplace_.files.encoder});
    return *encoder_;
}

work::Labels Context::labels() const {
    return [this](work::Input const& input) { return work::read_labels(artifacts_.path(input.key)); };
}

std::vector<float> Context::centroid(work::Input const& input) const {
    return weights::SafetensorsFile{artifacts_.path(input.key)}.floats("mean");
}

void Context::keep_merged(std::string const& key, std::shared_ptr<weights::Adapter const> adapter) {
    constexpr std::size_t kept = 4;
    merged_.emplace_back(key, std::move(adapter));
    if (merged_.size() > kept) merged_.pop_front();
}

AdapterSource Context::adapter(work::Infer const& task) const {
    if (task.delta) return {.delta = std::make_shared<AdapterMerge const>(merge_of(*task.delta))};
    if (!task.adapter) return {};
    for (auto const& [key, values] : merged_) {
        if (key == task.adapter->key) return {.values = values};
    }
    return {.folder = artifacts_.path(task.adapter->key)};
}

AdapterMerge Context::merge_of(work::MergeRecipe const& recipe) const {
    AdapterMerge merge;
    for (auto const& input : recipe.adapters) merge.adapters.push_back(artifacts_.path(input.key));
    merge.weights = recipe.weights;
    merge.options = recipe.settings.options();
    return merge;
}

}  // namespace samner::task
