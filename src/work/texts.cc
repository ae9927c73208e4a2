#include "work/texts.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "core/error.h"
#include "core/file.h"
#include "core/hash.h"
#include "core/input_lines.h"
#include "core/random.h"
#include "corpus/json_records.h"
#include "corpus/slice.h"

namespace samner::work {
namespace {

std::string id_of(Source const& source) {
    if (auto const* const dataset = std::get_if<DatasetSource>(&source)) return dataset->dataset;
    return "texts";  // wherever the user's file lies
}

std::string id_of(Texts const& texts) {
    std::vector<std::string> ids;
    for (auto const& source : texts.sources) ids.push_back(id_of(source));
    return fmt::format("{}", fmt::join(ids, "+"));
}

std::string text_of(View const& view) {
    struct Writer {
        std::string operator()(First const& first) const { return fmt::format("first {}", first.n); }
        std::string operator()(Sample const& sample) const { return fmt::format("sample of {}", sample.k); }
        std::string operator()(OneSentence const& one) const { return fmt::format("sentence of trial {}", one.trial); }
        std::string operator()(OfCluster const& cluster) const { return fmt::format("cluster {}", cluster.index + 1); }
        std::string operator()(Shard const& shard) const { return fmt::format("shard {}", shard.index + 1); }
    };
    return std::visit(Writer{}, view);
}

std::vector<std::size_t> drawn(std::uint64_t seed, std::string const& purpose, std::size_t of, std::size_t k) {
    auto order = RandomStream{seed, purpose}.permutation(of);
    order.resize(std::min(order.size(), k));
    std::ranges::sort(order);
    return order;
}

template <class T>
std::vector<T> at(std::vector<T> const& all, std::vector<std::size_t> const& positions) {
    std::vector<T> chosen;
    for (auto const i : positions) chosen.push_back(all[i]);
    return chosen;
}

/// Gives a user's texts the entities of their gold file.
void add_gold(std::vector<corpus::Sentence>& texts, FileSource const& file) {
    std::map<std::string, std::pair<std::string, corpus::Sentence>> gold;  // by id, with the place
    auto sentences = corpus::read_json_records(read_text(file.gold), {}, file.gold);
    std::size_t next = 0;
    for_each_input(file.gold, [&](Json const& line, std::string const& place) {
        gold[samner::id_of(line, place)] = {place, std::move(sentences.at(next++))};
    });
    std::set<std::string> known;
    for (auto const& type : file.types) known.insert(type.name);
    for (auto& text : texts) {
        auto found = gold.find(text.id);
        if (found == gold.end())
            throw InputError{fmt::format("the gold file '{}' has no id {} of '{}'", file.gold, text.id, file.path),
                             "give each text a line in it"};
        auto& [place, labelled] = found->second;
        if (labelled.text != text.text)
            throw InputError{fmt::format("id {} has another text in '{}' ({})", text.id, file.path, place),
                             "name the gold of these texts"};
        for (auto const& entity : labelled.entities) {
            if (known.contains(entity.type)) continue;
            throw InputError{fmt::format("the gold has the type '{}', which is not asked for ({})", entity.type, place),
                             fmt::format("name types alike; asked for are {}", fmt::join(known, ", "))};
        }
        text.entities = std::move(labelled.entities);
    }
}

}  // namespace

Json WantedType::to_json() const {
    if (definition.empty()) return name;
    return Json::array({name, definition});
}

WantedType WantedType::from_json(Json const& value, std::string_view place) {
    WantedType type;
    bool const defined = value.is_object() && value.size() == 1 && value.begin().value().is_string();
    if (value.is_array() && value.size() == 2 && value[0].is_string() && value[1].is_string()) {
        type = {value[0].get<std::string>(), value[1].get<std::string>()};
    } else if (defined) {
        type = {value.begin().key(), value.begin().value().get<std::string>()};
    } else if (value.is_string()) {
        type.name = value.get<std::string>();
    } else {
        throw InputError{fmt::format("a type is {} ({})", value.dump().substr(0, 60), place),
                         "write its name, or name: definition"};
    }
    if (type.name.find_first_not_of(" \t") == std::string::npos)
        throw InputError{fmt::format("a type has an empty name ({})", place), "give it one"};
    return type;
}

void check_types(std::vector<WantedType> const& types, std::string_view place) {
    if (types.empty()) throw InputError{fmt::format("no types are named ({})", place), "name those to find"};
    std::set<std::string> names;
    for (auto const& type : types)
        if (!names.insert(type.name).second)
            throw InputError{fmt::format("the type '{}' stands twice ({})", type.name, place), "name each type once"};
}

Input Input::from_json(Json const& value, std::string_view place) {
    if (!value.is_string()) throw InputError{fmt::format("a key is {} ({})", value.dump().substr(0, 60), place)};
    return {value.get<std::string>()};
}

DatasetRef parse_dataset_ref(std::string const& text, std::string const& default_split, std::string_view place) {
    auto const colon = text.find(':');
    DatasetRef ref{text.substr(0, colon), {}};
    if (colon == std::string::npos) {
        ref.splits = {default_split};
    } else {
        for (auto begin = colon + 1; begin <= text.size();) {
            auto const end = std::min(text.find('+', begin), text.size());
            ref.splits.push_back(text.substr(begin, end - begin));
            begin = end + 1;
        }
    }
    std::set<std::string> const distinct{ref.splits.begin(), ref.splits.end()};
    if (ref.id.empty() || distinct.contains("") || distinct.size() != ref.splits.size()) {
        throw InputError{fmt::format("'{}' names no data set ({})", text, place),
                         "write its id, or id:split, or id:split+split with each split once"};
    }
    for (auto const& split : ref.splits) {
        try {
            corpus::parse_slice(split);
        } catch (InputError const& error) {
            throw InputError{fmt::format("{} ({})", error.what(), place), error.remedy()};
        }
    }
    return ref;
}

Json DatasetSource::key() const {
    auto list = Json::array({dataset});
    for (auto const& split : splits) list.push_back(split.sha256);
    return list;
}

bool Texts::has_gold() const {
    return std::ranges::none_of(sources, [](Source const& source) {
        auto const* const file = std::get_if<FileSource>(&source);
        return file != nullptr && file->gold.empty();
    });
}

std::string Texts::name() const {
    auto text = id_of(*this);
    for (auto const& view : views) {
        if (!std::holds_alternative<First>(view)) text += fmt::format(" ({})", text_of(view));
    }
    return text;
}

Texts Texts::with(View view) const {
    auto result = *this;
    result.views.push_back(std::move(view));
    return result;
}

std::optional<Texts::WholeSplit> Texts::whole_split() const {
    if (sources.size() != 1 || views.size() > 1) return std::nullopt;
    auto const* const source = std::get_if<DatasetSource>(&sources.front());
    auto const* const first = views.empty() ? nullptr : std::get_if<First>(&views.front());
    if (source == nullptr || source->splits.size() != 1 || (!views.empty() && first == nullptr)) return std::nullopt;
    return WholeSplit{source->splits.front(), first != nullptr ? first->n : 0};
}

TextReader::TextReader(std::vector<std::filesystem::path> const& descriptions, std::filesystem::path root,
                       std::string how_to_name_root)
    : catalogue_{corpus::Catalogue::with_shipped(descriptions)},
      root_{std::move(root)},
      how_to_name_root_{std::move(how_to_name_root)} {}

std::filesystem::path TextReader::root() const {
    return corpus::root_or_default(root_, how_to_name_root_);
}

DatasetSource TextReader::hashed(DatasetRef const& ref, FileHash const& hash) {
    DatasetSource source{ref.id, {}};
    for (auto const& split : ref.splits) {
        auto& of_split = hashes_[ref.id + "/" + split];
        if (of_split.empty()) of_split = corpus::split_hash(catalogue_.at(ref.id), split, root(), hash);
        source.splits.push_back({split, of_split});
    }
    return source;
}

FileSource TextReader::hashed(std::filesystem::path const& file, std::vector<WantedType> types, FileHash const& hash) {
    return {file.string(), hash(file), std::move(types)};
}

std::vector<corpus::Sentence> TextReader::load(Source const& source) {
    if (auto const* const data = std::get_if<DatasetSource>(&source)) {
        auto const& dataset = catalogue_.at(data->dataset);
        std::vector<corpus::Sentence> all;
        for (auto const& split : data->splits) {
            auto part = corpus::read(dataset, split.name, root());
            std::ranges::move(part, std::back_inserter(all));
            if (!split.sha256.empty() && corpus::split_hash(dataset, split.name, root()) != split.sha256) {
                throw InputError{fmt::format("{}:{} has changed since this run was planned", data->dataset, split.name),
                                 "run the same command again: it plans with what is there now"};
            }
        }
        return all;
    }
    auto const& file = std::get<FileSource>(source);
    std::vector<corpus::Sentence> all;
    Distinct ids;
    for_each_input(file.path, [&](Json const& line, std::string const& place) {
        all.push_back({samner::id_of(line, place), member<std::string>(line, "text", place), {}});
        ids.add(all.back().id, place);
    });
    if (!file.sha256.empty() && sha256_file(file.path) != file.sha256) {
        throw InputError{fmt::format("'{}' has changed since it was hashed", file.path),
                         "run the same command again: it takes what is there now"};
    }
    if (!file.gold.empty()) add_gold(all, file);
    return all;
}

std::vector<corpus::Sentence> const& TextReader::sentences(Source const& source) {
    auto key = canonical(key_of(source));  // without a file's path, which may have any bytes
    if (auto const* const file = std::get_if<FileSource>(&source)) key += file->gold;
    auto const found = kept_.find(key);
    if (found != kept_.end()) return found->second;
    return kept_[key] = load(source);
}

corpus::Dataset const& TextReader::dataset(Source const& source) {
    if (auto const* const data = std::get_if<DatasetSource>(&source)) return catalogue_.at(data->dataset);
    auto& dataset = file_datasets_[canonical(key_of(source))];
    if (dataset.id.empty()) {
        dataset.id = id_of(source);
        for (auto const& [name, definition] : std::get<FileSource>(source).types)
            dataset.types.push_back({name, name, definition});
    }
    return dataset;
}

std::vector<Text> TextReader::read(Texts const& texts, Labels const& labels) {
    std::vector<std::vector<Text>> by_source;
    for (auto const& source : texts.sources) {
        auto& list = by_source.emplace_back();
        auto const& of = dataset(source);
        for (auto const& sentence : sentences(source)) list.push_back({&sentence, &of});
    }
    auto views = texts.views.begin();
    for (; views != texts.views.end() && std::holds_alternative<First>(*views); ++views) {
        auto const n = static_cast<std::size_t>(std::get<First>(*views).n);
        for (auto& list : by_source) list.resize(std::min(list.size(), n));
    }
    std::vector<Text> left;
    for (auto const& list : by_source) left.insert(left.end(), list.begin(), list.end());

    auto const name = id_of(texts);
    struct Apply {
        std::vector<Text> const& all;
        std::string const& name;
        Labels const& labels;

        std::vector<Text> operator()(First const& first) const {
            return {all.begin(), all.begin() + std::min<std::ptrdiff_t>(std::ssize(all), first.n)};
        }
        std::vector<Text> operator()(Sample const& sample) const {
            return at(all, drawn(sample.seed, "sampling/" + name, all.size(), static_cast<std::size_t>(sample.k)));
        }
        std::vector<Text> operator()(OneSentence const& one) const {
            return at(all, drawn(one.trial, "one sentence/" + name, all.size(), 1));
        }
        std::vector<Text> operator()(OfCluster const& cluster) const {
            if (!labels) throw Error{"texts of a cluster, and nothing tells its labels"};
            auto const known = labels(cluster.labels);
            if (known.size() != all.size()) {
                throw InputError{fmt::format("{} labels for {} texts of {}", known.size(), all.size(), name),
                                 "the clusters are not of these texts: remove their artifact, and run again"};
            }
            std::vector<Text> chosen;
            for (std::size_t i = 0; i < all.size(); ++i) {
                if (known[i] == cluster.index) chosen.push_back(all[i]);
            }
            return chosen;
        }
        std::vector<Text> operator()(Shard const& shard) const {
            auto const begin = std::min(std::ssize(all), shard.size * shard.index);
            auto const end = std::min(std::ssize(all), begin + shard.size);
            return {all.begin() + begin, all.begin() + end};
        }
    };
    for (; views != texts.views.end(); ++views) left = std::visit(Apply{left, name, labels}, *views);
    return left;
}

std::vector<std::string> TextReader::type_names(Texts const& texts) {
    std::vector<std::string> names;
    for (auto const& source : texts.sources) {
        for (auto const& name : dataset(source).type_names()) {
            if (std::ranges::find(names, name) == names.end()) names.push_back(name);
        }
    }
    return names;
}

}  // namespace samner::work
