#pragma once

#include <string>

#include "token/tokenizer.h"

namespace samner::token {

/// Decodes token by token. What push and finish return, joined, is what Tokenizer::decode gives for all ids; no
/// returned part ends within a character.
class StreamDecoder {
public:
    explicit StreamDecoder(Tokenizer tokenizer, bool skip_special = true);

    /// The text that is complete with this token; may be empty. @throws InputError for a negative id
    std::string push(std::int32_t id);

    /// The rest: U+FFFD for a character that was not completed. The object starts afresh.
    std::string finish();

private:
    Tokenizer tokenizer_;
    bool skip_special_;
    bool first_ = true;
    std::string pending_;  // bytes of an incomplete character
};

}  // namespace samner::token
