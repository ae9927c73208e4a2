#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace samner::token {

/// The spelling of bytes in byte-level vocabularies (GPT-2): a byte that Latin-1 prints stands for itself as a
/// character, the others are U+0100 and up in byte order; a space is U+0120.
std::string byte_token(std::uint8_t byte);

/// The bytes that a token of a byte-level vocabulary stands for; nothing when a character is not of the alphabet.
std::optional<std::string> bytes_of_token(std::string_view token);

}  // namespace samner::token
