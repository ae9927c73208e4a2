#include "task/results.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "core/error.h"
#include "corpus/dataset.h"
#include "prompt/prompt.h"
#include "task/executor.h"
#include "task/predictions.h"

namespace samner::task {
namespace {

using plan::Cell;
using plan::Predictions;

/// Gold and predicted mentions, each read once.
class Scorer {
public:
    Scorer(plan::RunFile const& run, store::Artifacts const& artifacts)
        : run_{run},
          artifacts_{artifacts},
          root_{data_root(run)},
          catalogue_{{run.datasets.begin(), run.datasets.end()}} {}

    ScoredCell score(Cell const& cell) {
        ScoredCell scored{cell, {}, {}, 0};
        if (cell.status != Cell::Status::done) return scored;
        auto const& gold = gold_of(cell.target);
        auto const predicted = evaluate(*cell.predictions, cell.target);
        scored.counts = score::count(gold, predicted);
        scored.sentences = std::ssize(gold);
        return scored;
    }

private:
    std::vector<score::Mentions> const& gold_of(std::string const& name) {
        auto const found = gold_.find(name);
        if (found != gold_.end()) return found->second;
        auto const& target = run_.targets.at(name);
        auto const& dataset = catalogue_.at(target.dataset);
        auto sentences = corpus::read(dataset, target.split, root_);
        if (target.sentences > 0 && target.sentences < std::ssize(sentences))
            sentences.resize(static_cast<std::size_t>(target.sentences));
        auto& gold = gold_[name];
        for (auto const& sentence : sentences) gold.push_back(prompt::gold(sentence, dataset));
        return gold;
    }

    std::vector<score::Mentions> const& stored(std::string const& key) {
        auto const found = predictions_.find(key);
        if (found != predictions_.end()) return found->second;
        return predictions_[key] = read_mentions(artifacts_.path(key));
    }

    std::vector<score::Mentions> evaluate(Predictions const& node, std::string const& target) {
        if (node.kind == Predictions::Kind::stored) return stored(node.key);
        std::vector<std::vector<score::Mentions>> parts;
        for (auto const& part : node.parts) parts.push_back(evaluate(part, target));
        auto const& gold = gold_of(target);
        if (node.kind == Predictions::Kind::best_by_gold) {
            return *std::ranges::max_element(parts, {},
                                             [&](auto const& part) { return score::count(gold, part).f1(); });
        }
        std::vector<score::Mentions> result;
        auto const types = catalogue_.at(run_.targets.at(target).dataset).type_names();
        for (std::size_t i = 0; i < gold.size(); ++i) {
            std::vector<score::Mentions> of_sentence;
            for (auto const& part : parts) of_sentence.push_back(part.at(i));
            if (node.kind == Predictions::Kind::vote) {
                result.push_back(score::majority_vote(of_sentence, types));
            } else {
                auto& all = result.emplace_back();
                for (auto const& mentions : of_sentence) all = score::union_of(all, mentions);
            }
        }
        return result;
    }

    plan::RunFile const& run_;
    store::Artifacts const& artifacts_;
    std::filesystem::path root_;
    corpus::Catalogue catalogue_;
    std::map<std::string, std::vector<score::Mentions>> gold_;
    std::map<std::string, std::vector<score::Mentions>> predictions_;
};

store::CellStatus status_of(Cell const& cell) {
    switch (cell.status) {
        case Cell::Status::done:
            return store::CellStatus::done;
        case Cell::Status::failed:
            return store::CellStatus::failed;
        case Cell::Status::pending:
            return store::CellStatus::pending;
    }
    throw Error{"a cell without a status"};
}

double f1_of(ScoredCell const& scored) {
    return scored.cell.status == Cell::Status::done ? scored.counts.f1() : std::numeric_limits<double>::quiet_NaN();
}

std::string name_of_experts(Json const& payload) {
    std::string name;
    for (auto const& part : payload.at("parts"))
        name += (name.empty() ? "" : "+") + part.at("expert").get<std::string>();
    return name;
}

/// Visits finished tasks of a kind, in the order of their keys.
template <class Visit>
void for_each_done(plan::Plan const& plan, Records const& records, std::string const& kind, Visit const& visit) {
    for (auto const& [key, task] : plan.tasks()) {
        auto const record = records.find(key);
        if (task.kind == kind && record != records.end() && record->second.at("kind") == "done")
            visit(task, record->second);
    }
}

store::Table cells_table(plan::Plan const& plan, std::vector<ScoredCell> const& cells, Records const& records) {
    std::vector<std::string> experiment, base, system, target, metric;
    std::vector<std::int64_t> seed, tp, fp, fn, sentences, unparsable, truncated, tokens_in, tokens_out;
    std::vector<double> f1, seconds;
    for (auto const& scored : cells) {
        experiment.push_back(scored.cell.experiment);
        base.push_back(plan.run().base);
        system.push_back(scored.cell.system);
        target.push_back(scored.cell.target);
        metric.emplace_back("entity");
        seed.push_back(scored.cell.seed);
        tp.push_back(scored.counts.true_positive);
        fp.push_back(scored.counts.false_positive);
        fn.push_back(scored.counts.false_negative);
        f1.push_back(f1_of(scored));
        sentences.push_back(scored.sentences);
        std::array<std::int64_t, 4> sums{};
        double time = 0;
        if (scored.cell.predictions) {
            for (auto const& key : scored.cell.predictions->keys()) {
                auto const record = records.find(key);
                if (record == records.end()) continue;
                auto const& result = record->second.at("result");
                constexpr std::array names{"unparsable", "truncated", "tokens_in", "tokens_out"};
                for (std::size_t i = 0; i < names.size(); ++i) sums[i] += result.value(names[i], std::int64_t{0});
                time += record->second.value("seconds", 0.0);
            }
        }
        unparsable.push_back(sums[0]);
        truncated.push_back(sums[1]);
        tokens_in.push_back(sums[2]);
        tokens_out.push_back(sums[3]);
        seconds.push_back(time);
    }
    return {"cells",
            {{"experiment", "", "experiment file", experiment},
             {"base", "", "base model", base},
             {"system", "", "row of the experiment", system},
             {"target", "", "target domain", target},
             {"metric", "", "how mentions are compared", metric},
             {"seed", "1", "seed of the repeat", seed},
             {"tp", "mentions", "true positives", tp},
             {"fp", "mentions", "false positives", fp},
             {"fn", "mentions", "false negatives", fn},
             {"f1", "1", "micro-F1, a fraction", f1},
             {"sentences", "sentences", "scored sentences", sentences},
             {"unparsable", "completions", "answers that could not be read", unparsable},
             {"truncated", "completions", "answers that ran into the token limit", truncated},
             {"tokens_in", "tokens", "prompt tokens of the passes used", tokens_in},
             {"tokens_out", "tokens", "generated tokens of the passes used", tokens_out},
             {"seconds", "s", "time of the passes used", seconds}}};
}

store::Table experts_table(plan::Plan const& plan, Records const& records) {
    std::vector<std::string> expert, key;
    std::vector<std::int64_t> seed, step, tokens;
    std::vector<double> loss, grad_norm, lr, seconds;
    for_each_done(plan, records, "train", [&](plan::Task const& task, Json const& record) {
        for (auto const& line : record.at("result").at("steps")) {
            expert.push_back(name_of_experts(task.payload));
            key.push_back(task.key);
            seed.push_back(task.payload.at("seed"));
            step.push_back(line.at("step"));
            tokens.push_back(line.at("tokens"));
            loss.push_back(line.at("loss"));
            grad_norm.push_back(line.at("grad_norm"));
            lr.push_back(line.at("lr"));
            seconds.push_back(line.at("seconds"));
        }
    });
    return {"experts",
            {{"expert", "", "experts whose data it was trained on", expert},
             {"key", "", "artifact", key},
             {"seed", "1", "seed of the repeat", seed},
             {"step", "1", "optimiser step, from 1", step},
             {"loss", "nats", "mean cross-entropy of the step's answer tokens", loss},
             {"grad_norm", "1", "gradient norm before clipping", grad_norm},
             {"lr", "1", "learning rate", lr},
             {"tokens", "tokens", "tokens of the step", tokens},
             {"seconds", "s", "time of the step", seconds}}};
}

store::Table selection_table(plan::Plan const& plan, Records const& records) {
    std::vector<std::string> dataset, metric, expert;
    std::vector<double> similarity, sampling, value;
    std::vector<std::int64_t> rank;
    for_each_done(plan, records, "select", [&](plan::Task const& task, Json const& record) {
        auto const& result = record.at("result");
        for (auto const& candidate : task.payload.at("experts")) {
            auto const name = candidate.at("name").get<std::string>();
            dataset.push_back(task.payload.at("target").at("dataset"));
            metric.push_back(task.payload.at("metric"));
            expert.push_back(name);
            similarity.push_back(result.at("similarity").at(name));
            sampling.push_back(result.at("sampling_f1").value(name, std::numeric_limits<double>::quiet_NaN()));
            value.push_back(result.at("metrics").at(name));
            std::int64_t place = 0;
            auto const& chosen = result.at("chosen");
            for (std::size_t i = 0; i < chosen.size(); ++i) {
                if (chosen[i] == name) place = static_cast<std::int64_t>(i) + 1;
            }
            rank.push_back(place);
        }
    });
    return {"selection",
            {{"dataset", "", "target data set", dataset},
             {"strategy", "", "similarity, sampling or fused", metric},
             {"expert", "", "candidate", expert},
             {"similarity", "1", "cosine of the domain embeddings", similarity},
             {"sampling_f1", "1", "micro-F1 against the pseudo-labels; NaN: not evaluated", sampling},
             {"metric", "1", "what the choice went by", value},
             {"chosen", "1", "rank among the chosen, from 1; 0: not chosen", rank}}};
}

store::Table cost_table(plan::Plan const& plan, Records const& records) {
    std::vector<std::string> key, kind;
    std::vector<double> seconds;
    std::vector<std::int64_t> rank;
    for (auto const& [hash, task] : plan.tasks()) {
        auto const record = records.find(hash);
        if (record == records.end()) continue;
        key.push_back(hash);
        kind.push_back(task.kind);
        seconds.push_back(record->second.value("seconds", 0.0));
        rank.push_back(record->second.value("rank", std::int64_t{0}));
    }
    return {"cost",
            {{"key", "", "task", key},
             {"kind", "", "kind of task", kind},
             {"seconds", "s", "time on its rank", seconds},
             {"rank", "1", "rank that did it", rank}}};
}

/// The value of an experiment's cell, averaged over seeds; NaN when one is missing.
double mean_f1(std::vector<ScoredCell> const& cells, std::string const& experiment, std::string const& system,
               std::string const& target) {
    double sum = 0;
    int count = 0;
    for (auto const& scored : cells) {
        if (scored.cell.experiment != experiment || scored.cell.system != system || scored.cell.target != target)
            continue;
        sum += f1_of(scored);
        ++count;
    }
    return count ? sum / count : std::numeric_limits<double>::quiet_NaN();
}

std::string percent(double value) {
    return std::isnan(value) ? "-" : fmt::format("{:.2f}", 100 * value);
}

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

/// A training curve as an inline picture: loss over steps, from 0 to the largest loss.
std::string curve(Json const& steps) {
    constexpr double width = 260, height = 80;
    double top = 0;
    for (auto const& step : steps) top = std::max(top, step.at("loss").get<double>());
    std::string points;
    for (std::size_t i = 0; i < steps.size(); ++i) {
        auto const x = steps.size() > 1 ? width * static_cast<double>(i) / static_cast<double>(steps.size() - 1) : 0.0;
        points +=
            fmt::format("{:.1f},{:.1f} ", x, top > 0 ? height * (1 - steps[i].at("loss").get<double>() / top) : height);
    }
    return fmt::format(
        R"(<svg viewBox="-2 -2 {} {}" width="{}" height="{}" role="img" aria-label="training loss"><polyline points="{}"/></svg>)",
        width + 4, height + 4, width + 4, height + 4, points);
}

}  // namespace

std::vector<ScoredCell> score_cells(plan::Plan const& plan, store::Artifacts const& artifacts) {
    Scorer scorer{plan.run(), artifacts};
    std::vector<ScoredCell> scored;
    for (auto const& cell : plan.cells()) scored.push_back(scorer.score(cell));
    return scored;
}

store::Results collect(plan::Plan const& plan, std::vector<ScoredCell> const& cells, Records const& records,
                       std::string const& frozen) {
    store::Results results;
    for (auto const& experiment : plan.experiments()) {
        store::Grid grid;
        grid.experiment = experiment.name;
        grid.targets = experiment.targets;
        for (auto const& row : experiment.rows) grid.systems.push_back(row.name);
        grid.seeds = plan.run().seeds;
        for (auto const& target : grid.targets) {
            for (auto const& system : grid.systems) {
                for (auto const seed : grid.seeds) {
                    auto const found = std::ranges::find_if(cells, [&](ScoredCell const& scored) {
                        return scored.cell.experiment == experiment.name && scored.cell.system == system &&
                               scored.cell.target == target && scored.cell.seed == seed;
                    });
                    grid.f1.push_back(f1_of(*found));
                    grid.status.push_back(status_of(found->cell));
                }
            }
        }
        results.grids.push_back(std::move(grid));
    }
    results.tables = {cells_table(plan, cells, records), experts_table(plan, records), selection_table(plan, records),
                      cost_table(plan, records)};
    results.provenance = {{"config", frozen}, {"program", "samner"}};
    return results;
}

std::string grids_as_text(plan::Plan const& plan, std::vector<ScoredCell> const& cells) {
    std::string text;
    for (auto const& experiment : plan.experiments()) {
        std::size_t width = 6;
        for (auto const& row : experiment.rows) width = std::max(width, row.name.size());
        text += fmt::format("{}: {} (entity micro-F1, percent)\n{:<{}}", experiment.name, experiment.title, "system",
                            width);
        for (auto const& target : experiment.targets) text += fmt::format("  {:>10}", target);
        text += experiment.average ? fmt::format("  {:>10}\n", "average") : "\n";
        for (auto const& row : experiment.rows) {
            text += fmt::format("{:<{}}", row.name, width);
            double sum = 0;
            for (auto const& target : experiment.targets) {
                auto const value = mean_f1(cells, experiment.name, row.name, target);
                sum += value;
                text += fmt::format("  {:>10}", percent(value));
            }
            text += experiment.average
                        ? fmt::format("  {:>10}\n", percent(sum / static_cast<double>(experiment.targets.size())))
                        : "\n";
        }
    }
    return text;
}

std::string report_html(plan::Plan const& plan, std::vector<ScoredCell> const& cells, Records const& records,
                        std::string const& frozen) {
    std::string page = R"(<!doctype html>
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
    page += fmt::format("<p>Base model <code>{}</code>, encoder <code>{}</code>.</p>\n", escaped(plan.run().base),
                        escaped(plan.run().encoder));
    for (auto const& experiment : plan.experiments()) {
        page += fmt::format(
            "<h2>{}: {}</h2>\n<p>Entity micro-F1 in percent; in small print tp / fp / fn, summed over seeds.</p>\n<div "
            "class=\"scroll\"><table><tr><th>system</th>",
            escaped(experiment.name), escaped(experiment.title));
        std::map<std::string, double> best;
        for (auto const& target : experiment.targets) {
            page += fmt::format("<th>{}</th>", escaped(target));
            for (auto const& row : experiment.rows) {
                auto const value = mean_f1(cells, experiment.name, row.name, target);
                if (!std::isnan(value)) best[target] = std::max(best[target], value);
            }
        }
        page += experiment.average ? "<th>average</th></tr>\n" : "</tr>\n";
        for (auto const& row : experiment.rows) {
            page += fmt::format("<tr><td>{}</td>", escaped(row.name));
            double sum = 0;
            for (auto const& target : experiment.targets) {
                auto const value = mean_f1(cells, experiment.name, row.name, target);
                score::Counts counts;
                for (auto const& scored : cells) {
                    if (scored.cell.experiment == experiment.name && scored.cell.system == row.name &&
                        scored.cell.target == target)
                        counts += scored.counts;
                }
                sum += value;
                page += fmt::format("<td{}>{}<br><small>{} / {} / {}</small></td>",
                                    value == best[target] && value > 0 ? " class=\"best\"" : "", percent(value),
                                    counts.true_positive, counts.false_positive, counts.false_negative);
            }
            page += experiment.average ? fmt::format("<td>{}</td></tr>\n",
                                                     percent(sum / static_cast<double>(experiment.targets.size())))
                                       : "</tr>\n";
        }
        page += "</table></div>\n";
    }
    page += "<h2>Selection</h2>\n";
    for_each_done(plan, records, "select", [&](plan::Task const& task, Json const& record) {
        auto const& result = record.at("result");
        page += fmt::format(
            "<h3>{} by {}</h3>\n<div class=\"scroll\"><table><tr><th>expert</th><th>similarity</th><th>sampling "
            "F1</th><th>chosen</th></tr>\n",
            escaped(task.payload.at("target").at("dataset").get<std::string>()),
            escaped(task.payload.at("metric").get<std::string>()));
        for (auto const& candidate : task.payload.at("experts")) {
            auto const name = candidate.at("name").get<std::string>();
            auto const similarity = result.at("similarity").at(name).get<double>();
            auto const& sampling = result.at("sampling_f1");
            std::string place;
            for (std::size_t i = 0; i < result.at("chosen").size(); ++i) {
                if (result.at("chosen")[i] == name) place = std::to_string(i + 1);
            }
            page += fmt::format(
                "<tr><td>{}</td><td><span class=\"bar\" style=\"width:{:.1f}rem\"></span> "
                "{:.3f}</td><td>{}</td><td>{}</td></tr>\n",
                escaped(name), 5 * std::max(similarity, 0.0), similarity,
                sampling.contains(name) ? percent(sampling.at(name).get<double>()) : "-", place);
        }
        page += "</table></div>\n";
    });
    page += "<h2>Training</h2>\n<div class=\"curves\">\n";
    for_each_done(plan, records, "train", [&](plan::Task const& task, Json const& record) {
        auto const& steps = record.at("result").at("steps");
        if (steps.empty()) return;
        page += fmt::format(
            "<figure>{}<figcaption>{}, seed {}: {} steps, loss {:.3f} to {:.3f}, {:.0f} s</figcaption></figure>\n",
            curve(steps), escaped(name_of_experts(task.payload)), task.payload.at("seed").get<std::int64_t>(),
            steps.size(), steps.front().at("loss").get<double>(), steps.back().at("loss").get<double>(),
            record.value("seconds", 0.0));
    });
    page +=
        "</div>\n<h2>Cost</h2>\n<div class=\"scroll\"><table><tr><th>kind of "
        "task</th><th>tasks</th><th>seconds</th></tr>\n";
    std::map<std::string, std::pair<int, double>> costs;
    for (auto const& [key, task] : plan.tasks()) {
        if (auto const record = records.find(key); record != records.end()) {
            ++costs[task.kind].first;
            costs[task.kind].second += record->second.value("seconds", 0.0);
        }
    }
    for (auto const& [kind, cost] : costs)
        page += fmt::format("<tr><td>{}</td><td>{}</td><td>{:.1f}</td></tr>\n", kind, cost.first, cost.second);
    page += fmt::format("</table></div>\n<h2>Configuration</h2>\n<pre>{}</pre>\n</body></html>\n", escaped(frozen));
    return page;
}

}  // namespace samner::task
