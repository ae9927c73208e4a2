#include "core/error.h"
#include "fuzz/folder.h"
#include "fuzz/fuzz.h"
#include "token/stream_decoder.h"
#include "token/tokenizer.h"
#include "token/utf8.h"

/// A tokenizer.json is read and takes texts to ids of its vocabulary and back, at once and token by token, or it is an
/// InputError.
extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    using namespace samner;
    using namespace samner::token;
    auto const path = put("tokenizer.json", {reinterpret_cast<char const*>(data), size});
    try {
        auto const tokenizer = Tokenizer::from_json(path);
        for (auto const* text :
             {"", "ab aab  b", "The 12 caf\u00e9s, isn't it?\n\n<end>", "e\u0301 \u4e2d\u6587 \U0001f600 \xF0\x9F"}) {
            auto const ids = tokenizer.encode(text, true);
            StreamDecoder stream{tokenizer};
            std::string streamed;
            for (auto const id : ids) {
                promise(id >= 0 && id < tokenizer.vocabulary_size(), "an id is one of the vocabulary");
                auto const part = stream.push(id);
                promise(is_valid_utf8(part), "a part is UTF-8");
                streamed += part;
            }
            streamed += stream.finish();
            promise(streamed == tokenizer.decode(ids, true), "the parts join to the decoded text");
        }
    } catch (InputError const&) {
    }
    return 0;
}
