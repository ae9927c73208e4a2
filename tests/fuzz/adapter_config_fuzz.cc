#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "fuzz/fuzz.h"
#include "weights/adapter_config.h"

/// A configuration is read, applied to some modules and written so that it is read back the same, or it is an
/// InputError.
extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    using namespace samner::weights;
    std::vector<std::string> const modules{"model.layers.0.self_attn.q_proj", "model.layers.11.mlp.up_proj", "lm_head"};
    try {
        auto const config = parse_adapter_config({reinterpret_cast<char const*>(data), size}, "fuzz");
        lora_targets(config.settings, modules);
        lora_scales(config.settings, modules);
        if (parse_adapter_config(format_adapter_config(config.settings), "written").settings != config.settings)
            throw std::logic_error{"settings are not read back as they were written"};
    } catch (samner::InputError const&) {
    }
    return 0;
}
