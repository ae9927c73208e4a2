#pragma once

#include <string>
#include <string_view>

#include "weights/adapter.h"

namespace samner::weights {

/// What adapter_config.json says.
struct AdapterConfig {
    LoraSettings settings;
    bool selects_further;  ///< layers_to_transform or exclude_modules narrow the targets
};

/// @throws InputError naming `place` and the setting; unsupported PEFT features by name
AdapterConfig parse_adapter_config(std::string_view text, std::string const& place);

/// The text of an adapter_config.json: sorted keys, patterns in their order.
std::string format_adapter_config(LoraSettings const& settings);

}  // namespace samner::weights
