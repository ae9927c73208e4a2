#include "prompt/training_prompts.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <utility>

#include "core/error.h"

namespace samner::prompt {
namespace {

/// The draws of one prompt, as numbers of its data set's stream of choices.
enum Choice : std::uint64_t {
    source,
    definitions,
    demonstrations,
    pairs,
    drop,
    num_dropped,
    mask,
    format,
    num_choices
};

/// Draws of examples that a prompt may take: more than pairs, since those that repeat its own text are passed over.
constexpr std::size_t max_draws = 64;

constexpr auto rate_keys = std::to_array<Key>({
    {"source", "Share of the prompts that say where the data set comes from.", {"0 to 1", 0, 1}},
    {"definitions", "Share that define the types.", {"0 to 1", 0, 1}},
    {"demonstrations", "Share with worked examples, other sentences among the data set's samples.", {"0 to 1", 0, 1}},
    {"pairs", "Least and greatest number of worked examples.", {"two rising numbers from 1 to 63", 1, 63}},
    {"drop",
     "Share in which types are left out, with their mentions; a data set of one type keeps it.",
     {"0 to 1", 0, 1}},
    {"drop_at_most", "How many: 1 to this share of the types. Not stated in the paper.", {"0 to 1", 0, 1}},
    {"mask", "Share in which types are called Type1, Type2 …; only prompts that define all of them.", {"0 to 1", 0, 1}},
    {"mask_of",
     "Of what `mask` is a share: of all prompts (then at most `definitions`), or of those with definitions. Not stated "
     "in the paper.",
     {"all or defined"}},
    {"formats",
     "Weights of the answer formats (see `prompt.format`). Not stated in the paper.",
     {"at least one weight above 0", 0}},
});

bool all_defined(corpus::Dataset const& dataset, std::vector<std::string> const& types) {
    return std::ranges::all_of(types, [&](std::string const& name) {
        return std::ranges::any_of(dataset.types, [&](corpus::EntityType const& type) {
            return type.name == name && !type.definition.empty() && dataset.type(type.label);
        });
    });
}

Format pick(std::vector<std::pair<Format, double>> const& weights, double uniform) {
    double sum = 0;
    for (auto const& [format, weight] : weights) sum += weight;
    double below = 0;
    for (auto const& [format, weight] : weights) {
        below += weight;
        if (uniform * sum < below) return format;
    }
    return weights.back().first;
}

}  // namespace

std::optional<Rates> Rates::from_json(Json const& value, Places const& places) {
    if (value == "none") return std::nullopt;
    Rates rates;
    if (value == "paper") return rates;
    if (!value.is_object()) {
        throw InputError{fmt::format("parts is {} ({})", value.dump(), places.whole()),
                         "write none, paper, or a map of rates"};
    }
    std::set<std::string> known;
    auto const read = [&]<class T>(std::string const& key, T& into) {
        known.insert(key);
        if (value.contains(key)) into = member<T>(value, key, places.of(key));
    };
    auto const refuse = [&](std::string_view key, auto const& is, std::string_view range) {
        throw InputError{fmt::format("{} is {} ({})", key, is, places.of(std::string{key})),
                         fmt::format("give it {}", range)};
    };
    auto const demand = [&](bool holds, std::string_view key, auto const& is) {
        if (!holds) refuse(key, is, key_named(help(), key).range.words);
    };
    std::vector<std::int64_t> range{rates.min_pairs, rates.max_pairs};
    std::string mask_of = "all";
    std::map<std::string, double> formats;
    read("source", rates.source);
    read("definitions", rates.definitions);
    read("demonstrations", rates.demonstrations);
    read("pairs", range);
    read("drop", rates.drop);
    read("drop_at_most", rates.drop_at_most);
    read("mask", rates.mask);
    read("mask_of", mask_of);
    read("formats", formats);
    refuse_unknown(value, known, "part", places, help());
    for (auto const& [key, rate] : {std::pair{"source", rates.source},
                                    {"definitions", rates.definitions},
                                    {"demonstrations", rates.demonstrations},
                                    {"drop", rates.drop},
                                    {"drop_at_most", rates.drop_at_most},
                                    {"mask", rates.mask}}) {
        demand(key_named(help(), key).range.has(rate), key, rate);
    }
    demand(range.size() == 2 && range[0] >= 1 && range[0] <= range[1] && std::cmp_less(range[1], max_draws), "pairs",
           range);
    rates.min_pairs = range[0];
    rates.max_pairs = range[1];
    demand(mask_of == "all" || mask_of == "defined", "mask_of", mask_of);
    rates.mask_of_defined = mask_of == "defined";
    if (!rates.mask_of_defined && !(rates.mask <= rates.definitions))
        refuse("mask", rates.mask, "at most the rate of definitions, without which nothing is masked");
    if (value.contains("formats")) {
        rates.formats.clear();
        double sum = 0;
        for (auto const& [name, weight] : formats) {
            if (!(weight >= 0)) refuse("formats." + name, weight, "0 or more");
            rates.formats.emplace_back(parse_format(name), weight);
            sum += weight;
        }
        demand(sum > 0 && sum < 1e300, "formats", value.at("formats").dump());
    }
    // In one order, however they were written.
    std::ranges::sort(rates.formats);
    return rates;
}

std::span<Key const> Rates::help() {
    return rate_keys;
}

Json Rates::to_json() const {
    Json json{{"source", source},
              {"definitions", definitions},
              {"demonstrations", demonstrations},
              {"pairs", {min_pairs, max_pairs}},
              {"drop", drop},
              {"drop_at_most", drop_at_most},
              {"mask", mask},
              {"mask_of", mask_of_defined ? "defined" : "all"}};
    for (auto const& [format, weight] : formats) json["formats"][std::string{name_of(format)}] = weight;
    return json;
}

TrainingPrompts::TrainingPrompts(std::span<corpus::Pool const> pools, std::vector<corpus::Sample> samples,
                                 Options const& fixed, std::optional<Rates> rates, std::uint64_t seed)
    : pools_{pools}, samples_{std::move(samples)}, rates_{std::move(rates)}, sources_(pools.size()) {
    for (std::size_t begin = 0; begin < samples_.size();) {
        auto const first = samples_.begin() + static_cast<std::ptrdiff_t>(begin);
        auto const last = std::find_if(first, samples_.end(), [&](auto const& s) { return s.pool != first->pool; });
        auto const& dataset = *pools_[first->pool].dataset;
        if (sources_[first->pool]) {
            throw Error{fmt::format("the samples of data set {} stand apart", dataset.id),
                        "this is a fault of the program: please report it"};
        }
        auto const distinct = static_cast<std::size_t>(std::find(first + 1, last, *first) - first);
        sources_[first->pool].emplace(Source{begin,
                                             distinct,
                                             parts_of(dataset, fixed),
                                             {seed, "parts/" + dataset.id},
                                             {seed, "demonstrations/" + dataset.id},
                                             {seed, "dropped types/" + dataset.id}});
        begin = static_cast<std::size_t>(last - samples_.begin());
    }
}

corpus::Sentence const& TrainingPrompts::sentence(std::size_t i) const {
    return pools_[samples_.at(i).pool].sentences[samples_[i].sentence];
}

corpus::Dataset const& TrainingPrompts::dataset(std::size_t i) const {
    return *pools_[samples_.at(i).pool].dataset;
}

std::size_t TrainingPrompts::place(std::size_t i) const {
    return i - sources_[samples_.at(i).pool]->begin;
}

/// The types that dropping leaves.
std::vector<std::string> TrainingPrompts::some_types(Source const& source, std::size_t place) const {
    auto const& all = source.fixed.types;
    auto const most =
        std::max<std::int64_t>(1, static_cast<std::int64_t>(rates_->drop_at_most * static_cast<double>(all.size())));
    auto const bound = std::min(static_cast<std::uint64_t>(most), std::uint64_t{all.size() - 1});
    auto const count = 1 + source.choices.below(bound, place * num_choices + num_dropped);
    std::vector<bool> dropped(all.size());
    for (std::uint64_t j = 0; j < count; ++j) {
        auto left = source.dropped.below(all.size() - j, place * all.size() + j);
        std::size_t type = 0;
        while (dropped[type] || left-- > 0) ++type;
        dropped[type] = true;
    }
    std::vector<std::string> types;
    for (std::size_t type = 0; type < all.size(); ++type) {
        if (!dropped[type]) types.push_back(all[type]);
    }
    return types;
}

/// Distinct other sentences of the same data set's samples, in random order: fewer than drawn where there are no more.
std::vector<corpus::Sentence const*> TrainingPrompts::some_examples(Source const& source, std::size_t i) const {
    auto const place = i - source.begin;
    auto const spread = static_cast<std::uint64_t>(rates_->max_pairs - rates_->min_pairs + 1);
    auto const count =
        static_cast<std::size_t>(rates_->min_pairs) + source.choices.below(spread, place * num_choices + pairs);
    std::vector<std::size_t> taken{place % source.distinct};  // rising
    std::vector<corpus::Sentence const*> examples;
    for (std::size_t j = 0; j < max_draws && examples.size() < count && taken.size() < source.distinct; ++j) {
        std::size_t drawn = source.examples.below(source.distinct - taken.size(), place * max_draws + j);
        for (auto const other : taken) drawn += drawn >= other;
        taken.insert(std::ranges::lower_bound(taken, drawn), drawn);
        // The same text elsewhere in the corpus would give the answer away.
        auto const& example = sentence(source.begin + drawn);
        if (example.text != sentence(i).text) examples.push_back(&example);
    }
    return examples;
}

Parts TrainingPrompts::parts(std::size_t i) const {
    auto const& source = *sources_[samples_.at(i).pool];
    if (!rates_) return source.fixed;
    auto const place = i - source.begin;
    auto const uniform = [&](Choice choice) { return source.choices.uniform(place * num_choices + choice); };
    Parts parts;
    parts.types = source.fixed.types;
    if (parts.types.size() > 1 && uniform(drop) < rates_->drop) parts.types = some_types(source, place);
    parts.source = uniform(Choice::source) < rates_->source;
    parts.definitions = uniform(definitions) < rates_->definitions;
    parts.answer_format = true;
    if (uniform(demonstrations) < rates_->demonstrations) parts.demonstrations = some_examples(source, i);
    parts.format = pick(rates_->formats, uniform(format));
    auto const masked = rates_->mask_of_defined ? rates_->mask : rates_->mask / rates_->definitions;
    parts.masked = parts.definitions && uniform(mask) < masked && all_defined(dataset(i), parts.types);
    return parts;
}

Prompt TrainingPrompts::at(std::size_t i) const {
    return render(sentence(i), dataset(i), parts(i));
}

}  // namespace samner::prompt
