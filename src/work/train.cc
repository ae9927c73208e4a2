#include "work/train.h"

#include <fmt/format.h>

#include <algorithm>

namespace samner::work {

std::string Train::label() const {
    return fmt::format("train {}", recipe.name());
}

int Train::width() const {
    auto const batch = std::clamp<std::int64_t>(options.batch_size, 1, std::max<std::int64_t>(samples, 1));
    return static_cast<int>((batch + options.micro_batch_size - 1) / options.micro_batch_size);
}

std::int64_t Train::size() const {
    return train::count_steps(options, static_cast<std::size_t>(samples)) * options.batch_size;
}

}  // namespace samner::work
