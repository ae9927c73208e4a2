#pragma once

#include <string_view>

#include "weights/config.h"

namespace samner::weights {

/// Checks that sizes are in range and fit each other. @throws InputError naming the setting and `place`
void check_config(ModelConfig const& config, std::string_view place);

/// @throws InputError when the id is not one of the vocabulary
std::int32_t checked_token(std::int64_t id, std::int64_t vocab_size, std::string_view what, std::string_view place);

}  // namespace samner::weights
