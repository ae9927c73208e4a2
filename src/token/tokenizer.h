#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace samner::token {

/// The members `tokenizer.ggml.*` of a GGUF file.
struct GgufVocabulary {
    std::string model;                ///< only "gpt2" (byte-level BPE) is supported
    std::string pre;                  ///< how text is cut up: smollm, gpt-2, llama-bpe, qwen2, tekken …
    std::vector<std::string> tokens;  ///< by id
    std::vector<std::int32_t> types;  ///< by id: 1 normal, 3 control, 4 user-defined; 2, 5, 6 are not of gpt2
    std::vector<std::string> merges;  ///< "left right", by rank
    std::optional<std::int32_t> bos, eos;
    std::optional<bool> add_bos;  ///< whether `add_special` puts it there; nothing: as usual with `pre`
    bool add_eos = false;
    std::string place;  ///< the file, for messages
};

/// Text to token ids and back, equal to the `tokenizers` library (0.23.3, compared on every code point) but where
/// Unicode versions differ: the order of the marks U+1DF6, U+1E4EC and U+1E4ED under NFC, and, with BERT's normaliser,
/// 568 characters whose category Unicode changed or gave after version 8. Copies share their tables; const members may
/// be called from several threads at once.
class Tokenizer {
public:
    /// Reads a tokenizer.json: BPE with ByteLevel or Split and ByteLevel pre-tokenisers, or WordPiece with BERT's;
    /// truncation and padding that the file asks for are left to the caller.
    /// @throws InputError with file and member when the file is broken or has a component that is not supported
    static Tokenizer from_json(std::filesystem::path const& path);

    /// Reads what a model comes with: a folder's tokenizer.json, a tokenizer.json, or a .gguf file's vocabulary.
    /// @throws InputError as from_json
    static Tokenizer open(std::filesystem::path const& path);

    /// @throws InputError as from_json
    static Tokenizer from_gguf_metadata(GgufVocabulary const& vocabulary);

    /// @param utf8         each maximal part that is not valid UTF-8 is taken as U+FFFD
    /// @param add_special  put the begin and end tokens of the tokenizer's template around it
    std::vector<std::int32_t> encode(std::string_view utf8, bool add_special = false) const;

    /// As encode with add_special, with the text's last tokens left out so that at most `max_length` remain.
    /// @throws InputError when the special tokens alone are more
    std::vector<std::int32_t> encode_truncated(std::string_view utf8, std::size_t max_length) const;

    /// Always valid UTF-8: U+FFFD for each maximal part of an incomplete character. An id that no token has (models
    /// pad their vocabulary) adds nothing.
    /// @throws InputError for a negative id
    std::string decode(std::span<std::int32_t const> ids, bool skip_special) const;

    /// The largest id plus one.
    std::int32_t vocabulary_size() const noexcept;
    /// The id of a token as the vocabulary spells it (a space is U+0120 in byte-level ones).
    std::optional<std::int32_t> id(std::string_view token) const;
    /// The token of an id as the vocabulary spells it. @throws InputError when no token has it
    std::string_view piece(std::int32_t id) const;
    bool is_special(std::int32_t id) const noexcept;
    /// 64 hex digits: SHA-256 of the tokenizer.json or of the GGUF members.
    std::string const& hash() const noexcept;

    struct Parts;

private:
    friend class StreamDecoder;
    explicit Tokenizer(std::shared_ptr<Parts const> parts);
    std::shared_ptr<Parts const> parts_;
};

}  // namespace samner::token
