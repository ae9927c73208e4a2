#include "report/resources.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <set>
#include <utility>

#include "work/import.h"

namespace samner::report {
namespace {

constexpr auto missing = std::numeric_limits<double>::quiet_NaN();

double known(std::int64_t number) {
    return number > 0 ? static_cast<double>(number) : missing;
}

/// Whether it is trained on all of one expert's data.
bool is_expert(TrainingView const& training) {
    auto const& parts = training.task.recipe.parts;
    return parts.size() == 1 && !parts.front().cluster;
}

std::int64_t tokens_of(TrainingView const& training) {
    std::int64_t tokens = 0;
    for (auto const& step : training.result.steps) tokens += step.tokens;
    return tokens;
}

/// The largest unified model of which all experts are trained, too.
std::optional<Usage::Trainings> trainings_of(std::vector<TrainingView const*> const& all) {
    std::optional<Usage::Trainings> found;
    std::size_t most = 1;
    for (auto const* const unified : all) {
        auto const& parts = unified->task.recipe.parts;
        if (parts.size() <= most) continue;
        Usage::Trainings sum{tokens_of(*unified), 0, unified->seconds, 0};
        bool const complete = std::ranges::all_of(parts, [&](work::Part const& part) {
            auto const expert = std::ranges::find_if(all, [&](TrainingView const* other) {
                return is_expert(*other) && other->task.recipe.parts.front() == part;
            });
            if (expert == all.end()) return false;
            sum.experts_tokens += tokens_of(**expert);
            sum.experts_seconds += (*expert)->seconds;
            return true;
        });
        if (!complete) continue;
        found = sum;
        most = parts.size();
    }
    return found;
}

}  // namespace

double simplified_base_parameters(plan::BaseSize const& base) {
    auto const h = known(base.hidden_size);
    return (12 * h * h + 13 * h) * known(base.layers) + known(base.vocabulary) * h;
}

double simplified_adapter_parameters(plan::BaseSize const& base, std::int64_t rank) {
    return 18 * known(base.hidden_size) * known(rank) * known(base.layers);
}

std::vector<Resource> resources(Usage const& usage) {
    auto const& base = usage.base;
    auto const base_formula = simplified_base_parameters(base);
    auto const adapter_formula = simplified_adapter_parameters(base, usage.rank);
    auto const experts = known(std::ssize(usage.adapter_bytes));
    auto const all_bytes =
        known(std::accumulate(usage.adapter_bytes.begin(), usage.adapter_bytes.end(), std::int64_t{}));
    auto const trainings = usage.trainings.value_or(Usage::Trainings{});
    auto const operations = [&](std::int64_t tokens) {
        return (4 * known(base.linear_parameters) + 6 * known(base.adapter_parameters)) * known(tokens);
    };
    auto const full_tuning = 6 * base_formula * known(trainings.unified_tokens);
    auto const seconds = [&](double of) { return usage.trainings ? of : missing; };
    constexpr double printed_share = 0.02;  // Table 14's storage: 1 + 0.02 n
    std::vector<Resource> lines{
        {"base_parameters", base_formula, known(base.parameters), "parameters"},
        {"adapter_parameters", adapter_formula, known(base.adapter_parameters), "parameters"},
        {"adapter_share_of_parameters", adapter_formula / base_formula,
         known(base.adapter_parameters) / known(base.parameters), "1"},
        {"base_bytes", missing, known(base.bytes), "bytes"},
        {"adapter_bytes", missing, all_bytes / experts, "bytes"},
        {"experts", missing, experts, "1"},
        {"storage_per_expert", printed_share, all_bytes / experts / known(base.bytes), "base model"},
        {"storage", 1 + printed_share * experts, 1 + all_bytes / known(base.bytes), "base model"},
        {"training_tokens_experts", known(trainings.unified_tokens), known(trainings.experts_tokens), "tokens"},
        {"training_operations_unified", full_tuning, operations(trainings.unified_tokens), "operations"},
        {"training_operations_experts", full_tuning, operations(trainings.experts_tokens), "operations"},
        {"training_seconds_experts", seconds(trainings.unified_seconds), seconds(trainings.experts_seconds), "s"}};
    for (auto const& [system, printed] : {std::pair{"unified", 1}, {"sam", 2}, {"sam_eco", 1}}) {
        auto const found = usage.passes.find(system);
        lines.push_back({std::string{"inference_passes_"} + system, static_cast<double>(printed),
                         found == usage.passes.end() ? missing : found->second, "passes"});
    }
    return lines;
}

Usage usage_of(View const& view) {
    Usage usage{view.base_size, view.rank};
    std::vector<TrainingView const*> trainings;
    std::set<std::string> experts;
    auto const first = view.repeats.empty() ? 0 : view.repeats.front().label;
    for (auto const& training : view.trainings) {
        if (training.repeat != first) continue;
        trainings.push_back(&training);
        if (is_expert(training)) experts.insert(training.key);
    }
    for (auto const& cost : view.costs) {
        bool const is_adapter = experts.contains(cost.key) || cost.kind == work::Import::kind;
        if (is_adapter && cost.ok && cost.bytes > 0) usage.adapter_bytes.push_back(cost.bytes);
    }
    usage.trainings = trainings_of(trainings);
    std::map<std::string, std::pair<double, double>> sums;  // passes and cells
    for (auto const& scored : view.cells) {
        if (scored.status() != store::CellStatus::done || scored.cell.repeat.label != first) continue;
        auto& [passes, cells] = sums[scored.cell.system];
        passes += static_cast<double>(scored.cell.answer.passes().size());
        cells += 1;
    }
    for (auto const& [system, sum] : sums) usage.passes[system] = sum.first / sum.second;
    return usage;
}

}  // namespace samner::report
