// The JSON files of a model folder. An input is config.json, generation_config.json and model.safetensors.index.json,
// with a line "%" between; beside them lies an empty shard.
#include <array>
#include <string>
#include <string_view>

#include "core/error.h"
#include "fuzz/folder.h"
#include "fuzz/fuzz.h"
#include "weights/architecture.h"
#include "weights/checkpoint.h"

namespace {

/// What lies before the next line "%"; the text goes on behind it.
std::string_view next_part(std::string_view& text) {
    constexpr std::string_view line = "\n%\n";
    auto const end = text.find(line);
    auto const part = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + line.size());
    return part;
}

}  // namespace

/// The configuration is read, its sizes fit each other, and the folder is opened, or it is an InputError.
extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    using namespace samner;
    using namespace std::string_view_literals;
    put("model-1.safetensors", "\2\0\0\0\0\0\0\0{}"sv);
    std::string_view text{reinterpret_cast<char const*>(data), size};
    for (auto const* name : {"config.json", "generation_config.json", "model.safetensors.index.json"}) {
        put(name, next_part(text));
    }
    try {
        auto const config = weights::read_config(fuzz_folder());
        promise(config.num_heads % config.num_kv_heads == 0, "key/value heads divide the heads");
        for (auto const id : config.end_tokens) promise(id >= 0 && id < config.vocab_size, "an end token is a token");
        promise(std::ssize(weights::rope_inverse_frequencies(config)) == config.head_dim / 2, "a frequency a pair");
        promise(std::ssize(weights::linear_modules(config)) == 7 * config.num_layers, "seven linear layers a block");
        weights::Checkpoint::open(fuzz_folder());
    } catch (InputError const&) {
    }
    return 0;
}
