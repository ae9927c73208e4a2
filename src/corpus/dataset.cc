#include "corpus/dataset.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "core/error.h"
#include "core/file.h"
#include "core/hash.h"
#include "core/json.h"
#include "core/yaml.h"

namespace samner::corpus {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> keys_of(auto const& map) {
    std::vector<std::string> keys;
    for (auto const& [key, value] : map) keys.push_back(key);
    return keys;
}

char separator_named(std::string const& name, std::string const& place) {
    if (name == "tab") return '\t';
    if (name == "space") return ' ';
    throw InputError{fmt::format("reader.separator is '{}' ({})", name, place), "use tab or space"};
}

void read_reader(YamlMap reader, Dataset& dataset) {
    auto const format = reader.get<std::string>("format", "conll");
    if (format == "jsonl") {
        dataset.format = Format::jsonl;
    } else if (format == "conll") {
        auto& layout = dataset.layout;
        layout.separator = separator_named(reader.get<std::string>("separator", "tab"), reader.place());
        layout.token = reader.get<std::int32_t>("token", layout.token);
        layout.tag = reader.get<std::int32_t>("tag", layout.tag);
        layout.token_prefix = reader.get("token_prefix", layout.token_prefix);
        layout.comment_prefix = reader.get("comment_prefix", layout.comment_prefix);
        if (layout.token < 0 || layout.tag < -1)
            throw InputError{fmt::format("reader columns count from 0 ({})", reader.place())};
    } else {
        throw InputError{fmt::format("reader.format is '{}' ({})", format, reader.place()),
                         "conll and jsonl are there yet"};
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
    if (!types.IsDefined() || !types.IsSequence())
        throw InputError{fmt::format("types is not a list ({})", path.string()), "write [{label, name, definition}]"};
    for (auto const& item : types) {
        YamlMap type{item, path.string(), "types"};
        auto const label = type.require<std::string>("label");
        if (dataset.type(label)) throw InputError{fmt::format("type '{}' stands twice ({})", label, type.place())};
        dataset.types.push_back({label, type.get("name", label), type.get<std::string>("definition", "")});
        type.finish();
    }
    dataset.not_scored = map.get<std::vector<std::string>>("not_scored", {});
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

/// {"id", "text", "entities": [{"text", "type"}…]} a line.
std::vector<Sentence> read_jsonl(fs::path const& path) {
    std::vector<Sentence> sentences;
    for_each_jsonl(path, [&](Json const& line, std::string const& place) {
        auto& sentence = sentences.emplace_back();
        sentence.text = member<std::string>(line, "text", place);
        for (auto const& entity : member<Json>(line, "entities", place)) {
            sentence.entities.push_back(
                {member<std::string>(entity, "text", place), member<std::string>(entity, "type", place)});
        }
    });
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
        auto part = dataset.format == Format::conll ? read_conll(MappedFile{path}.text(), dataset.layout, path.string())
                                                    : read_jsonl(path);
        for (auto const& sentence : part) {
            for (auto const& entity : sentence.entities) {
                if (std::ranges::find(dataset.types, entity.type, &EntityType::label) != dataset.types.end()) continue;
                throw InputError{fmt::format("entity '{}' has the type '{}', which data set {} does not describe ({})",
                                             entity.text, entity.type, dataset.id, path.string()),
                                 "add it to types"};
            }
        }
        std::ranges::move(part, std::back_inserter(sentences));
    }
    for (std::size_t i = 0; i < sentences.size(); ++i) sentences[i].id = fmt::format("{}/{}/{}", dataset.id, split, i);
    return sentences;
}

std::string split_hash(Dataset const& dataset, std::string const& split, fs::path const& root) {
    Json description{{"description", dataset.description},
                     {"format", dataset.format == Format::conll ? "conll" : "jsonl"},
                     {"layout",
                      {std::string{dataset.layout.separator}, dataset.layout.token, dataset.layout.tag,
                       dataset.layout.token_prefix, dataset.layout.comment_prefix}},
                     {"not_scored", dataset.not_scored}};
    for (auto const& type : dataset.types) description["types"].push_back({type.label, type.name, type.definition});
    for (auto const& file : files_of(dataset, split))
        description["files"].push_back(sha256_file(file_path(dataset, file, root)));
    return sha256(canonical(description));
}

}  // namespace samner::corpus
