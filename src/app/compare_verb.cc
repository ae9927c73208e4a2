#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "app/present.h"
#include "app/command_line.h"
#include "app/verbs.h"
#include "core/differences.h"
#include "core/error.h"
#include "core/file.h"
#include "core/json.h"
#include "plan/run_file.h"
#include "report/compare.h"
#include "report/compare_plans.h"
#include "report/text.h"

namespace samner::app {
namespace {

namespace fs = std::filesystem;

struct Options {
    std::string a, b;  ///< RUN or RUN#[EXPERIMENT/]ROW
    bool json = false;
    score::BootstrapOptions bootstrap;
};

/// What is compared: a run or a row of it.
struct Operand {
    fs::path run;
    std::string row;  ///< empty: the whole run
};

/// The run ends at a `#`, but one that is part of a folder's name.
Operand operand_of(std::string const& word) {
    if (fs::exists(word)) return {word, {}};
    auto hash = word.find('#');
    auto const first = hash;
    while (hash != std::string::npos && !fs::exists(word.substr(0, hash))) hash = word.find('#', hash + 1);
    if (hash == std::string::npos) hash = first;
    if (hash == std::string::npos) return {word, {}};
    Operand operand{word.substr(0, hash), word.substr(hash + 1)};
    if (operand.row.empty())
        throw InputError{fmt::format("no row behind the '#' of '{}' (command line)", word), "name one, or leave out #"};
    return operand;
}

/// A fraction as JSON; null for NaN.
Json number(double value) {
    return std::isnan(value) ? Json{} : Json(value);
}

// Two rows.

Json counts_json(score::Counts const& counts, double f1) {
    return {{"tp", counts.true_positive}, {"fp", counts.false_positive}, {"fn", counts.false_negative}, {"f1", f1}};
}

Json line_json(report::TargetComparison const& line) {
    return {{"target", line.target},
            {"sentences", line.sentences},
            {"a", counts_json(line.a, line.f1_a)},
            {"b", counts_json(line.b, line.f1_b)},
            {"difference", line.comparison.difference},
            {"low", line.comparison.interval.low},
            {"high", line.comparison.interval.high},
            {"p_value", line.comparison.p_value}};
}

Json left_out_json(std::vector<report::LeftOut> const& left_out) {
    auto list = Json::array();
    for (auto const& [target, reason] : left_out) list.push_back({{"target", target}, {"reason", reason}});
    return list;
}

Json row_json(Operand const& operand, report::ViewRow const& row) {
    return {{"run", operand.run.string()},
            {"experiment", row.experiment()},
            {"row", row.name()},
            {"expression", row.expression()},
            {"repeats", row.view->repeats.size()}};
}

Json rows_json(report::RowComparison const& comparison) {
    Json document{{"targets", Json::array()}, {"mean", nullptr}};
    for (auto const& line : comparison.targets) document["targets"].push_back(line_json(line));
    if (comparison.mean) document["mean"] = line_json(*comparison.mean);
    document["left_out"] = left_out_json(comparison.left_out);
    return document;
}

std::string rows_text(report::RowComparison const& comparison) {
    std::size_t width = 6;
    for (auto const& line : comparison.targets) width = std::max(width, line.target.size());
    auto text = fmt::format("{:<{}}  {:>9}  {:>7}  {:>7}  {:>7}  {:>18}  {:>6}\n", "target", width, "sentences", "a",
                            "b", "a - b", "95 % interval", "p");
    auto const add = [&](report::TargetComparison const& line) {
        auto const& [difference, interval, p] = line.comparison;
        text += fmt::format("{:<{}}  {:>9}  {:>7}  {:>7}  {:>+7.2f}  {:>+7.2f} to {:>+7.2f}  {:>6.4f}\n", line.target,
                            width, line.sentences, report::percent(line.f1_a), report::percent(line.f1_b),
                            100 * difference, 100 * interval.low, 100 * interval.high, p);
    };
    std::ranges::for_each(comparison.targets, add);
    if (comparison.mean) add(*comparison.mean);
    if (!comparison.left_out.empty()) text += "left out:\n";
    for (auto const& [target, reason] : comparison.left_out) text += fmt::format("  {}: {}\n", target, reason);
    return text;
}

void compare_rows(Operand const& a, report::View const& view_a, Operand const& b, report::View const& view_b,
                  Options const& options) {
    auto const row_a = report::row_named(view_a, a.row, a.run.string());
    auto const row_b = report::row_named(view_b, b.row, b.run.string());
    auto const comparison = report::compare_rows(row_a, row_b, options.bootstrap);
    if (options.json) {
        Json document{{"a", row_json(a, row_a)},
                      {"b", row_json(b, row_b)},
                      {"resamples", options.bootstrap.resamples},
                      {"confidence", options.bootstrap.confidence},
                      {"seed", options.bootstrap.seed}};
        document.update(rows_json(comparison));
        fmt::print("{}\n", to_text(document, 1));
        return;
    }
    auto const head = [](char const* name, Operand const& operand, report::ViewRow const& row) {
        fmt::print("{}: {} {}: {}\n", name, operand.run.string(), row.full_name(), row.expression());
    };
    head("a", a, row_a);
    head("b", b, row_b);
    fmt::print(
        "F1 in percent; the difference in points, by paired bootstrap over sentences ({} resamples, seed {})\n{}",
        options.bootstrap.resamples, options.bootstrap.seed, rows_text(comparison));
    auto const repeats = std::max(row_a.view->repeats.size(), row_b.view->repeats.size());
    if (repeats > 1) fmt::print("a sentence's counts are summed over the seeds\n");
}

// Two runs.

/// Names that only one of two lists has.
struct OnlyIn {
    std::vector<std::string> a, b;
};

OnlyIn only_in(std::vector<std::string> const& a, std::vector<std::string> const& b) {
    auto const without = [](std::vector<std::string> const& all, std::vector<std::string> const& other) {
        std::vector<std::string> left;
        std::ranges::copy_if(all, std::back_inserter(left),
                             [&](std::string const& name) { return std::ranges::find(other, name) == other.end(); });
        return left;
    };
    return {without(a, b), without(b, a)};
}

Json json_of(OnlyIn const& only) {
    return {{"only_a", only.a}, {"only_b", only.b}};
}

std::string text_of(OnlyIn const& only, std::string_view what) {
    std::string text;
    if (!only.a.empty()) text += fmt::format("{} of a alone: {}\n", what, fmt::join(only.a, ", "));
    if (!only.b.empty()) text += fmt::format("{} of b alone: {}\n", what, fmt::join(only.b, ", "));
    return text;
}

std::vector<std::string> experiments_of(plan::Plan const& plan) {
    std::vector<std::string> names;
    for (auto const& experiment : plan.experiments()) names.push_back(experiment.name);
    return names;
}

/// A row that both runs have.
struct RowOfBoth {
    report::ViewRow a, b;
    report::AverageComparison averages;
};

/// What changed from one run to another.
struct RunComparison {
    std::vector<plan::SettingDifference> settings;  ///< without rows, and experiments that only one run has
    OnlyIn experiments;
    OnlyIn rows;  ///< of the experiments that both have
    std::vector<RowOfBoth> both;
    report::PlanComparison tasks;
    std::int64_t open_a = 0;  ///< cells that wait for a selection: their tasks are not known yet
    std::int64_t open_b = 0;
};

RunComparison compare(fs::path const& folder_a, Present const& a, report::View const& view_a, fs::path const& folder_b,
                      Present const& b, report::View const& view_b) {
    RunComparison result;
    result.experiments = only_in(experiments_of(a.plan), experiments_of(b.plan));
    auto const told_below = [&](plan::SettingDifference const& setting) {
        auto const within = [&](std::string const& experiment) {
            return setting.name.starts_with("experiments." + experiment + ".");
        };
        return std::ranges::any_of(result.experiments.a, within) || std::ranges::any_of(result.experiments.b, within) ||
               (setting.name.starts_with("experiments.") && setting.name.ends_with(".rows"));
    };
    result.settings =
        plan::setting_differences(read_text(folder_a / "experiment.yaml"), read_text(folder_b / "experiment.yaml"));
    std::erase_if(result.settings, told_below);
    std::vector<std::string> names_a;
    std::vector<std::string> names_b;
    auto const rows_b = report::rows_of(view_b);
    for (auto const& row : rows_b) names_b.push_back(row.full_name());
    for (auto const& row : report::rows_of(view_a)) {
        names_a.push_back(row.full_name());
        auto const found = std::ranges::find(names_b, row.full_name());
        if (found == names_b.end()) continue;
        auto const& other = rows_b[static_cast<std::size_t>(found - names_b.begin())];
        result.both.push_back({row, other, report::compare_averages(row, other)});
    }
    result.rows = only_in(names_a, names_b);
    auto const told = [&](std::vector<std::string> const& experiments) {
        return [&](std::string const& row) {
            return std::ranges::any_of(experiments,
                                       [&](std::string const& name) { return row.starts_with(name + "/"); });
        };
    };
    std::erase_if(result.rows.a, told(result.experiments.a));
    std::erase_if(result.rows.b, told(result.experiments.b));
    result.tasks = report::compare_plans(a.plan, a.records, b.plan, b.records);
    result.open_a = a.plan.totals().open;
    result.open_b = b.plan.totals().open;
    return result;
}

Json json_of(report::Reason const& reason) {
    auto members = Json::array();
    for (auto const& [name, values] : reason.members) {
        auto pairs = Json::array();
        for (auto const& [of_a, of_b] : values) pairs.push_back({{"a", of_a}, {"b", of_b}});
        members.push_back({{"name", name}, {"values", pairs}});
    }
    return {{"kind", reason.kind},
            {"only_a", reason.only_a},
            {"only_b", reason.only_b},
            {"members", members},
            {"reads", reason.reads}};
}

Json json_of(RunComparison const& comparison) {
    auto const value = [](std::string const& json) { return json.empty() ? Json{} : Json::parse(json); };
    Json document{{"experiments", json_of(comparison.experiments)},
                  {"rows", json_of(comparison.rows)},
                  {"cells_open", {{"a", comparison.open_a}, {"b", comparison.open_b}}}};
    for (auto const* list : {"settings", "tasks", "other_results", "reasons"}) document[list] = Json::array();
    for (auto const& [name, one, other] : comparison.settings)
        document["settings"].push_back({{"name", name}, {"a", value(one)}, {"b", value(other)}});
    auto& both = document["rows"]["both"] = Json::array();
    for (auto const& [a, b, averages] : comparison.both) {
        both.push_back({{"experiment", a.experiment()},
                        {"row", a.name()},
                        {"expression_a", a.expression()},
                        {"expression_b", b.expression()},
                        {"targets", averages.targets},
                        {"a", number(averages.a)},
                        {"b", number(averages.b)},
                        {"difference", number(averages.a - averages.b)},
                        {"left_out", left_out_json(averages.left_out)}});
    }
    for (auto const& kind : comparison.tasks.kinds) {
        document["tasks"].push_back({{"kind", kind.kind},
                                     {"equal", kind.equal},
                                     {"other_results", kind.other},
                                     {"not_done", kind.open},
                                     {"only_a", kind.only_a},
                                     {"only_b", kind.only_b}});
    }
    for (auto const& [key, label, a, b] : comparison.tasks.others)
        document["other_results"].push_back({{"key", key}, {"label", label}, {"a", a}, {"b", b}});
    for (auto const& reason : comparison.tasks.reasons) document["reasons"].push_back(json_of(reason));
    return document;
}

std::string settings_text(RunComparison const& comparison) {
    if (comparison.settings.empty()) return "no setting differs\n";
    auto const value = [](std::string const& json) { return json.empty() ? "nothing" : json; };
    std::string text = "settings (a, b):\n";
    for (auto const& [name, one, other] : comparison.settings)
        text += fmt::format("  {}: {}, {}\n", name, value(one), value(other));
    return text;
}

std::string averages_text(std::vector<RowOfBoth> const& both) {
    if (both.empty()) return {};
    std::size_t width = 3;
    for (auto const& row : both) width = std::max(width, row.a.full_name().size());
    auto text = fmt::format(
        "average F1 in percent, over the targets that both are done on:\n  {:<{}}  {:>7}  {:>7}  "
        "{:>7}  {:>7}\n",
        "row", width, "targets", "a", "b", "a - b");
    for (auto const& [a, b, averages] : both) {
        auto const difference = averages.targets == 0 ? "-" : fmt::format("{:+.2f}", 100 * (averages.a - averages.b));
        text += fmt::format("  {:<{}}  {:>7}  {:>7}  {:>7}  {:>7}\n", a.full_name(), width, averages.targets,
                            report::percent(averages.a), report::percent(averages.b), difference);
        if (a.expression() != b.expression())
            text += fmt::format("    another expression: {}; {}\n", a.expression(), b.expression());
        for (auto const& [target, reason] : averages.left_out)
            text += fmt::format("    left out: {}: {}\n", target, reason);
    }
    return text;
}

std::string reason_text(report::Reason const& reason) {
    if (reason.members.empty() && reason.reads.empty()) return "the other run has none of this kind";
    if (reason.members.empty()) return fmt::format("only what they read differs ({})", fmt::join(reason.reads, ", "));
    constexpr std::size_t shown = 3;
    std::vector<std::string> members;
    for (auto const& [name, values] : reason.members) {
        std::vector<std::string> pairs;
        for (auto const& [of_a, of_b] : values) pairs.push_back(fmt::format("{}, {}", of_a, of_b));
        members.push_back(fmt::format("{} ({})", name, fmt::join(first_of(std::move(pairs), shown), "; ")));
    }
    return fmt::format("{}", fmt::join(members, ", "));
}

std::string tasks_text(RunComparison const& comparison) {
    auto const& [kinds, others, reasons] = comparison.tasks;
    auto text = fmt::format("tasks\n  {:<8}  {:>9}  {:>13}  {:>8}  {:>6}  {:>6}\n", "", "the same", "other results",
                            "not done", "only a", "only b");
    for (auto const& kind : kinds) {
        text += fmt::format("  {:<8}  {:>9}  {:>13}  {:>8}  {:>6}  {:>6}\n", kind.kind, kind.equal, kind.other,
                            kind.open, kind.only_a, kind.only_b);
    }
    if (!reasons.empty())
        text += "of those that one run has alone, what differs from the nearest of the other (a, b):\n";
    for (auto const& reason : reasons)
        text +=
            fmt::format("  {:<8}  {:>6} {:>6}: {}\n", reason.kind, reason.only_a, reason.only_b, reason_text(reason));
    if (comparison.open_a + comparison.open_b > 0)
        text += fmt::format("cells that wait for a selection, whose tasks are not known yet: {}, {}\n",
                            comparison.open_a, comparison.open_b);
    if (others.empty()) return text;
    text += fmt::format(
        "warning: {} tasks have equal keys and other results, which should not depend on where they "
        "were computed (on a GPU or in bf16 they may in the last bits)\n",
        others.size());
    for (auto const& [key, label, a, b] : others)
        text += fmt::format("  {} {:.12}: {:.12}, {:.12}\n", label, key, a, b);
    return text;
}

void compare_verb(Options const& options) {
    auto const a = operand_of(options.a);
    auto const b = operand_of(options.b);
    if (a.row.empty() != b.row.empty()) {
        throw InputError{fmt::format("'{}' and '{}' are a row and a run (command line)", options.a, options.b),
                         "name a row of both, or of none"};
    }
    auto const run_a = std::make_shared<Present>(a.run);
    bool const same = fs::exists(b.run) && fs::equivalent(a.run, b.run);
    auto const run_b = same ? run_a : std::make_shared<Present>(b.run);
    auto const view_a = std::make_shared<report::View>(run_a->view());
    auto const view_b = same ? view_a : std::make_shared<report::View>(run_b->view());
    if (!a.row.empty()) return compare_rows(a, *view_a, b, *view_b, options);
    auto const comparison = compare(a.run, *run_a, *view_a, b.run, *run_b, *view_b);
    if (options.json) {
        Json document{{"a", a.run.string()}, {"b", b.run.string()}};
        document.update(json_of(comparison));
        fmt::print("{}\n", to_text(document, 1));
        return;
    }
    fmt::print("a: {}\nb: {}\n{}{}{}{}{}", a.run.string(), b.run.string(), settings_text(comparison),
               text_of(comparison.experiments, "experiments"), text_of(comparison.rows, "rows"),
               averages_text(comparison.both), tasks_text(comparison));
}

}  // namespace

void add_compare_verb(CLI::App& app) {
    auto options = std::make_shared<Options>();
    auto* const verb = app.add_subcommand("compare", "What differs between two runs or rows, and how surely");
    verb->add_option("A", options->a, "run folder, or a row of it: RUN#[EXPERIMENT/]ROW")->required();
    verb->add_option("B", options->b, "what to compare with, likewise")->required();
    verb->add_option("--seed", options->bootstrap.seed, "of the bootstrap of rows")->capture_default_str();
    verb->add_flag("--json", options->json, "one JSON document");
    add_examples(*verb, "samner compare runs/demo#sam runs/demo#unified");
    verb->callback([options] { compare_verb(*options); });
}

}  // namespace samner::app
