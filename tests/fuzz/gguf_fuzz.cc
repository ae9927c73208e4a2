#include <string>
#include <vector>

#include "core/error.h"
#include "fuzz/folder.h"
#include "fuzz/fuzz.h"
#include "token/tokenizer.h"
#include "weights/checkpoint.h"
#include "weights/gguf.h"

namespace samner {
namespace {

/// Does what may be refused, and nothing else.
template <class Try>
void allow_refusal(Try const& attempt) {
    try {
        attempt();
    } catch (InputError const&) {
    }
}

}  // namespace
}  // namespace samner

/// A file is opened and its tensors are read, as they stand and as a model's; its vocabulary cuts a text up; or it is
/// an InputError.
extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    using namespace samner;
    auto const path = put("model.gguf", {reinterpret_cast<char const*>(data), size});
    allow_refusal([&] {
        weights::GgufFile const file{path};
        std::vector<float> values;
        for (auto const& tensor : file.tensors()) {
            values.resize(static_cast<std::size_t>(tensor.elements()));
            weights::dequantise(tensor.type, tensor.bytes, values);
        }
    });
    allow_refusal([&] {
        auto const checkpoint = weights::Checkpoint::open(path);
        auto const& config = checkpoint.config();
        promise(std::ssize(weights::rope_inverse_frequencies(config)) == config.head_dim / 2, "a frequency a pair");
        for (auto const& name : checkpoint.names()) checkpoint.read(name);
    });
    allow_refusal([&] {
        auto const tokenizer = token::Tokenizer::open(path);
        auto const ids = tokenizer.encode("ab 12 <end> Zo\u00eb", true);
        for (auto const id : ids) promise(id >= 0 && id < tokenizer.vocabulary_size(), "an id has a token");
        tokenizer.decode(ids, true);
    });
    return 0;
}
