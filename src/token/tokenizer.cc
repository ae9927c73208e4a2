#include "token/tokenizer.h"

#include <fmt/format.h>

#include "core/error.h"
#include "token/byte_alphabet.h"
#include "token/parts.h"
#include "token/utf8.h"

namespace samner::token {

std::array<std::int32_t, 256> byte_ids(Vocabulary const& vocabulary) {
    std::array<std::int32_t, 256> ids{};
    for (int byte = 0; byte < 256; ++byte) {
        ids[static_cast<std::size_t>(byte)] = vocabulary.id(byte_token(static_cast<std::uint8_t>(byte))).value_or(-1);
    }
    return ids;
}

ByteDecoder byte_decoder(Vocabulary const& vocabulary) {
    ByteDecoder decoder;
    decoder.bytes.resize(static_cast<std::size_t>(vocabulary.size()));
    for (std::int32_t id = 0; id < vocabulary.size(); ++id) {
        auto const* const token = vocabulary.token(id);
        // An added token may hold characters that are not of the byte alphabet: it stands for itself.
        if (token != nullptr) decoder.bytes[static_cast<std::size_t>(id)] = bytes_of_token(*token).value_or(*token);
    }
    return decoder;
}

Bpe::Merge resolve_merge(Vocabulary const& vocabulary, std::string_view left, std::string_view right,
                         std::string_view place) {
    auto const resolve = [&](std::string const& token) {
        if (auto const id = vocabulary.id(token)) return *id;
        throw InputError{
            fmt::format("merge of '{}' and '{}': '{}' is not in the vocabulary ({})", left, right, token, place),
            "vocabulary and merges must come from one tokenizer"};
    };
    return {resolve(std::string{left}), resolve(std::string{right}), resolve(fmt::format("{}{}", left, right))};
}

Bpe::Merge resolve_merge(Vocabulary const& vocabulary, std::string_view line, std::string_view place) {
    auto const space = line.find(' ');
    if (space == std::string_view::npos || line.find(' ', space + 1) != std::string_view::npos) {
        throw InputError{fmt::format("merge '{}' is not two tokens with one space between ({})", line, place)};
    }
    return resolve_merge(vocabulary, line.substr(0, space), line.substr(space + 1), place);
}

void Tokenizer::Parts::append(std::int32_t id, bool first, std::string& bytes) const {
    auto const* const token = vocabulary.token(id);
    if (token == nullptr) return;
    if (auto const* const byte_level = std::get_if<ByteDecoder>(&decoder)) {
        bytes += byte_level->bytes[static_cast<std::size_t>(id)];
    } else {
        bytes += std::get<WordPieceDecoder>(decoder).text(*token, first);
    }
}

Tokenizer::Tokenizer(std::shared_ptr<Parts const> parts) : parts_{std::move(parts)} {}

namespace {

void encode_piece(Tokenizer::Parts const& parts, std::string_view piece, std::vector<std::int32_t>& ids) {
    if (auto const* const bpe = std::get_if<Bpe>(&parts.model)) return bpe->encode(piece, ids);
    std::get<WordPiece>(parts.model).encode(piece, ids);
}

/// Ids of a text without special tokens around it.
std::vector<std::int32_t> encode_body(Tokenizer::Parts const& parts, std::string_view utf8) {
    std::vector<std::int32_t> ids;
    std::string valid;
    if (!is_valid_utf8(utf8)) utf8 = valid = to_valid_utf8(utf8);
    auto const token = [&](std::int32_t id) { ids.push_back(id); };
    auto const piece = PreTokenizer::Sink{[&](std::string_view text) { encode_piece(parts, text, ids); }};
    auto const pieces = [&](std::string_view text) { parts.pre_tokenizer.split(text, piece); };
    auto const section = [&](std::string_view text) {
        if (parts.normalizer.empty()) return parts.added_normalised.scan(text, token, pieces);
        parts.added_normalised.scan(parts.normalizer.apply(text), token, pieces);
    };
    parts.added.scan(utf8, token, section);
    return ids;
}

std::vector<std::int32_t> surround(Tokenizer::Parts const& parts, std::vector<std::int32_t> ids) {
    ids.insert(ids.begin(), parts.begin.begin(), parts.begin.end());
    ids.insert(ids.end(), parts.end.begin(), parts.end.end());
    return ids;
}

}  // namespace

std::vector<std::int32_t> Tokenizer::encode(std::string_view utf8, bool add_special) const {
    auto ids = encode_body(*parts_, utf8);
    return add_special ? surround(*parts_, std::move(ids)) : ids;
}

std::vector<std::int32_t> Tokenizer::encode_truncated(std::string_view utf8, std::size_t max_length) const {
    auto const around = parts_->begin.size() + parts_->end.size();
    if (max_length < around) {
        throw InputError{fmt::format("a limit of {} tokens leaves no room for {} special ones", max_length, around)};
    }
    auto ids = encode_body(*parts_, utf8);
    ids.resize(std::min(ids.size(), max_length - around));
    return surround(*parts_, std::move(ids));
}

std::string Tokenizer::decode(std::span<std::int32_t const> ids, bool skip_special) const {
    std::string bytes;
    bool first = true;
    for (auto const id : ids) {
        if (id < 0) throw InputError{fmt::format("token id {} cannot be decoded", id)};
        if ((skip_special && is_special(id)) || parts_->vocabulary.token(id) == nullptr) continue;
        parts_->append(id, first, bytes);
        first = false;
    }
    return to_valid_utf8(bytes);
}

std::int32_t Tokenizer::vocabulary_size() const noexcept {
    return parts_->vocabulary.size();
}

std::optional<std::int32_t> Tokenizer::id(std::string_view token) const {
    return parts_->vocabulary.id(token);
}

std::string_view Tokenizer::piece(std::int32_t id) const {
    if (auto const* const token = parts_->vocabulary.token(id)) return *token;
    throw InputError{fmt::format("no token has id {} (the vocabulary has {})", id, vocabulary_size())};
}

bool Tokenizer::is_special(std::int32_t id) const noexcept {
    return id >= 0 && static_cast<std::size_t>(id) < parts_->special.size() &&
           parts_->special[static_cast<std::size_t>(id)];
}

std::string const& Tokenizer::hash() const noexcept {
    return parts_->hash;
}

}  // namespace samner::token
