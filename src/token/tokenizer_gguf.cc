#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "core/error.h"
#include "core/hash.h"
#include "token/byte_alphabet.h"
#include "token/parts.h"
#include "weights/gguf.h"

namespace samner::token {

namespace {

enum TokenType : std::int32_t { normal = 1, control = 3, user_defined = 4, unused = 5 };

/// What a name under tokenizer.ggml.pre stands for. The file holds neither the steps before the merges nor whether a
/// whole piece counts before them: they are those of the tokenizer.json of the models that llama.cpp's converter
/// knows under the name.
struct PreTokens {
    std::string_view name;
    std::string_view pattern;
    bool digits_alone = false;   ///< digits are split off before the pattern
    bool compose = false;        ///< NFC
    bool ignore_merges = false;  ///< a piece that is a token is taken whole
    bool add_bos = false;        ///< where the file does not say
};

constexpr std::string_view llama3_pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+)"
    R"(|\s+(?!\S)|\s+)";
constexpr std::string_view qwen2_pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+)"
    R"(|\s+(?!\S)|\s+)";
/// Mistral's since Nemo.
constexpr std::string_view tekken_pattern =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+)"
    R"(|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*)"
    R"(|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

constexpr auto pre_tokens = std::to_array<PreTokens>({
    {.name = "smollm", .pattern = gpt2_pattern, .digits_alone = true},
    {.name = "gpt-2", .pattern = gpt2_pattern},
    {.name = "llama-bpe", .pattern = llama3_pattern, .ignore_merges = true, .add_bos = true},
    {.name = "qwen2", .pattern = qwen2_pattern, .compose = true},
    {.name = "deepseek-r1-qwen", .pattern = qwen2_pattern, .compose = true},
    {.name = "tekken", .pattern = tekken_pattern, .ignore_merges = true, .add_bos = true},
});

PreTokens const& find_pre_tokens(GgufVocabulary const& file) {
    auto const* const found = std::ranges::find(pre_tokens, file.pre, &PreTokens::name);
    if (found != pre_tokens.end()) return *found;
    std::vector<std::string_view> names;
    for (auto const& known : pre_tokens) names.push_back(known.name);
    throw InputError{
        fmt::format("tokenizer.ggml.pre is '{}' ({})", file.pre, file.place),
        fmt::format("supported are {}; or use the model's folder with tokenizer.json", fmt::join(names, ", "))};
}

void check_model(GgufVocabulary const& file) {
    if (file.model == "gpt2") return;
    throw InputError{fmt::format("tokenizer.ggml.model is '{}' ({})", file.model, file.place),
                     "supported is gpt2 (byte-level BPE)"};
}

void check(GgufVocabulary const& file) {
    check_model(file);
    if (file.types.size() != file.tokens.size()) {
        throw InputError{fmt::format("tokenizer.ggml.token_type has {} values for {} tokens ({})", file.types.size(),
                                     file.tokens.size(), file.place)};
    }
    if (file.merges.size() > max_merges) {
        throw InputError{
            fmt::format("{} merges, at most {} are allowed ({})", file.merges.size(), max_merges, file.place)};
    }
}

void add_tokens(GgufVocabulary const& file, Tokenizer::Parts& parts) {
    auto const place = fmt::format("{}, tokenizer.ggml.tokens", file.place);
    std::vector<AddedTokens::Entry> added;
    parts.special.resize(file.tokens.size());
    for (std::size_t id = 0; id < file.tokens.size(); ++id) {
        auto const& token = file.tokens[id];
        auto const type = file.types[id];
        if (type != normal && type != control && type != user_defined && type != unused) {
            throw InputError{fmt::format("token {} '{}' is of type {} ({})", id, token, type, file.place),
                             "a gpt2 vocabulary has the types 1, 3, 4 and 5"};
        }
        parts.vocabulary.add(token, static_cast<std::int64_t>(id), place);
        parts.special[id] = type == control;
        if (type == control || type == user_defined) {
            if (token.empty()) throw InputError{fmt::format("control token {} is empty ({})", id, file.place)};
            added.push_back({token, static_cast<std::int32_t>(id)});
        }
    }
    parts.added = AddedTokens{std::move(added)};
}

std::int32_t special_id(GgufVocabulary const& file, std::optional<std::int32_t> id, std::string_view name) {
    if (id && *id >= 0 && static_cast<std::size_t>(*id) < file.tokens.size()) return *id;
    throw InputError{fmt::format("tokenizer.ggml.{}_token_id is {} but tokenizer.ggml.add_{}_token is set ({})", name,
                                 id ? std::to_string(*id) : "missing", name, file.place)};
}

/// The bytes of normal tokens: pieces that are one token whatever the merges say.
StringMap<std::int32_t> normal_pieces(GgufVocabulary const& file) {
    StringMap<std::int32_t> pieces;
    for (std::size_t id = 0; id < file.tokens.size(); ++id) {
        auto bytes = file.types[id] == normal ? bytes_of_token(file.tokens[id]) : std::nullopt;
        if (bytes) pieces.try_emplace(std::move(*bytes), static_cast<std::int32_t>(id));
    }
    return pieces;
}

std::string hash_of(GgufVocabulary const& file, bool add_bos) {
    Sha256 hash;
    auto const put = [&](std::string_view text) { hash.update(fmt::format("{}:", text.size())).update(text); };
    put(file.model);
    put(file.pre);
    put(std::to_string(file.tokens.size()));
    for (auto const& token : file.tokens) put(token);
    for (auto const type : file.types) put(std::to_string(type));
    for (auto const& merge : file.merges) put(merge);
    put(add_bos ? std::to_string(file.bos.value_or(-1)) : "");
    put(file.add_eos ? std::to_string(file.eos.value_or(-1)) : "");
    return hash.hex();
}

}  // namespace

Tokenizer Tokenizer::from_gguf_metadata(GgufVocabulary const& file) {
    check(file);
    auto const& pre = find_pre_tokens(file);
    auto parts = std::make_shared<Parts>();
    add_tokens(file, *parts);
    if (pre.compose) parts->normalizer.add(NormalForm::nfc);
    if (pre.digits_alone) parts->pre_tokenizer.add(DigitSplit{.each_alone = true});
    parts->pre_tokenizer.add(Regex{pre.pattern, Regex::Syntax::pattern, file.place});
    Bpe::Options bpe;
    bpe.byte_ids = byte_ids(parts->vocabulary);
    bpe.merges.reserve(file.merges.size());
    for (std::size_t i = 0; i < file.merges.size(); ++i) {
        auto const place = fmt::format("{}, tokenizer.ggml.merges[{}]", file.place, i);
        bpe.merges.push_back(resolve_merge(parts->vocabulary, file.merges[i], place));
    }
    if (pre.ignore_merges) bpe.whole_pieces = normal_pieces(file);
    parts->model.emplace<Bpe>(std::move(bpe));
    parts->decoder = byte_decoder(parts->vocabulary);
    auto const add_bos = file.add_bos.value_or(pre.add_bos);
    if (add_bos) parts->begin.push_back(special_id(file, file.bos, "bos"));
    if (file.add_eos) parts->end.push_back(special_id(file, file.eos, "eos"));
    parts->hash = hash_of(file, add_bos);
    return Tokenizer{std::move(parts)};
}

Tokenizer Tokenizer::open(std::filesystem::path const& path) {
    if (path.extension() != ".gguf") return from_json(path.extension() == ".json" ? path : path / "tokenizer.json");
    auto const file = weights::GgufFile::open_model(path);
    auto const key = [](std::string_view name) { return fmt::format("tokenizer.ggml.{}", name); };
    auto const id = [&](std::string_view name) -> std::optional<std::int32_t> {
        auto const value = file.get<std::int64_t>(key(name));
        if (value && !std::in_range<std::int32_t>(*value)) {
            throw InputError{fmt::format("{} is {} ({})", key(name), *value, path.string()), "give it a token id"};
        }
        return value ? std::optional{static_cast<std::int32_t>(*value)} : std::nullopt;
    };
    GgufVocabulary vocabulary;
    vocabulary.place = path.string();
    vocabulary.model = file.require<std::string>(key("model"));
    check_model(vocabulary);  // other kinds lack what follows
    vocabulary.pre = file.require<std::string>(key("pre"));
    vocabulary.tokens = file.require<std::vector<std::string>>(key("tokens"));
    vocabulary.merges = file.require<std::vector<std::string>>(key("merges"));
    for (auto const type : file.require<std::vector<std::int64_t>>(key("token_type"))) {
        vocabulary.types.push_back(static_cast<std::int32_t>(std::clamp<std::int64_t>(type, -1, 100)));
    }
    vocabulary.bos = id("bos_token_id");
    vocabulary.eos = id("eos_token_id");
    vocabulary.add_bos = file.get<bool>(key("add_bos_token"));
    vocabulary.add_eos = file.get<bool>(key("add_eos_token")).value_or(false);
    return from_gguf_metadata(vocabulary);
}

}  // namespace samner::token
