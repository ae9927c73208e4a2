#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "core/hash.h"
#include "token/byte_alphabet.h"
#include "token/parts.h"
#include "weights/gguf.h"

namespace samner::token {

namespace {

enum TokenType : std::int32_t { normal = 1, control = 3, user_defined = 4, unused = 5 };

void check(GgufVocabulary const& file) {
    if (file.model != "gpt2") {
        throw InputError{fmt::format("tokenizer.ggml.model is '{}' ({})", file.model, file.place),
                         "supported is gpt2 (byte-level BPE)"};
    }
    if (file.pre != "smollm") {
        throw InputError{fmt::format("tokenizer.ggml.pre is '{}' ({})", file.pre, file.place),
                         "supported is smollm; or use the model's folder with tokenizer.json"};
    }
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

std::string hash_of(GgufVocabulary const& file) {
    Sha256 hash;
    auto const put = [&](std::string_view text) { hash.update(fmt::format("{}:", text.size())).update(text); };
    put(file.model);
    put(file.pre);
    put(std::to_string(file.tokens.size()));
    for (auto const& token : file.tokens) put(token);
    for (auto const type : file.types) put(std::to_string(type));
    for (auto const& merge : file.merges) put(merge);
    put(file.add_bos ? std::to_string(file.bos.value_or(-1)) : "");
    put(file.add_eos ? std::to_string(file.eos.value_or(-1)) : "");
    return hash.hex();
}

}  // namespace

Tokenizer Tokenizer::from_gguf_metadata(GgufVocabulary const& file) {
    check(file);
    auto parts = std::make_shared<Parts>();
    add_tokens(file, *parts);
    parts->pre_tokenizer.add(DigitSplit{.each_alone = true});
    parts->pre_tokenizer.add(Regex{gpt2_pattern, Regex::Syntax::pattern, file.place});
    Bpe::Options bpe;
    bpe.byte_ids = byte_ids(parts->vocabulary);
    bpe.merges.reserve(file.merges.size());
    for (std::size_t i = 0; i < file.merges.size(); ++i) {
        auto const place = fmt::format("{}, tokenizer.ggml.merges[{}]", file.place, i);
        bpe.merges.push_back(resolve_merge(parts->vocabulary, file.merges[i], place));
    }
    parts->model.emplace<Bpe>(std::move(bpe));
    parts->decoder = byte_decoder(parts->vocabulary);
    if (file.add_bos) parts->begin.push_back(special_id(file, file.bos, "bos"));
    if (file.add_eos) parts->end.push_back(special_id(file, file.eos, "eos"));
    parts->hash = hash_of(file);
    return Tokenizer{std::move(parts)};
}

Tokenizer Tokenizer::open(std::filesystem::path const& path) {
    if (path.extension() != ".gguf") return from_json(path.extension() == ".json" ? path : path / "tokenizer.json");
    weights::GgufFile const file{path};
    auto const key = [](std::string_view name) { return fmt::format("tokenizer.ggml.{}", name); };
    auto const id = [&](std::string_view name) -> std::optional<std::int32_t> {
        auto const value = file.get<std::int64_t>(key(name));
        if (value && !std::in_range<std::int32_t>(*value)) {
            throw InputError{fmt::format("{} is {} ({})", key(name), *value, path.string()), "give it a token id"};
        }
        return value ? std::optional{static_cast<std::int32_t>(*value)} : std::nullopt;
    };
    GgufVocabulary vocabulary;
    vocabulary.model = file.require<std::string>(key("model"));
    vocabulary.pre = file.require<std::string>(key("pre"));
    vocabulary.tokens = file.require<std::vector<std::string>>(key("tokens"));
    vocabulary.merges = file.require<std::vector<std::string>>(key("merges"));
    for (auto const type : file.require<std::vector<std::int64_t>>(key("token_type"))) {
        vocabulary.types.push_back(static_cast<std::int32_t>(std::clamp<std::int64_t>(type, -1, 100)));
    }
    vocabulary.bos = id("bos_token_id");
    vocabulary.eos = id("eos_token_id");
    vocabulary.add_bos = file.get<bool>(key("add_bos_token")).value_or(false);
    vocabulary.add_eos = file.get<bool>(key("add_eos_token")).value_or(false);
    vocabulary.place = path.string();
    return from_gguf_metadata(vocabulary);
}

}  // namespace samner::token
