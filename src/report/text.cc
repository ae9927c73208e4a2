#include "report/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace samner::report {

std::string percent(double fraction) {
    return std::isnan(fraction) ? "-" : fmt::format("{:.2f}", 100 * fraction);
}

namespace {

/// A value in percent, or why there is none.
std::string word_of(Value const& value) {
    bool const tells = value.status != store::CellStatus::done && value.status != store::CellStatus::published &&
                       value.status != store::CellStatus::pending;
    return tells ? std::string{store::status_name(value.status)} : percent(value.mean);
}

}  // namespace

std::string text_of(View const& view) {
    std::string text;
    for (auto const& grid : view.grids) {
        std::size_t width = 6;
        for (auto const& system : grid.systems) width = std::max(width, system.size());
        text += fmt::format("{}: {} (entity micro-F1, percent)\n{:<{}}", grid.experiment, grid.title, "system", width);
        for (auto const& target : grid.targets) text += fmt::format("  {:>10}", target);
        text += grid.averages.empty() ? "\n" : fmt::format("  {:>10}\n", "average");
        for (std::size_t row = 0; row < grid.systems.size(); ++row) {
            text += fmt::format("{:<{}}", grid.systems[row], width);
            for (auto const& value : grid.values[row]) text += fmt::format("  {:>10}", word_of(value));
            text += grid.averages.empty() ? "\n" : fmt::format("  {:>10}\n", percent(grid.averages[row].mean));
        }
    }
    return text;
}

}  // namespace samner::report
