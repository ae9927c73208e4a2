#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "plan/graph.h"
#include "report/view.h"

namespace samner::report {

/// What a run has used of what the paper's Appendix C counts. 0, or nothing: not known.
struct Usage {
    plan::BaseSize base;
    std::int64_t rank = 0;
    std::vector<std::int64_t> adapter_bytes = {};  ///< of each expert's artifact
    /// A unified model's training, and those of the experts whose data it has, all together.
    struct Trainings {
        std::int64_t unified_tokens = 0;
        std::int64_t experts_tokens = 0;
        double unified_seconds = 0;
        double experts_seconds = 0;
    };
    std::optional<Trainings> trainings = {};
    std::map<std::string, double> passes = {};  ///< of each cell, in the mean, by the name of a row
};

/// One quantity by formula and as counted. What is not known is NaN.
struct Resource {
    std::string quantity;
    double formula;
    double measured;
    std::string units;
};

/// The paper's numbers for a simplified transformer (Appendix C; H width, L layers, V vocabulary, r rank):
/// (12 H² + 13 H) L + V H of a base model and 18 H r L of an adapter.
double simplified_base_parameters(plan::BaseSize const& base);
double simplified_adapter_parameters(plan::BaseSize const& base, std::int64_t rank);

/// Parameters, storage, operations of training and passes of inference, by the paper's formulas beside what is exact.
/// Operations: 6 for each parameter and token by formula, as full fine-tuning needs; counted are 4 for each parameter
/// of the frozen linear layers and 6 for each of the factors, without attention and head.
std::vector<Resource> resources(Usage const& usage);

/// Of the first repeat.
Usage usage_of(View const& view);

}  // namespace samner::report
