#pragma once

#include <string_view>

#include "prompt/collector.h"

namespace samner::prompt {

/// Reads an answer in JSON, or in what a model made of it, out of a text.
void parse_json_answer(std::string_view text, Collector& collector);

}  // namespace samner::prompt
