/// Files with random damage: a reader gives a value or an InputError, never another exception, a crash or a read
/// outside the file (which the debug build's sanitizers catch).
#include <gtest/gtest.h>

#include "core/json.h"
#include "core/random.h"
#include "test_files.h"
#include "weights/adapter.h"
#include "weights/checkpoint.h"
#include "weights/gguf.h"
#include "weights/safetensors.h"

namespace samner::weights {
namespace {

constexpr std::uint64_t num_rounds = 600;

/// Changes up to eight bytes before `end`: to random ones, to extreme ones, or by swapping, removing and inserting.
std::string mutated(std::string bytes, std::size_t end, RandomStream const& random) {
    std::uint64_t draw = 0;
    auto const below = [&](std::uint64_t bound) { return static_cast<std::size_t>(random.below(bound, draw++)); };
    auto const changes = 1 + below(8);
    for (std::size_t i = 0; i < changes; ++i) {
        auto const place = below(std::min(end, bytes.size()));
        switch (below(5)) {
            case 0:
                bytes[place] = static_cast<char>(below(256));
                break;
            case 1:
                bytes[place] = static_cast<char>(below(2) == 0 ? 0xFF : 0);
                break;
            case 2:
                std::swap(bytes[place], bytes[below(std::min(end, bytes.size()))]);
                break;
            case 3:
                bytes.erase(place, 1 + below(16));
                break;
            default:
                bytes.insert(place, bytes.substr(below(bytes.size()), 1 + below(16)));
        }
    }
    return bytes;
}

/// Damages a golden file many times, writes it to `path` and opens it.
void expect_values_or_input_errors(std::string const& name, std::size_t end, std::filesystem::path const& path,
                                   std::function<void()> const& open) {
    auto const whole = read_text(golden(name));
    std::uint64_t refused = 0;
    for (std::uint64_t round = 0; round < num_rounds; ++round) {
        write_plain(path, mutated(whole, end, RandomStream{round, name}));
        try {
            open();
        } catch (InputError const&) {
            ++refused;
        } catch (std::exception const& error) {
            FAIL() << "round " << round << " of " << name << ": " << error.what();
        }
    }
    EXPECT_GT(refused, num_rounds / 10) << "the damage is too mild to test anything";
}

TEST(DamagedSafetensors, GiveValuesOrAnInputError) {
    TemporaryFolder const folder;
    auto const path = folder / "damaged.safetensors";
    expect_values_or_input_errors("adapters/llama-tiny/qv-only/adapter_model.safetensors", 1100, path, [&] {
        SafetensorsFile const file{path};
        for (auto const& tensor : file.tensors()) file.floats(tensor.name);
    });
}

TEST(DamagedGguf, GiveValuesOrAnInputError) {
    TemporaryFolder const folder;
    auto const path = folder / "damaged.gguf";
    expect_values_or_input_errors("gguf/llama-tiny.Q4_0.gguf", 6700, path, [&] {
        auto const checkpoint = Checkpoint::open(path);
        for (auto const& name : checkpoint.names()) checkpoint.read(name);
    });
}

TEST(DamagedModelConfig, GivesAModelOrAnInputError) {
    TemporaryFolder const folder;
    auto const copy = copy_of("models/llama3rope-tiny", folder);
    expect_values_or_input_errors("models/llama3rope-tiny/config.json", 900, copy / "config.json",
                                  [&] { Checkpoint::open(copy); });
}

TEST(DamagedAdapterConfig, GivesAnAdapterOrAnInputError) {
    TemporaryFolder const folder;
    auto const copy = copy_of("adapters/llama-tiny/rslora-patterns", folder);
    expect_values_or_input_errors("adapters/llama-tiny/rslora-patterns/adapter_config.json", 2000,
                                  copy / "adapter_config.json", [&] { read_adapter(copy); });
}

TEST(DamagedShardIndex, GivesAModelOrAnInputError) {
    TemporaryFolder const folder;
    auto const copy = copy_of("models/qwen2-tiny", folder);
    expect_values_or_input_errors("models/qwen2-tiny/model.safetensors.index.json", 4000,
                                  copy / "model.safetensors.index.json", [&] { Checkpoint::open(copy); });
}

}  // namespace
}  // namespace samner::weights
