#include "token/stream_decoder.h"

#include <fmt/format.h>

#include <utility>

#include "core/error.h"
#include "token/parts.h"
#include "token/utf8.h"

namespace samner::token {

StreamDecoder::StreamDecoder(Tokenizer tokenizer, bool skip_special)
    : tokenizer_{std::move(tokenizer)}, skip_special_{skip_special} {}

std::string StreamDecoder::push(std::int32_t id) {
    if (id < 0) throw InputError{fmt::format("token id {} cannot be decoded", id)};
    auto const& parts = *tokenizer_.parts_;
    if ((skip_special_ && tokenizer_.is_special(id)) || parts.vocabulary.token(id) == nullptr) return {};
    parts.append(id, std::exchange(first_, false), pending_);
    auto const complete = pending_.size() - cut_tail(pending_);
    auto text = to_valid_utf8(std::string_view{pending_}.substr(0, complete));
    pending_.erase(0, complete);
    return text;
}

std::string StreamDecoder::finish() {
    first_ = true;
    return to_valid_utf8(std::exchange(pending_, {}));
}

}  // namespace samner::token
