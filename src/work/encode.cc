#include "work/encode.h"

#include <fmt/format.h>

namespace samner::work {

std::string Encode::label() const {
    auto const* const recipe = std::get_if<Recipe>(&of);
    return fmt::format("encode {}", recipe ? recipe->name() : std::get<Texts>(of).name());
}

}  // namespace samner::work
