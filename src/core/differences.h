#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "core/json.h"

namespace samner {

/// Names of the members in which two objects differ: those of the first that the other lacks or has another value of,
/// then those that only the other has.
std::vector<std::string> differing_members(Json const& one, Json const& other);

/// The first `shown` of some names and, where there are more, how many.
std::vector<std::string> first_of(std::vector<std::string> names, std::size_t shown);

}  // namespace samner
