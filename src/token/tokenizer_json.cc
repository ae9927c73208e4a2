#include <fmt/format.h>

#include "core/error.h"
#include "core/file.h"
#include "core/hash.h"
#include "core/json.h"
#include "token/byte_alphabet.h"
#include "token/parts.h"

namespace samner::token {

namespace {

constexpr std::size_t max_file_bytes = std::size_t{256} << 20;
constexpr std::size_t max_steps = 32;                // of a normaliser or pre-tokeniser
constexpr std::size_t max_added_token_bytes = 4096;  // each place of a text is compared with them

/// A part of the file and where it is, for messages.
struct Node {
    Json const& json;
    std::string place;  // "FILE, model.merges"

    bool has(std::string const& key) const { return json.is_object() && json.contains(key) && !json.at(key).is_null(); }
    Node at(std::string const& key) const {
        if (!has(key)) throw InputError{fmt::format("'{}' is missing ({})", key, place)};
        return {json.at(key), fmt::format("{}{}{}", place, place.ends_with(',') ? " " : ".", key)};
    }
    template <class T>
    T get(std::string const& key) const {
        return member<T>(json, key, place);
    }
    template <class T>
    T get_or(std::string const& key, T otherwise) const {
        return has(key) ? member<T>(json, key, place) : otherwise;
    }
    std::int64_t integer(std::string const& key) const {
        auto const part = at(key);
        if (part.json.is_number_integer()) return part.json.get<std::int64_t>();
        throw InputError{fmt::format("'{}' is not an integer ({})", part.json.dump().substr(0, 60), part.place)};
    }
    void for_each(std::string const& key, std::function<void(Node const&)> const& visit) const {
        auto const list = at(key);
        if (!list.json.is_array()) throw InputError{fmt::format("'{}' is not a list ({})", key, place)};
        std::size_t index = 0;
        for (auto const& item : list.json) visit({item, fmt::format("{}[{}]", list.place, index++)});
    }
};

[[noreturn]] void unsupported(Node const& node, std::string_view value, std::string_view supported) {
    throw InputError{fmt::format("'{}' is not supported ({})", value, node.place),
                     fmt::format("supported: {}", supported)};
}

/// Refuses a value that is neither absent nor `expected`; where that is null, an empty text means the same.
void require_default(Node const& node, std::string const& key, Json const& expected) {
    if (!node.has(key)) return;
    auto const& value = node.json.at(key);
    if (value == expected || (expected.is_null() && value.is_string() && value.get_ref<std::string const&>().empty()))
        return;
    unsupported(node, fmt::format("{}: {}", key, value.dump().substr(0, 60)), expected.dump());
}

void check_steps(Node const& node, std::string const& key) {
    auto const count = node.at(key).json.size();
    if (count <= max_steps) return;
    throw InputError{fmt::format("{} steps, at most {} are allowed ({}.{})", count, max_steps, node.place, key)};
}

void read_normalizer(Node const& node, Normalizer& normalizer) {
    auto const type = node.get<std::string>("type");
    if (type == "NFC") return normalizer.add(NormalForm::nfc);
    if (type == "NFD") return normalizer.add(NormalForm::nfd);
    if (type == "Sequence") {
        check_steps(node, "normalizers");
        return node.for_each("normalizers", [&](Node const& step) { read_normalizer(step, normalizer); });
    }
    if (type != "BertNormalizer") unsupported(node, type, "NFC, NFD, BertNormalizer, Sequence");
    BertNormalization bert;
    bert.clean_text = node.get_or("clean_text", true);
    bert.separate_ideographs = node.get_or("handle_chinese_chars", true);
    bert.lowercase = node.get_or("lowercase", true);
    bert.strip_accents = node.get_or("strip_accents", bert.lowercase);
    normalizer.add(bert);
}

Regex read_pattern(Node const& node) {
    auto const pattern = node.at("pattern");
    if (pattern.has("Regex")) return {pattern.get<std::string>("Regex"), Regex::Syntax::pattern, pattern.place};
    return {pattern.get<std::string>("String"), Regex::Syntax::literal, pattern.place};
}

/// Which kinds of pre-tokenisers there were: the models need theirs.
struct Seen {
    bool byte_level = false, bert = false, other = false;
};

void read_byte_level(Node const& node, PreTokenizer& pre_tokenizer) {
    if (node.get_or("add_prefix_space", true)) pre_tokenizer.add(PrefixSpace{});
    if (node.get_or("use_regex", true)) pre_tokenizer.add(Regex{gpt2_pattern, Regex::Syntax::pattern, node.place});
}

void read_pre_tokenizer(Node const& node, PreTokenizer& pre_tokenizer, Seen& seen) {
    auto const type = node.get<std::string>("type");
    // ByteLevel turns bytes into letters, which nothing after it could read.
    if (seen.byte_level) unsupported(node, type + " after ByteLevel", "ByteLevel as the last step");
    if (type == "Sequence") {
        check_steps(node, "pretokenizers");
        return node.for_each("pretokenizers", [&](Node const& step) { read_pre_tokenizer(step, pre_tokenizer, seen); });
    }
    if (type == "ByteLevel") {
        seen.byte_level = true;
        return read_byte_level(node, pre_tokenizer);
    }
    if (type == "BertPreTokenizer") {
        seen.bert = true;
        return pre_tokenizer.add(BertSplit{});
    }
    seen.other = true;
    if (type == "Digits") return pre_tokenizer.add(DigitSplit{node.get_or("individual_digits", false)});
    if (type != "Split") unsupported(node, type, "ByteLevel, Split, Digits, BertPreTokenizer, Sequence");
    auto const behavior = node.get<std::string>("behavior");
    if (behavior != "Isolated") unsupported(node, "behavior: " + behavior, "Isolated");
    require_default(node, "invert", false);
    pre_tokenizer.add(read_pattern(node));
}

void add_template_token(Node const& processor, Node const& item, Vocabulary const& vocabulary,
                        std::vector<std::int32_t>& ids) {
    auto const name = item.get<std::string>("id");
    processor.at("special_tokens").at(name).for_each("ids", [&](Node const& id) {
        auto const value = id.json.is_number_integer() ? id.json.get<std::int64_t>() : -1;
        if (vocabulary.token(value) == nullptr) {
            throw InputError{fmt::format("id {} of '{}' is not in the vocabulary ({})", value, name, id.place)};
        }
        ids.push_back(static_cast<std::int32_t>(value));
    });
}

void read_template(Node const& node, Tokenizer::Parts& parts) {
    bool text_seen = false;
    node.for_each("single", [&](Node const& item) {
        if (item.has("SpecialToken")) {
            auto& ids = text_seen ? parts.end : parts.begin;
            return add_template_token(node, item.at("SpecialToken"), parts.vocabulary, ids);
        }
        auto const sequence = item.at("Sequence").get<std::string>("id");
        if (sequence != "A" || text_seen) unsupported(item, "Sequence " + sequence, "one sequence A");
        text_seen = true;
    });
    if (!text_seen) throw InputError{fmt::format("the template has no place for the text ({})", node.place)};
}

void read_post_processor(Node const& node, Tokenizer::Parts& parts) {
    auto const type = node.get<std::string>("type");
    if (type == "ByteLevel") return;  // changes offsets only
    if (type == "Sequence") {
        return node.for_each("processors", [&](Node const& step) { read_post_processor(step, parts); });
    }
    if (type != "TemplateProcessing") unsupported(node, type, "ByteLevel, TemplateProcessing, Sequence");
    if (!parts.begin.empty() || !parts.end.empty()) unsupported(node, "a second template", "one TemplateProcessing");
    read_template(node, parts);
}

void read_vocabulary(Node const& model, Vocabulary& vocabulary) {
    auto const vocab = model.at("vocab");
    if (!vocab.json.is_object()) throw InputError{fmt::format("the vocabulary is not an object ({})", vocab.place)};
    for (auto const& [token, id] : vocab.json.items()) {
        if (!id.is_number_integer()) {
            throw InputError{fmt::format("the id of '{}' is {} ({})", token, id.dump().substr(0, 60), vocab.place),
                             "ids are integers"};
        }
        vocabulary.add(token, id.get<std::int64_t>(), vocab.place);
    }
}

std::int32_t read_unknown(Node const& model, Vocabulary const& vocabulary) {
    auto const token = model.get<std::string>("unk_token");
    if (auto const id = vocabulary.id(token)) return *id;
    throw InputError{fmt::format("the unknown token '{}' is not in the vocabulary ({})", token, model.place)};
}

Bpe::Merge read_merge(Node const& merge, Vocabulary const& vocabulary) {
    if (merge.json.is_string()) {
        return resolve_merge(vocabulary, merge.json.get_ref<std::string const&>(), merge.place);
    }
    if (!merge.json.is_array() || merge.json.size() != 2 || !merge.json[0].is_string() || !merge.json[1].is_string()) {
        throw InputError{fmt::format("{} is not a pair of tokens ({})", merge.json.dump().substr(0, 60), merge.place)};
    }
    return resolve_merge(vocabulary, merge.json[0].get_ref<std::string const&>(),
                         merge.json[1].get_ref<std::string const&>(), merge.place);
}

/// Pieces that are one token, by the bytes they have in the text.
StringMap<std::int32_t> whole_pieces(Vocabulary const& vocabulary) {
    StringMap<std::int32_t> pieces;
    for (std::int32_t id = 0; id < vocabulary.size(); ++id) {
        auto const* const token = vocabulary.token(id);
        auto bytes = token == nullptr ? std::nullopt : bytes_of_token(*token);
        if (bytes) pieces.try_emplace(std::move(*bytes), id);
    }
    return pieces;
}

Bpe read_bpe(Node const& model, Vocabulary const& vocabulary) {
    for (auto const* key : {"dropout", "continuing_subword_prefix", "end_of_word_suffix"}) {
        require_default(model, key, nullptr);
    }
    require_default(model, "byte_fallback", false);
    Bpe::Options options;
    options.byte_ids = byte_ids(vocabulary);
    if (model.has("unk_token")) options.unknown = read_unknown(model, vocabulary);
    options.fuse_unknown = model.get_or("fuse_unk", false);
    if (model.get_or("ignore_merges", false)) options.whole_pieces = whole_pieces(vocabulary);
    auto const count = model.at("merges").json.size();
    if (count > max_merges) {
        throw InputError{fmt::format("{} merges, at most {} are allowed ({})", count, max_merges, model.place)};
    }
    options.merges.reserve(count);
    model.for_each("merges", [&](Node const& merge) { options.merges.push_back(read_merge(merge, vocabulary)); });
    return Bpe{std::move(options)};
}

WordPiece read_wordpiece(Node const& model, Vocabulary const& vocabulary) {
    WordPiece::Options options;
    options.unknown = read_unknown(model, vocabulary);
    auto const characters = model.has("max_input_chars_per_word") ? model.integer("max_input_chars_per_word") : 100;
    // Cutting takes time in the square of the length.
    if (characters < 1 || characters > 10'000) {
        throw InputError{
            fmt::format("max_input_chars_per_word is {}, allowed are 1 to 10000 ({})", characters, model.place)};
    }
    options.max_characters = static_cast<std::size_t>(characters);
    auto const prefix = model.get_or<std::string>("continuing_subword_prefix", "##");
    for (std::int32_t id = 0; id < vocabulary.size(); ++id) {
        auto const* const token = vocabulary.token(id);
        if (token == nullptr || token->empty()) continue;
        options.first.emplace(*token, id);
        if (token->starts_with(prefix)) options.following.emplace(token->substr(prefix.size()), id);
    }
    return WordPiece{std::move(options)};
}

void read_decoder(Node const& root, Tokenizer::Parts& parts) {
    auto const node = root.at("decoder");
    auto const type = node.get<std::string>("type");
    auto const byte_level = std::holds_alternative<Bpe>(parts.model);
    if (type != (byte_level ? "ByteLevel" : "WordPiece")) {
        unsupported(node, type, byte_level ? "ByteLevel with BPE" : "WordPiece with WordPiece");
    }
    if (byte_level) {
        parts.decoder = byte_decoder(parts.vocabulary);
    } else {
        parts.decoder = WordPieceDecoder{node.get_or<std::string>("prefix", "##"), node.get_or("cleanup", true)};
    }
}

void read_model(Node const& root, Tokenizer::Parts& parts) {
    auto const model = root.at("model");
    auto const type = model.get<std::string>("type");
    if (type != "BPE" && type != "WordPiece") unsupported(model, type, "BPE (byte-level), WordPiece");
    read_vocabulary(model, parts.vocabulary);
    Seen seen;
    auto const pre_tokenizer = root.at("pre_tokenizer");
    read_pre_tokenizer(pre_tokenizer, parts.pre_tokenizer, seen);
    if (type == "BPE") {
        if (!seen.byte_level || seen.bert) unsupported(pre_tokenizer, "BPE without ByteLevel", "BPE with ByteLevel");
        parts.model.emplace<Bpe>(read_bpe(model, parts.vocabulary));
    } else {
        if (!seen.bert || seen.byte_level || seen.other) {
            unsupported(pre_tokenizer, "WordPiece with other pre-tokenisers", "WordPiece with BertPreTokenizer");
        }
        parts.model.emplace<WordPiece>(read_wordpiece(model, parts.vocabulary));
    }
}

void read_added_tokens(Node const& root, Tokenizer::Parts& parts) {
    if (!root.has("added_tokens")) return;
    std::vector<AddedTokens::Entry> plain, normalised;
    root.for_each("added_tokens", [&](Node const& node) {
        auto const content = node.get<std::string>("content");
        auto const id = node.integer("id");
        for (auto const* key : {"single_word", "lstrip", "rstrip"}) require_default(node, key, false);
        auto const in_normalised = node.get_or("normalized", false);
        auto const text = in_normalised ? parts.normalizer.apply(content) : content;
        if (text.empty() || text.size() > max_added_token_bytes) {
            throw InputError{fmt::format("added token {} has {} bytes, allowed are 1 to {} ({})", id, text.size(),
                                         max_added_token_bytes, node.place)};
        }
        parts.vocabulary.add(content, id, node.place);
        (in_normalised ? normalised : plain).push_back({text, static_cast<std::int32_t>(id)});
        auto const index = static_cast<std::size_t>(id);
        if (index >= parts.special.size()) parts.special.resize(index + 1);
        parts.special[index] = node.get_or("special", false);
    });
    parts.added = AddedTokens{std::move(plain)};
    parts.added_normalised = AddedTokens{std::move(normalised)};
}

}  // namespace

Tokenizer Tokenizer::from_json(std::filesystem::path const& path) {
    MappedFile const file{path};
    auto const text = file.text();
    if (text.size() > max_file_bytes) {
        throw InputError{fmt::format("{} bytes, at most {} are read ({})", text.size(), max_file_bytes, path.string())};
    }
    auto const json = parse_json(text, path.string());
    Node const root{json, path.string() + ','};
    auto parts = std::make_shared<Parts>();
    parts->vocabulary.limit_ids(std::ssize(text));
    if (root.has("normalizer")) read_normalizer(root.at("normalizer"), parts->normalizer);
    read_model(root, *parts);
    read_added_tokens(root, *parts);
    read_decoder(root, *parts);
    if (root.has("post_processor")) read_post_processor(root.at("post_processor"), *parts);
    parts->hash = sha256(text);
    return Tokenizer{std::move(parts)};
}

}  // namespace samner::token
