#include "corpus/dataset.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>

#include "core/error.h"
#include "core/file.h"
#include "core/hash.h"
#include "core/json.h"
#include "core/yaml.h"
#include "corpus/jsonl.h"

namespace samner::corpus {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> keys_of(auto const& map) {
    std::vector<std::string> keys;
    for (auto const& [key, value] : map) keys.push_back(key);
    return keys;
}

/// The value of a name. @throws InputError that lists the names there are
template <class T, std::size_t n>
T named(std::array<std::pair<std::string_view, T>, n> const& table, std::string const& name, std::string_view key,
        std::string const& place) {
    auto const found = std::ranges::find(table, name, &std::pair<std::string_view, T>::first);
    if (found != table.end()) return found->second;
    std::vector<std::string_view> names;
    for (auto const& entry : table) names.push_back(entry.first);
    throw InputError{fmt::format("reader.{} is '{}' ({})", key, name, place),
                     fmt::format("use one of {}", fmt::join(names, ", "))};
}

constexpr auto formats = std::to_array<std::pair<std::string_view, Format>>(
    {{"conll", Format::conll}, {"inline", Format::inline_tags}, {"jsonl", Format::jsonl}});
constexpr auto separators = std::to_array<std::pair<std::string_view, Separator>>(
    {{"tab", Separator::tab}, {"space", Separator::space}, {"last_space", Separator::last_space}});
constexpr auto broken_lines = std::to_array<std::pair<std::string_view, bool>>({{"error", false}, {"skip", true}});

std::string_view name_of(Format format) {
    return std::ranges::find(formats, format, &std::pair<std::string_view, Format>::second)->first;
}

void read_reader(YamlMap reader, Dataset& dataset) {
    auto const choice = [&](auto const& table, std::string const& key, std::string const& fallback) {
        return named(table, reader.get(key, fallback), key, reader.place());
    };
    dataset.format = choice(formats, "format", "conll");
    dataset.skip_broken = choice(broken_lines, "broken", "error");
    if (dataset.format == Format::conll) {
        auto& layout = dataset.layout;
        layout.separator = choice(separators, "separator", "tab");
        layout.token = reader.get<std::int32_t>("token", layout.token);
        layout.tag = reader.get<std::int32_t>("tag", layout.tag);
        layout.token_prefix = reader.get("token_prefix", layout.token_prefix);
        layout.comment_prefix = reader.get("comment_prefix", layout.comment_prefix);
        layout.empty_tag_is_o = reader.get("empty_tag_is_o", layout.empty_tag_is_o);
        if (layout.token < 0 || layout.tag < -1)
            throw InputError{fmt::format("reader columns count from 0 ({})", reader.place())};
    }
    reader.finish();
}

Dataset read_description(fs::path const& path) {
    YamlMap map{read_yaml(path), path.string()};
    Dataset dataset;
    dataset.id = map.require<std::string>("id");
    dataset.domain = map.require<std::string>("domain");
    dataset.description = map.require<std::string>("description");
    dataset.licence = map.get<std::string>("licence", "");
    dataset.source = map.get<std::string>("source", "");
    read_reader(map.map("reader"), dataset);
    auto splits = map.map("splits");
    for (auto const& split : splits.keys()) {
        auto const node = splits.node(split);
        if (!node.IsSequence() || node.size() == 0) {
            throw InputError{fmt::format("splits.{} is not a list of files ({})", split, splits.place(node)),
                             "write [{file: …}]"};
        }
        for (auto const& item : node) {
            YamlMap file{item, path.string(), "splits." + split};
            dataset.splits[split].push_back({file.require<std::string>("file"), file.get<std::string>("sha256", "")});
            file.finish();
        }
    }
    auto const types = map.node("types");
    if (!types.IsDefined() || !types.IsSequence() || types.size() == 0)
        throw InputError{fmt::format("types is not a list ({})", path.string()), "write [{label, name, definition}]"};
    for (auto const& item : types) {
        YamlMap type{item, path.string(), "types"};
        auto const label = type.require<std::string>("label");
        if (dataset.type(label)) throw InputError{fmt::format("type '{}' stands twice ({})", label, type.place())};
        dataset.types.push_back({label, type.get("name", label), type.get<std::string>("definition", "")});
        type.finish();
    }
    dataset.not_scored = map.get<std::vector<std::string>>("not_scored", {});
    for (auto const& label : dataset.not_scored) {
        if (std::ranges::find(dataset.types, label, &EntityType::label) == dataset.types.end())
            throw InputError{fmt::format("not_scored names '{}', which is not in types ({})", label, path.string()),
                             "add it to types"};
    }
    if (dataset.type_names().empty())
        throw InputError{fmt::format("not_scored leaves no type ({})", path.string()), "keep at least one"};
    map.finish();
    if (dataset.splits.empty()) throw InputError{fmt::format("no splits ({})", path.string()), "name at least one"};
    return dataset;
}

fs::path file_path(Dataset const& dataset, DataFile const& file, fs::path const& root) {
    auto path = root / file.path;
    if (!fs::exists(path)) {
        throw InputError{
            fmt::format("data set {}: '{}' is missing", dataset.id, path.string()),
            dataset.source.empty()
                ? "set data (or SAMNER_DATA) to the folder that holds it"
                : fmt::format("set data (or SAMNER_DATA) to the folder that holds it; upstream: {}", dataset.source)};
    }
    return path;
}

std::vector<DataFile> const& files_of(Dataset const& dataset, std::string const& split) {
    auto const found = dataset.splits.find(split);
    if (found == dataset.splits.end()) {
        throw InputError{fmt::format("data set {} has no split '{}'", dataset.id, split),
                         fmt::format("it has {}", fmt::join(keys_of(dataset.splits), ", "))};
    }
    return found->second;
}

std::vector<Sentence> read_file(Dataset const& dataset, fs::path const& path) {
    MappedFile const file{path};
    Skipped skipped;
    auto* const skip = dataset.skip_broken ? &skipped : nullptr;
    auto sentences = [&] {
        switch (dataset.format) {
            case Format::conll:
                return read_conll(file.text(), dataset.layout, path.string(), skip);
            case Format::inline_tags:
                return read_inline(file.text(), path.string(), skip);
            case Format::jsonl:
                break;
        }
        return read_jsonl(file.text(), path.string(), skip);
    }();
    if (skipped.sentences > 0) {
        spdlog::warn("data set {}: {} sentences with broken lines are left out, the first: {}", dataset.id,
                     skipped.sentences, skipped.first);
    }
    return sentences;
}

}  // namespace

EntityType const* Dataset::type(std::string const& label) const {
    if (std::ranges::find(not_scored, label) != not_scored.end()) return nullptr;
    auto const found = std::ranges::find(types, label, &EntityType::label);
    return found == types.end() ? nullptr : &*found;
}

std::vector<std::string> Dataset::type_names() const {
    std::vector<std::string> names;
    for (auto const& type : types) {
        if (std::ranges::find(not_scored, type.label) == not_scored.end()) names.push_back(type.name);
    }
    return names;
}

Catalogue::Catalogue(std::vector<fs::path> const& folders) {
    for (auto const& folder : folders) {
        if (!fs::is_directory(folder))
            throw InputError{fmt::format("'{}' is no folder of data set descriptions", folder.string())};
        std::vector<fs::path> files;
        for (auto const& entry : fs::directory_iterator{folder}) {
            if (entry.path().extension() == ".yaml") files.push_back(entry.path());
        }
        std::ranges::sort(files);
        for (auto const& file : files) {
            auto dataset = read_description(file);
            if (dataset.id != file.stem().string()) {
                throw InputError{fmt::format("id is '{}' ({})", dataset.id, file.string()),
                                 fmt::format("name it as its file: {}", file.stem().string())};
            }
            if (!datasets_.emplace(dataset.id, dataset).second) {
                throw InputError{fmt::format("data set '{}' is described twice ({})", dataset.id, file.string()),
                                 "remove one of the descriptions"};
            }
        }
    }
}

Dataset const& Catalogue::at(std::string const& id) const {
    auto const found = datasets_.find(id);
    if (found != datasets_.end()) return found->second;
    auto const near = did_you_mean(id, keys_of(datasets_));
    throw InputError{fmt::format("unknown data set '{}'", id),
                     near ? fmt::format("did you mean '{}'?", *near)
                          : fmt::format("known: {}", fmt::join(keys_of(datasets_), ", "))};
}

std::vector<Sentence> read(Dataset const& dataset, std::string const& split, fs::path const& root) {
    std::vector<Sentence> sentences;
    for (auto const& file : files_of(dataset, split)) {
        auto const path = file_path(dataset, file, root);
        auto part = read_file(dataset, path);
        for (auto const& sentence : part) {
            for (auto const& entity : sentence.entities) {
                if (std::ranges::find(dataset.types, entity.type, &EntityType::label) != dataset.types.end()) continue;
                throw InputError{
                    fmt::format("entity '{}' of '{}' has the type '{}', which data set {} does not describe ({})",
                                entity.text, sentence.text.substr(0, 80), entity.type, dataset.id, path.string()),
                    "add it to types"};
            }
        }
        std::ranges::move(part, std::back_inserter(sentences));
    }
    for (std::size_t i = 0; i < sentences.size(); ++i) sentences[i].id = fmt::format("{}/{}/{}", dataset.id, split, i);
    return sentences;
}

std::string split_hash(Dataset const& dataset, std::string const& split, fs::path const& root) {
    auto const& layout = dataset.layout;
    Json description{{"description", dataset.description},
                     {"format", name_of(dataset.format)},
                     {"layout",
                      {static_cast<int>(layout.separator), layout.token, layout.tag, layout.token_prefix,
                       layout.comment_prefix, layout.empty_tag_is_o}},
                     {"skip_broken", dataset.skip_broken},
                     {"not_scored", dataset.not_scored}};
    for (auto const& type : dataset.types) description["types"].push_back({type.label, type.name, type.definition});
    for (auto const& file : files_of(dataset, split))
        description["files"].push_back(sha256_file(file_path(dataset, file, root)));
    return sha256(canonical(description));
}

}  // namespace samner::corpus
