#pragma once

#include <string>
#include <variant>
#include <vector>

#include "token/added_tokens.h"
#include "token/bpe.h"
#include "token/normalizer.h"
#include "token/pre_tokenizer.h"
#include "token/tokenizer.h"
#include "token/vocabulary.h"
#include "token/wordpiece.h"

namespace samner::token {

/// Joins the bytes that byte-level tokens stand for.
struct ByteDecoder {
    std::vector<std::string> bytes;  ///< by id
};

/// A tokenizer's tables, built by a reader and then constant. Private to the module.
struct Tokenizer::Parts {
    Vocabulary vocabulary;
    std::vector<bool> special;     ///< by id
    AddedTokens added;             ///< found in the text as given
    AddedTokens added_normalised;  ///< found in the normalised text
    Normalizer normalizer;
    PreTokenizer pre_tokenizer;
    std::variant<std::monostate, Bpe, WordPiece> model;
    std::variant<ByteDecoder, WordPieceDecoder> decoder;
    std::vector<std::int32_t> begin, end;  ///< special tokens around a text
    std::string hash;

    /// Appends what a token adds to the decoded text, as bytes. @param first  whether it is the first token
    void append(std::int32_t id, bool first, std::string& bytes) const;
};

/// GPT-2's way to cut text up; what ByteLevel does by itself.
constexpr std::string_view gpt2_pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

/// The tables of byte-level BPE out of the vocabulary.
std::array<std::int32_t, 256> byte_ids(Vocabulary const& vocabulary);
ByteDecoder byte_decoder(Vocabulary const& vocabulary);

/// A merge of two tokens. @throws InputError naming place when one of them or the result is not in the vocabulary
Bpe::Merge resolve_merge(Vocabulary const& vocabulary, std::string_view left, std::string_view right,
                         std::string_view place);
/// The same from "left right".
Bpe::Merge resolve_merge(Vocabulary const& vocabulary, std::string_view line, std::string_view place);

constexpr std::size_t max_merges = std::size_t{1} << 22;

}  // namespace samner::token
