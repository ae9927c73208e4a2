#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/fields.h"

namespace samner::plan {

/// A printed row of a table. Scores are in percent, as printed.
struct PaperRow {
    std::string system;                        ///< as experiments name the row
    std::string base;                          ///< llama, qwen, unstated, or n/a for published systems
    std::map<std::string, double> cells = {};  ///< by target
    std::optional<double> average = {};
    std::vector<std::string> doubtful = {};  ///< targets whose cells contradict another table

    template <class Self, class Visit>
    static void fields(Self& self, Visit&& visit) {
        visit("system", self.system);
        visit("base", self.base);
        visit("cells", self.cells);
        visit("average", self.average, self.average.has_value());
        visit("doubtful", self.doubtful, !self.doubtful.empty());
    }
    friend bool operator==(PaperRow const&, PaperRow const&) = default;
};

/// What a paper prints where an experiment computes.
struct PaperValues {
    static constexpr std::string_view kind = "paper values";
    std::string place;  ///< `Table 2`, `Figure 3`
    std::vector<PaperRow> rows = {};

    /// The row of a system that is copied from the literature, whose base is n/a; null: there is none.
    PaperRow const* published(std::string const& system) const;

    template <class Self, class Visit>
    static void fields(Self& self, Visit&& visit) {
        visit("place", self.place);
        visit("rows", self.rows);
    }
    friend bool operator==(PaperValues const&, PaperValues const&) = default;
};

/// Reads printed values: a map whose `rows` have a `system`, a `base`, and `cells` (a map of targets to numbers, null
/// where there is none) or an `average` or both. Rows that have neither and further keys are for other readers.
/// @param place  what the values are to be called
/// @throws InputError when the file is another one
PaperValues read_paper_values(std::filesystem::path const& path, std::string place);

}  // namespace samner::plan
