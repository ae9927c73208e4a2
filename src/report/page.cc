#include "report/page.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string_view>

#include "core/fields.h"
#include "report/text.h"

namespace samner::report {
namespace {

constexpr std::string_view head = R"(<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>samner report</title>
<style>
:root{color-scheme:light dark;--line:#8884;--ink:CanvasText;--fill:#2b7fff}
body{font:15px/1.5 system-ui,sans-serif;margin:0 auto;max-width:60rem;padding:1rem}
h1{font-size:1.4rem}h2{font-size:1.15rem;margin-top:2rem}
.scroll{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:.3rem .7rem;border-bottom:1px solid var(--line);text-align:right}
th:first-child,td:first-child{text-align:left}td.best{font-weight:700}
.bar{display:inline-block;height:.7em;background:var(--fill);vertical-align:baseline}
.curves{display:flex;flex-wrap:wrap;gap:1rem}figure{margin:0}figcaption{font-size:.9rem}
svg{border-left:1px solid var(--line);border-bottom:1px solid var(--line)}polyline{fill:none;stroke:var(--fill);stroke-width:2}
pre{overflow-x:auto;padding:.7rem;border:1px solid var(--line);font-size:.85rem}
@media print{body{max-width:none}}
</style></head><body>
<h1>samner report</h1>
)";

std::string escaped(std::string_view text) {
    std::string result;
    for (char const c : text) {
        switch (c) {
            case '&':
                result += "&amp;";
                break;
            case '<':
                result += "&lt;";
                break;
            case '>':
                result += "&gt;";
                break;
            case '"':
                result += "&quot;";
                break;
            default:
                result += c;
        }
    }
    return result;
}

std::string interval_of(Value const& value) {
    if (!value.interval) return {};
    return fmt::format("<br><small>{} to {}</small>", percent(value.interval->low), percent(value.interval->high));
}

/// A table with its first line.
std::string table(std::vector<std::string> const& names) {
    std::string html = "<div class=\"scroll\"><table><tr>";
    for (auto const& name : names) html += fmt::format("<th>{}</th>", escaped(name));
    return html + "</tr>\n";
}

std::string section_of(Grid const& grid) {
    auto html = fmt::format(
        "<h2>{}: {}</h2>\n<p>Entity micro-F1 in percent; in small print its 95 % interval (bootstrap over sentences) "
        "and "
        "tp / fp / fn, summed over seeds.</p>\n",
        escaped(grid.experiment), escaped(grid.title));
    std::vector<std::string> names{"system"};
    names.insert(names.end(), grid.targets.begin(), grid.targets.end());
    if (!grid.averages.empty()) names.emplace_back("average");
    html += table(names);
    std::vector<double> best(grid.targets.size());
    for (auto const& row : grid.values) {
        for (std::size_t target = 0; target < row.size(); ++target) {
            if (!std::isnan(row[target].mean)) best[target] = std::max(best[target], row[target].mean);
        }
    }
    for (std::size_t system = 0; system < grid.systems.size(); ++system) {
        html += fmt::format("<tr><td>{}</td>", escaped(grid.systems[system]));
        for (std::size_t target = 0; target < grid.targets.size(); ++target) {
            auto const& value = grid.values[system][target];
            auto const& [right, wrong, missed] = value.counts;
            html += fmt::format("<td{}>{}{}<br><small>{} / {} / {}</small></td>",
                                value.mean == best[target] && value.mean > 0 ? " class=\"best\"" : "",
                                percent(value.mean), interval_of(value), right, wrong, missed);
        }
        if (!grid.averages.empty()) {
            auto const& average = grid.averages[system];
            html += fmt::format("<td>{}{}</td>", percent(average.mean), interval_of(average));
        }
        html += "</tr>\n";
    }
    return html + "</table></div>\n";
}

std::string similarity_cell(work::Selection const& selection, std::string const& expert) {
    auto const found = selection.similarity.find(expert);
    if (found == selection.similarity.end() || std::isnan(found->second)) return "<td>-</td>";
    return fmt::format("<td><span class=\"bar\" style=\"width:{:.1f}rem\"></span> {:.3f}</td>",
                       5 * std::max(found->second, 0.0), found->second);
}

std::string section_of(SelectionView const& selection) {
    auto const& [task, result] = selection;
    auto html = fmt::format("<h3>{} by {}</h3>\n", escaped(task.target.name()), name_of_value(task.metric));
    html += table({"expert", "similarity", "sampling F1", "chosen"});
    for (auto const& candidate : task.experts) {
        auto const sampling = result.sampling_f1.find(candidate.name);
        auto const place = result.rank_of(candidate.name);
        html += fmt::format("<tr><td>{}</td>{}<td>{}</td><td>{}</td></tr>\n", escaped(candidate.name),
                            similarity_cell(result, candidate.name),
                            sampling == result.sampling_f1.end() ? "-" : percent(sampling->second),
                            place > 0 ? std::to_string(place) : "");
    }
    return html + "</table></div>\n";
}

/// A training curve as an inline picture: loss over steps, from 0 to the largest loss.
std::string curve(std::vector<train::Step> const& steps) {
    constexpr double width = 260, height = 80;
    double top = 0;
    for (auto const& step : steps) {
        if (std::isfinite(step.loss)) top = std::max(top, step.loss);
    }
    std::string points;
    for (std::size_t i = 0; i < steps.size(); ++i) {
        if (!std::isfinite(steps[i].loss)) continue;
        auto const x = steps.size() > 1 ? width * static_cast<double>(i) / static_cast<double>(steps.size() - 1) : 0.0;
        points += fmt::format("{:.1f},{:.1f} ", x, top > 0 ? height * (1 - steps[i].loss / top) : height);
    }
    return fmt::format(
        R"(<svg viewBox="-2 -2 {} {}" width="{}" height="{}" role="img" aria-label="training loss"><polyline points="{}"/></svg>)",
        width + 4, height + 4, width + 4, height + 4, points);
}

std::string figure_of(TrainingView const& training) {
    auto const& steps = training.result.steps;
    if (steps.empty()) return {};
    std::string cuts;
    if (auto const left_out = training.result.left_out.value_or(0); left_out > 0)
        cuts += fmt::format("; {} of {} examples left out by max_length", left_out, training.result.samples + left_out);
    if (auto const cut = training.result.cut.value_or(0); cut > 0)
        cuts += fmt::format("; {} of {} examples with a cut answer", cut, training.result.samples);
    return fmt::format(
        "<figure>{}<figcaption>{}, seed {}: {} steps, loss {:.3f} to {:.3f}, {:.0f} s{}</figcaption></figure>\n",
        curve(steps), escaped(training.task.recipe.name()), training.repeat, steps.size(), steps.front().loss,
        steps.back().loss, training.seconds, cuts);
}

std::string costs_of(View const& view) {
    auto html = table({"kind of task", "tasks", "seconds", "rank-seconds"});
    for (auto const& [kind, cost] : view.costs_by_kind) {
        html += fmt::format("<tr><td>{}</td><td>{}</td><td>{:.1f}</td><td>{:.1f}</td></tr>\n", escaped(kind),
                            cost.tasks, cost.seconds, cost.rank_seconds);
    }
    return html + "</table></div>\n";
}

}  // namespace

std::string page_of(View const& view) {
    std::string page{head};
    page += fmt::format("<p>Base model <code>{}</code>, encoder <code>{}</code>.</p>\n", escaped(view.base),
                        escaped(view.encoder));
    for (auto const& grid : view.grids) page += section_of(grid);
    page += "<h2>Selection</h2>\n";
    for (auto const& selection : view.selections) page += section_of(selection);
    page += "<h2>Training</h2>\n<div class=\"curves\">\n";
    for (auto const& training : view.trainings) page += figure_of(training);
    page += "</div>\n<h2>Cost</h2>\n";
    page += costs_of(view);
    page += fmt::format("<h2>Configuration</h2>\n<pre>{}</pre>\n</body></html>\n", escaped(view.config));
    return page;
}

}  // namespace samner::report
