#include "corpus/dataset.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "core/error.h"
#include "core/file.h"
#include "core/hash.h"
#include "core/home.h"
#include "core/json.h"
#include "core/yaml.h"
#include "corpus/slice.h"

namespace samner::corpus {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> keys_of(auto const& map) {
    std::vector<std::string> keys;
    keys.reserve(map.size());
    for (auto const& [key, value] : map) keys.push_back(key);
    return keys;
}

/// Keys of each part of a description (description_keys); what is read is named by `key`.
constexpr auto description_table = std::to_array<Key>({
    {.name = "id", .help = "The name of the data set, which is that of its file.", .required = true},
    {.name = "domain", .help = "For people.", .required = true},
    {.name = "description",
     .help = "Where the text comes from, in a sentence; stands in prompts of the full layout.",
     .required = true},
    {.name = "licence", .help = "For people."},
    {.name = "source", .help = "Page of the corpus, for people."},
    {.name = "user_supplied", .help = "Whether users bring the files, because nobody may pass them on."},
    {.name = "substitutes", .help = "Corpora of the paper that this one stands in for."},
    {.name = "reader", .help = "How the files are laid out."},
    {.name = "upstream", .help = "Address that `from` of files goes behind."},
    {.name = "splits", .help = "Map of names, such as train, dev and test, to lists of files.", .required = true},
    {.name = "types", .help = "The entity types, in the order in which prompts name them.", .required = true},
    {.name = "not_scored", .help = "Labels that are neither asked for nor scored."},
});
constexpr auto reader_table = std::to_array<Key>({
    {.name = "format", .help = "What the files are."},
    {.name = "broken", .help = "A sentence with a broken line is an error, or left out, counted and warned of (skip)."},
    {.name = "encoding", .help = "Of the files."},
});
constexpr Key tags_key{.name = "tags",
                       .help = "What tags stand for: `{1: B-PER}`, or a list, whose positions from 0 are the tags."};
constexpr Key label_until_key{.name = "label_until", .help = "`'-'` reads `type-suv` as `type`."};
constexpr Key tag_style_key{.name = "tag_style", .help = "Tags as B-PER (letters), or as in CoNLL-2012 (brackets)."};
constexpr auto conll_table = std::to_array<Key>({
    {.name = "separator", .help = "What stands between columns; last_space: the last one only."},
    {.name = "token", .help = "Column of the token, from 0.", .range = {.least = 0}},
    {.name = "tag", .help = "Column of the tag, from 0; -1: the last.", .range = {.least = -1}},
    {.name = "token_prefix", .help = "What is taken from the beginning of tokens."},
    {.name = "comment_prefix", .help = "What lines begin with that are comments, unless they have a token's columns."},
    tags_key,
    label_until_key,
    tag_style_key,
});
constexpr auto csv_table = std::to_array<Key>({
    {.name = "header", .help = "Whether the first row names the columns."},
    {.name = "token", .help = "Column of the token, by name or number from 0."},
    {.name = "tag", .help = "Column of the tag, likewise."},
    {.name = "sentence", .help = "Column that is filled where a sentence begins."},
    {.name = "document", .help = "Column whose change ends a sentence."},
    {.name = "sentence_ends", .help = "Tokens that end a sentence."},
    tags_key,
    label_until_key,
    tag_style_key,
});
constexpr auto json_table = std::to_array<Key>({
    {.name = "records", .help = "Path to the list of a record's sentences; empty: the record is one sentence."},
    {.name = "text", .help = "Path to a record's text, such as `pos.0` or `frames.*.slots`."},
    {.name = "entities", .help = "Path to its entities."},
    {.name = "entity_text", .help = "Path to an entity's text."},
    {.name = "type", .help = "Path to its type."},
    {.name = "start", .help = "Path to where it begins, in code points."},
    {.name = "end", .help = "Path to where it ends, likewise; not included."},
    {.name = "tokens", .help = "Path to a record's tokens, in place of text and entities."},
    {.name = "tag", .help = "Path to their tags."},
    tags_key,
    label_until_key,
    tag_style_key,
});
constexpr Key repair_key{.name = "repair", .help = "How upstream's file is broken."};
constexpr auto file_table = std::to_array<Key>({
    {.name = "file", .help = "Path under the data root.", .required = true},
    {.name = "sha256", .help = "SHA-256 of upstream's file."},
    {.name = "from", .help = "Address of the file, or of an archive that holds it; may go behind `upstream`."},
    {.name = "member", .help = "Of an archive: the file is its members of this pattern, joined."},
    repair_key,
});
constexpr auto folder_table = std::to_array<Key>({
    {.name = "folder",
     .help = "In place of `file`: the files of a folder under the data root, and of the folders in it.",
     .required = true},
    {.name = "suffix", .help = "What the names of these files end with.", .required = true},
    repair_key,
});
constexpr auto type_table = std::to_array<Key>({
    {.name = "label", .help = "As the files have it.", .required = true},
    {.name = "name", .help = "As prompts and scores have it; without it the label."},
    {.name = "definition", .help = "A sentence for prompts of the full layout."},
});

/// A key of a table.
template <std::size_t n>
consteval char const* key(std::array<Key, n> const& table, std::string_view name) {
    for (auto const& known : table)
        if (known.name == name) return known.name.data();
    throw "not in the table";
}

/// The value of a name. @throws InputError that lists the names there are
template <class T, std::size_t n>
T named(std::array<std::pair<std::string_view, T>, n> const& table, std::string const& name, std::string_view key,
        std::string const& place) {
    auto const found = std::ranges::find(table, name, &std::pair<std::string_view, T>::first);
    if (found != table.end()) return found->second;
    std::vector<std::string_view> names;
    names.reserve(n);
    for (auto const& entry : table) names.push_back(entry.first);
    throw InputError{fmt::format("{} is '{}' ({})", key, name, place),
                     fmt::format("use one of {}", fmt::join(names, ", "))};
}

constexpr auto separators =
    std::to_array<std::pair<std::string_view, Separator>>({{"tab", Separator::tab},
                                                           {"space", Separator::space},
                                                           {"spaces", Separator::spaces},
                                                           {"last_space", Separator::last_space}});
constexpr auto tag_styles = std::to_array<std::pair<std::string_view, bool>>({{"letters", false}, {"brackets", true}});
constexpr auto encodings = std::to_array<std::pair<std::string_view, Encoding>>(
    {{"utf-8", Encoding::utf8}, {"windows-1252", Encoding::windows_1252}});
constexpr auto repairs =
    std::to_array<std::pair<std::string_view, Repair>>({{"none", Repair::none},
                                                        {"shifted_breaks", Repair::shifted_breaks},
                                                        {"drop_last_sentence", Repair::drop_last_sentence}});
constexpr auto broken_lines = std::to_array<std::pair<std::string_view, bool>>({{"error", false}, {"skip", true}});

template <class T, std::size_t n>
T choice(std::array<std::pair<std::string_view, T>, n> const& table, YamlMap& map, std::string const& key,
         std::string const& fallback) {
    return named(table, map.get(key, fallback), map.path() + "." + key, map.place());
}

/// `tags: {1: B-PER, …}`, or a list whose positions from 0 are the tags in the file.
std::map<std::string, std::string, std::less<>> read_tag_names(YamlMap& reader) {
    std::map<std::string, std::string, std::less<>> names;
    auto const node = reader.node(tags_key.name.data());
    if (!node.IsDefined()) return names;
    if (!node.IsMap() && !node.IsSequence()) {
        throw InputError{fmt::format("reader.tags is neither a map nor a list ({})", reader.place(node)),
                         "write {tag in the file: tag}, such as {1: B-PER}, or a list of tags"};
    }
    auto const add = [&](std::string const& tag, YAML::Node const& meaning) {
        if (!meaning.IsScalar() || !parse_tag(meaning.Scalar())) {
            throw InputError{fmt::format("reader.tags: '{}' stands for no tag ({})", tag, reader.place(meaning)),
                             "write O, or B-, I-, E- or S- and a type"};
        }
        names[tag] = meaning.Scalar();
    };
    if (node.IsMap()) {
        for (auto const& entry : node) add(entry.first.Scalar(), entry.second);
    } else {
        for (std::size_t i = 0; i < node.size(); ++i) add(std::to_string(i), node[i]);
    }
    return names;
}

TagLayout read_tag_layout(YamlMap& reader) {
    TagLayout tags;
    tags.names = read_tag_names(reader);
    tags.label_until = reader.get(label_until_key.name.data(), tags.label_until);
    tags.brackets = choice(tag_styles, reader, tag_style_key.name.data(), "letters");
    return tags;
}

ConllLayout read_conll_layout(YamlMap& reader) {
    ConllLayout layout;
    layout.separator = choice(separators, reader, key(conll_table, "separator"), "tab");
    layout.token = reader.get<std::int32_t>(key(conll_table, "token"), layout.token);
    layout.tag = reader.get<std::int32_t>(key(conll_table, "tag"), layout.tag);
    layout.token_prefix = reader.get(key(conll_table, "token_prefix"), layout.token_prefix);
    layout.comment_prefix = reader.get(key(conll_table, "comment_prefix"), layout.comment_prefix);
    layout.tags = read_tag_layout(reader);
    if (layout.token < 0 || layout.tag < -1)
        throw InputError{fmt::format("reader columns count from 0 ({})", reader.place())};
    return layout;
}

CsvLayout read_csv_layout(YamlMap& reader) {
    CsvLayout layout;
    layout.header = reader.get(key(csv_table, "header"), layout.header);
    layout.token = reader.get(key(csv_table, "token"), layout.token);
    layout.tag = reader.get(key(csv_table, "tag"), layout.tag);
    layout.sentence = reader.get(key(csv_table, "sentence"), layout.sentence);
    layout.document = reader.get(key(csv_table, "document"), layout.document);
    layout.sentence_ends = reader.get(key(csv_table, "sentence_ends"), layout.sentence_ends);
    layout.tags = read_tag_layout(reader);
    return layout;
}

JsonLayout read_json_layout(YamlMap& reader) {
    JsonLayout layout;
    layout.records = reader.get(key(json_table, "records"), layout.records);
    if (reader.has(key(json_table, "tokens"))) {
        layout.tokens = reader.require<std::string>(key(json_table, "tokens"));
        layout.tag = reader.get(key(json_table, "tag"), layout.tag);
    } else {
        layout.text = reader.get(key(json_table, "text"), layout.text);
        layout.entities = reader.get(key(json_table, "entities"), layout.entities);
        layout.entity_text = reader.get(key(json_table, "entity_text"), layout.entity_text);
        layout.type = reader.get(key(json_table, "type"), layout.type);
        layout.start = reader.get(key(json_table, "start"), layout.start);
        layout.end = reader.get(key(json_table, "end"), layout.end);
    }
    layout.tags = read_tag_layout(reader);
    return layout;
}

using ReadLayout = Layout (*)(YamlMap&);
constexpr auto formats = std::to_array<std::pair<std::string_view, ReadLayout>>(
    {{"conll", [](YamlMap& reader) -> Layout { return read_conll_layout(reader); }},
     {"inline", [](YamlMap&) -> Layout { return InlineLayout{}; }},
     {"csv", [](YamlMap& reader) -> Layout { return read_csv_layout(reader); }},
     {"json", [](YamlMap& reader) -> Layout { return read_json_layout(reader); }},
     {"jsonl", [](YamlMap& reader) -> Layout { return read_json_layout(reader); }},
     {"documents", [](YamlMap&) -> Layout { return DocumentLayout{}; }}});

void read_reader(YamlMap& description, Dataset& dataset) {
    if (description.has(key(description_table, "reader")))
        dataset.reader = to_json(description.node(key(description_table, "reader")));
    auto reader = description.map(key(description_table, "reader"));
    dataset.layout = choice(formats, reader, key(reader_table, "format"), "conll")(reader);
    dataset.skip_broken = choice(broken_lines, reader, key(reader_table, "broken"), "error");
    dataset.encoding = choice(encodings, reader, key(reader_table, "encoding"), "utf-8");
    reader.finish();
}

/// Where a file comes from: `from` is an address, or stands behind the description's `upstream`.
void read_origin(YamlMap& file, std::string const& upstream, DataFile& result) {
    result.from = file.get<std::string>(key(file_table, "from"), "");
    result.member = file.get<std::string>(key(file_table, "member"), "");
    if (!result.member.empty() && result.from.empty())
        throw InputError{fmt::format("member without from ({})", file.place()), "say which archive holds the member"};
    if (result.from.empty()) return;
    if (result.sha256.empty())
        throw InputError{fmt::format("from without sha256 ({})", file.place()), "give the file's SHA-256"};
    if (result.from.find("://") != std::string::npos) return;
    if (upstream.empty())
        throw InputError{fmt::format("from '{}' is no address ({})", result.from, file.place()),
                         "begin it with https://, or give the description an upstream that it goes behind"};
    result.from = upstream + result.from;
}

/// A description may come from anywhere, and files are written where it says.
/// @throws InputError for a path that leads out of the data root
void check_path(fs::path const& path, YamlMap const& file) {
    bool const inside = !path.empty() && path.is_relative() && path.native().find('\0') == std::string::npos &&
                        std::ranges::find(path, fs::path{".."}) == path.end();
    if (!inside)
        throw InputError{fmt::format("'{}' does not lie under the data root ({})", path.string(), file.place()),
                         "name a path under it, without .."};
}

DataFile read_data_file(YamlMap file, Dataset const& dataset, std::string const& upstream) {
    DataFile result;
    if (file.has(key(folder_table, "folder"))) {
        result.path = file.require<std::string>(key(folder_table, "folder"));
        result.suffix = file.require<std::string>(key(folder_table, "suffix"));
        if (result.suffix.empty()) throw InputError{fmt::format("an empty suffix ({})", file.place()), "write .txt"};
    } else {
        result.path = file.require<std::string>(key(file_table, "file"));
        result.sha256 = file.get<std::string>(key(file_table, "sha256"), "");
        read_origin(file, upstream, result);
    }
    check_path(result.path, file);
    result.repair = choice(repairs, file, repair_key.name.data(), "none");
    bool const possible =
        result.repair == Repair::none || std::holds_alternative<ConllLayout>(dataset.layout) ||
        (result.repair == Repair::drop_last_sentence && std::holds_alternative<CsvLayout>(dataset.layout));
    if (!possible) {
        throw InputError{fmt::format("a repair that files of this format cannot have ({})", file.place()),
                         "keep shifted_breaks for conll, drop_last_sentence for conll and csv"};
    }
    file.finish();
    return result;
}

Dataset read_description(fs::path const& path) {
    YamlMap map{read_yaml(path), path.string()};
    Dataset dataset;
    dataset.id = map.require<std::string>(key(description_table, "id"));
    dataset.domain = map.require<std::string>(key(description_table, "domain"));
    dataset.description = map.require<std::string>(key(description_table, "description"));
    dataset.licence = map.get<std::string>(key(description_table, "licence"), "");
    dataset.source = map.get<std::string>(key(description_table, "source"), "");
    dataset.user_supplied = map.get(key(description_table, "user_supplied"), false);
    dataset.substitutes = map.get<std::vector<std::string>>(key(description_table, "substitutes"), {});
    read_reader(map, dataset);
    auto const upstream = map.get<std::string>(key(description_table, "upstream"), "");
    auto splits = map.map(key(description_table, "splits"));
    for (auto const& split : splits.keys()) {
        auto const node = splits.node(split);
        if (!node.IsSequence() || node.size() == 0) {
            throw InputError{fmt::format("splits.{} is not a list of files ({})", split, splits.place(node)),
                             "write [{file: …}]"};
        }
        for (auto const& item : node)
            dataset.splits[split].push_back(
                read_data_file({item, path.string(), "splits." + split}, dataset, upstream));
    }
    constexpr auto* form = "write [{label, name, definition}]";
    if (!map.has(key(description_table, "types"))) map.refuse_missing(key(description_table, "types"), form);
    auto const types = map.node(key(description_table, "types"));
    if (!types.IsSequence() || types.size() == 0)
        throw InputError{fmt::format("types is not a list ({})", map.place(types)), form};
    for (auto const& item : types) {
        YamlMap type{item, path.string(), "types"};
        auto const label = type.require<std::string>(key(type_table, "label"));
        if (dataset.type(label)) throw InputError{fmt::format("type '{}' stands twice ({})", label, type.place())};
        dataset.types.push_back({label, type.get(key(type_table, "name"), label),
                                 type.get<std::string>(key(type_table, "definition"), "")});
        type.finish();
    }
    dataset.not_scored = map.get<std::vector<std::string>>(key(description_table, "not_scored"), {});
    for (auto const& label : dataset.not_scored) {
        if (std::ranges::find(dataset.types, label, &EntityType::label) == dataset.types.end())
            throw InputError{fmt::format("not_scored names '{}', which is not in types ({})", label, path.string()),
                             "add it to types"};
    }
    if (dataset.type_names().empty())
        throw InputError{fmt::format("not_scored leaves no type ({})", path.string()), "keep at least one"};
    map.finish();
    if (dataset.splits.empty()) throw InputError{fmt::format("no splits ({})", path.string()), "name at least one"};
    if (dataset.id != path.stem().string()) {
        throw InputError{fmt::format("id is '{}' ({})", dataset.id, path.string()),
                         fmt::format("name it as its file: {}", path.stem().string())};
    }
    return dataset;
}

/// The files of a folder that describe data sets, in order.
std::vector<fs::path> descriptions_in(fs::path const& folder) {
    if (!fs::is_directory(folder))
        throw InputError{fmt::format("'{}' is no folder of data set descriptions", folder.string()),
                         "name the folder that has them: `datasets` in a run file, --configs otherwise"};
    std::vector<fs::path> files;
    for (auto const& entry : fs::directory_iterator{folder})
        if (entry.path().extension() == ".yaml") files.push_back(entry.path());
    std::ranges::sort(files);
    return files;
}

/// The files that an entry of a split stands for.
std::vector<fs::path> paths_of(Dataset const& dataset, DataFile const& file, fs::path const& root) {
    auto const path = root / file.path;
    std::vector<fs::path> paths;
    if (file.suffix.empty()) {
        if (fs::exists(path)) paths.push_back(path);
    } else if (fs::is_directory(path)) {
        for (auto const& entry : fs::recursive_directory_iterator{path}) {
            if (entry.is_regular_file() && entry.path().native().ends_with(file.suffix)) paths.push_back(entry.path());
        }
        std::ranges::sort(paths, {}, &fs::path::native);
    }
    if (!paths.empty()) return paths;
    auto const what = file.suffix.empty() ? fmt::format("'{}'", path.string())
                                          : fmt::format("'{}' with files of '{}'", path.string(), file.suffix);
    auto const set = std::string{"set data (or SAMNER_DATA) to the folder that holds it"};
    throw InputError{fmt::format("data set {}: {} is missing", dataset.id, what),
                     dataset.source.empty() ? set : fmt::format("{}; upstream: {}", set, dataset.source)};
}

std::vector<DataFile> const& files_of(Dataset const& dataset, std::string const& split) {
    auto const found = dataset.splits.find(split);
    if (found == dataset.splits.end()) {
        throw InputError{fmt::format("data set {} has no split '{}'", dataset.id, split),
                         fmt::format("it has {}", fmt::join(keys_of(dataset.splits), ", "))};
    }
    return found->second;
}

template <class... F>
struct Overloaded : F... {
    using F::operator()...;
};
template <class... F>
Overloaded(F...) -> Overloaded<F...>;  // clang before 17 does not find it by itself

std::vector<Sentence> read_text(Dataset const& dataset, Repair repair, std::string_view text, std::string const& place,
                                Skipped* skipped) {
    return std::visit(Overloaded{
                          [&](ConllLayout const& layout) { return read_conll(text, layout, place, skipped, repair); },
                          [&](InlineLayout) { return read_inline(text, place, skipped); },
                          [&](CsvLayout const& layout) { return read_csv(text, layout, place, skipped, repair); },
                          [&](JsonLayout const& layout) { return read_json_records(text, layout, place, skipped); },
                          [&](DocumentLayout) { return read_documents(text, place, skipped); },
                      },
                      dataset.layout);
}

std::vector<Sentence> read_file(Dataset const& dataset, Repair repair, fs::path const& path) {
    MappedFile const file{path};
    Skipped skipped;
    auto const decoded = dataset.encoding == Encoding::windows_1252 ? from_windows_1252(file.text()) : std::string{};
    auto sentences = read_text(dataset, repair, dataset.encoding == Encoding::utf8 ? file.text() : decoded,
                               path.string(), dataset.skip_broken ? &skipped : nullptr);
    if (skipped.sentences > 0) {
        spdlog::warn("data set {}: {} sentences with broken lines are left out, the first: {}", dataset.id,
                     skipped.sentences, skipped.first);
    }
    return sentences;
}

void check_types(Dataset const& dataset, Sentence const& sentence, fs::path const& path) {
    for (auto const& entity : sentence.entities) {
        if (std::ranges::find(dataset.types, entity.type, &EntityType::label) != dataset.types.end()) continue;
        throw InputError{
            fmt::format("entity '{}' of '{}' has the type '{}', which data set {} does not describe ({})",
                        excerpt(entity.text), excerpt(sentence.text), excerpt(entity.type), dataset.id, path.string()),
            "add it to types"};
    }
}

/// Warns of entities that nobody can find: without a text, or not in their sentence.
void warn_of_misplaced(std::vector<Sentence> const& sentences, std::string const& name) {
    std::int64_t misplaced = 0;
    std::string first;
    for (auto const& sentence : sentences) {
        for (auto const& entity : sentence.entities) {
            if (!entity.text.empty() && (entity.span || sentence.text.find(entity.text) != std::string::npos)) continue;
            if (misplaced++ > 0) continue;
            first = fmt::format("'{}' of {} ('{}')", excerpt(entity.text), sentence.id, excerpt(sentence.text));
        }
    }
    if (misplaced > 0) {
        spdlog::warn(
            "{} entities of {} are not in their sentences as they are written, the first: {} — mend them: nothing can "
            "find them",
            misplaced, name, first);
    }
}

}  // namespace

std::span<Key const> description_keys(std::string_view part) {
    if (part.empty()) return description_table;
    if (part == "reader") return reader_table;
    if (part == "reader.conll") return conll_table;
    if (part == "reader.csv") return csv_table;
    if (part == "reader.json" || part == "reader.jsonl") return json_table;
    if (part == "reader.inline" || part == "reader.documents") return {};
    if (part == "file") return file_table;
    if (part == "folder") return folder_table;
    if (part == "type") return type_table;
    throw Error{fmt::format("descriptions have no part '{}'", part)};
}

std::vector<std::string> description_words(std::string_view key) {
    auto const names = [](auto const& table) {
        std::vector<std::string> all;
        for (auto const& [name, value] : table) all.emplace_back(name);
        return all;
    };
    if (key == "format") return names(formats);
    if (key == "separator") return names(separators);
    if (key == "tag_style") return names(tag_styles);
    if (key == "encoding") return names(encodings);
    if (key == "broken") return names(broken_lines);
    if (key == "repair") return names(repairs);
    return {};
}

EntityType const* Dataset::type(std::string const& label) const {
    if (std::ranges::find(not_scored, label) != not_scored.end()) return nullptr;
    auto const found = std::ranges::find(types, label, &EntityType::label);
    return found == types.end() ? nullptr : &*found;
}

std::vector<std::string> Dataset::type_names() const {
    std::vector<std::string> names;
    for (auto const& type : types) {
        bool const scored = std::ranges::find(not_scored, type.label) == not_scored.end();
        if (scored && std::ranges::find(names, type.name) == names.end()) names.push_back(type.name);
    }
    return names;
}

std::vector<std::string> Dataset::type_texts() const {
    std::vector<std::string> texts;
    for (auto const& type : types) {
        bool const scored = std::ranges::find(not_scored, type.label) == not_scored.end();
        auto text = type.definition.empty() ? type.name : fmt::format("{}: {}", type.name, type.definition);
        if (scored && std::ranges::find(texts, text) == texts.end()) texts.push_back(std::move(text));
    }
    return texts;
}

Catalogue Catalogue::with_shipped(std::vector<fs::path> const& folders) {
    auto const home = find_home();
    Catalogue catalogue{folders, home ? home->folder / "configs/data" : fs::path{}};
    catalogue.without_home_ = !home;
    return catalogue;
}

Catalogue::Catalogue(std::vector<fs::path> const& folders, fs::path const& shipped) {
    if (!shipped.empty())
        for (auto const& file : descriptions_in(shipped)) unread_.emplace(file.stem().string(), file);
    for (auto const& folder : folders) {
        auto const files = descriptions_in(folder);
        if (!shipped.empty() && fs::equivalent(folder, shipped)) continue;
        for (auto const& file : files) {
            auto dataset = read_description(file);
            if (!datasets_.emplace(dataset.id, dataset).second) {
                throw InputError{fmt::format("data set '{}' is described twice ({})", dataset.id, file.string()),
                                 "remove one of the descriptions"};
            }
            if (unread_.erase(dataset.id) > 0) replaced_.push_back(dataset.id);
        }
    }
}

void Catalogue::warn_of_replaced() const {
    if (replaced_.empty()) return;
    spdlog::warn("your own descriptions count for {}, which come with samner, too", fmt::join(replaced_, ", "));
}

std::map<std::string, Dataset> const& Catalogue::all() const {
    for (auto const& [id, file] : unread_) datasets_.emplace(id, read_description(file));
    unread_.clear();
    return datasets_;
}

Dataset const& Catalogue::at(std::string const& id) const {
    if (auto const found = datasets_.find(id); found != datasets_.end()) return found->second;
    if (auto const file = unread_.find(id); file != unread_.end()) {
        auto const& dataset = datasets_.emplace(id, read_description(file->second)).first->second;
        unread_.erase(file);
        return dataset;
    }
    auto known = keys_of(datasets_);
    std::ranges::copy(keys_of(unread_), std::back_inserter(known));
    std::ranges::sort(known);
    auto const near = did_you_mean(id, known);
    auto remedy = near ? fmt::format("did you mean '{}'?", *near)
                  : known.empty()
                      ? std::string{"name a folder of descriptions: `datasets` in a run file, --configs otherwise"}
                      : fmt::format("known: {}", fmt::join(known, ", "));
    if (without_home_) remedy += "; those that come with samner are not beside the program, and SAMNER_HOME is not set";
    throw InputError{fmt::format("unknown data set '{}'", id), remedy};
}

std::vector<Sentence> read(Dataset const& dataset, std::string const& split, fs::path const& root) {
    auto const slice = parse_slice(split);
    std::vector<Sentence> sentences;
    for (auto const& file : files_of(dataset, slice.split)) {
        auto const before = sentences.size();
        for (auto const& path : paths_of(dataset, file, root)) {
            auto part = read_file(dataset, file.repair, path);
            for (auto const& sentence : part) check_types(dataset, sentence, path);
            std::ranges::move(part, std::back_inserter(sentences));
        }
        if (sentences.size() == before) {
            spdlog::warn("data set {}: '{}' has no sentences — bring the file of split {}, or take it out", dataset.id,
                         (root / file.path).string(), slice.split);
        }
    }
    for (std::size_t i = 0; i < sentences.size(); ++i)
        sentences[i].id = fmt::format("{}/{}/{}", dataset.id, slice.split, i);
    if (!slice.whole()) {
        auto const [begin, end] = slice.of(std::ssize(sentences));
        sentences.erase(sentences.begin() + end, sentences.end());
        sentences.erase(sentences.begin(), sentences.begin() + begin);
    }
    warn_of_misplaced(sentences, fmt::format("{}/{}", dataset.id, split));
    return sentences;
}

std::optional<fs::path> default_root() {
    auto const* const root = std::getenv("SAMNER_DATA");
    return root && *root ? std::optional<fs::path>{root} : std::nullopt;
}

fs::path root_or_default(fs::path const& root, std::string_view how_to_name) {
    if (!root.empty()) return root;
    if (auto const folder = default_root()) return *folder;
    throw InputError{"no data root is named",
                     fmt::format("{}, or set SAMNER_DATA to the folder of the corpora", how_to_name)};
}

std::string split_hash(Dataset const& dataset, std::string const& split, fs::path const& root, FileHash const& hash) {
    Json description{
        {"description", dataset.description}, {"reader", dataset.reader}, {"not_scored", dataset.not_scored}};
    // Before this mark, tokens that begin like a comment were left out.
    auto const* const conll = std::get_if<ConllLayout>(&dataset.layout);
    if (conll && !conll->comment_prefix.empty()) description["comments"] = "by columns";
    for (auto const& type : dataset.types) description["types"].push_back({type.label, type.name, type.definition});
    auto const slice = parse_slice(split);
    if (!slice.whole()) description["slice"] = slice.text();
    for (auto const& file : files_of(dataset, slice.split)) {
        for (auto const& path : paths_of(dataset, file, root))
            description["files"].push_back({hash(path), static_cast<int>(file.repair)});
    }
    return sha256(canonical(description));
}

}  // namespace samner::corpus
