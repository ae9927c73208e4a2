#include "work/recipe.h"

#include <fmt/format.h>

#include "core/error.h"

namespace samner::work {

std::string Recipe::name() const {
    std::string name;
    for (auto const& part : parts) {
        name += (name.empty() ? "" : "+") + part.expert;
        if (part.cluster) name += fmt::format("[{}]", part.cluster->index + 1);
    }
    return name;
}

std::vector<TrainingSet> training_sets(Recipe const& recipe, TextReader& reader, Labels const& labels) {
    std::vector<TrainingSet> sets;
    for (auto const& part : recipe.parts) {
        auto& set = sets.emplace_back();
        for (auto const& source : part.data) set.pools.push_back({&reader.dataset(source), reader.sentences(source)});
        corpus::SetSize size{part.samples};
        if (size.samples == 0) {
            size.at_least = part.between.at(0);
            size.at_most = part.between.at(1);
        }
        set.samples = corpus::training_set(set.pools, size, recipe.keep_empty, recipe.seed);
        if (!part.cluster) continue;
        if (!labels) throw Error{"samples of a cluster, and nothing tells its labels"};
        auto const known = labels(part.cluster->labels);
        if (known.size() != set.samples.size()) {
            throw InputError{
                fmt::format("{} labels for {} samples of {}", known.size(), set.samples.size(), part.expert),
                "the clusters are not of these samples: remove their artifact, and run again"};
        }
        std::vector<corpus::Sample> chosen;
        for (std::size_t i = 0; i < known.size(); ++i) {
            if (known[i] == part.cluster->index) chosen.push_back(set.samples[i]);
        }
        set.samples = std::move(chosen);
    }
    return sets;
}

std::vector<std::string> training_texts(Recipe const& recipe, TextReader& reader, Labels const& labels) {
    std::vector<std::string> texts;
    for (auto const& set : training_sets(recipe, reader, labels)) {
        for (auto const& sample : set.samples) texts.push_back(set.pools[sample.pool].sentences[sample.sentence].text);
    }
    return texts;
}

}  // namespace samner::work
