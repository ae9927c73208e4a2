#include "app/simulate.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <map>
#include <numeric>
#include <unordered_map>

#include "app/run_folder.h"
#include "app/run_progress.h"
#include "core/error.h"
#include "core/file.h"
#include "core/json.h"
#include "core/random.h"
#include "sched/coordinate.h"
#include "sched/simulate.h"

namespace samner::app {
namespace {

namespace fs = std::filesystem;

/// Messages and the durable record of a result, as measured on one machine (docs/scaling.md).
constexpr double between_jobs = 0.003;
constexpr std::size_t num_bins = 10;

/// Experts as a selection might choose them.
work::Selection imagined(std::string const& key, work::Select const& task) {
    RandomStream const random{0, "simulated selection " + key};
    work::Selection selection;
    auto const order = random.permutation(task.experts.size());
    auto const size = static_cast<double>(order.size());
    for (std::size_t place = 0; place < order.size(); ++place) {
        auto const& name = task.experts[order[place]].name;
        selection.metrics[name] = selection.similarity[name] = 1 - static_cast<double>(place) / size;
        if (work::by_sampling(task.metric)) selection.sampling_f1[name] = selection.metrics[name];
        auto const many = task.rule ? (order.size() + 1) / 2 : static_cast<std::size_t>(task.m);
        if (place < many) selection.chosen.push_back(name);
    }
    return selection;
}

/// The tasks of a plan, and what becomes of them.
class SimulatedPlan : public sched::JobSource, public sched::Recorder {
public:
    SimulatedPlan(plan::Plan& plan, work::Rates const& rates, SimulationOptions const& options)
        : plan_{plan}, rates_{rates}, ranks_a_node_{(options.ranks + options.nodes - 1) / options.nodes} {
        plan_.take_new();
        for (auto const& [key, task] : plan_.tasks())
            if (!plan_.is_done(key) && !plan_.is_lost(key)) fresh_.push_back(key);
    }

    std::vector<sched::Job> take_new() override {
        for (auto& key : plan_.take_new()) fresh_.push_back(std::move(key));
        std::vector<sched::Job> jobs;
        for (auto const& key : std::exchange(fresh_, {})) {
            auto job = job_of(plan_, key, rates_);
            chain_up_to(job);
            rank_seconds += job.seconds;
            job.task.clear();
            jobs.push_back(std::move(job));
        }
        return jobs;
    }
    void finished(sched::JobResult const& result) override {
        auto const* const select = std::get_if<work::Select>(&plan_.task(result.key).task);
        // Only what was selected matters to the plan.
        plan_.finished(result.key,
                       select ? work::Result{imagined(result.key, *select)} : work::Result{work::Encoded{}});
    }
    void failed(sched::JobResult const&) override {}
    bool claim(sched::Job const&) override { return true; }
    Elsewhere look_elsewhere() override { return {}; }

    void started(sched::Job const& job, std::vector<int> const& team) override {
        auto const& [task, after] = plan_.task(job.key);
        for (auto const rank : team) {
            for (auto const& before : after) {
                auto& nodes = nodes_with_[before];
                auto const node = rank / ranks_a_node_;
                if (std::ranges::find(nodes, node) != nodes.end()) continue;
                nodes.push_back(node);
                bytes_read += rates_.of(plan_.task(before).task).bytes;
            }
        }
        nodes_with_[job.key].push_back(team.front() / ranks_a_node_);
        bytes_written += rates_.of(task).bytes;
    }
    void ended(sched::Job const&, sched::JobResult const&) override {}
    void sync() override {}

    /// The chain of tasks that takes longest where each is shared by as many ranks as can share it.
    struct Chain {
        double seconds = 0;
        std::vector<std::string> labels = {};
    };
    Chain longest_chain() const {
        Chain chain;
        auto link = std::ranges::max_element(links_, {}, [](auto const& entry) { return entry.second.end; });
        if (link != links_.end()) chain.seconds = link->second.end;
        for (; link != links_.end(); link = links_.find(link->second.before))
            chain.labels.push_back(link->second.label);
        std::ranges::reverse(chain.labels);
        return chain;
    }

    double rank_seconds = 0;
    double bytes_read = 0;
    double bytes_written = 0;

private:
    struct Link {
        double end;          ///< at best
        std::string before;  ///< that it waits for longest; empty: none
        std::string label;
    };
    void chain_up_to(sched::Job const& job) {
        Link link{0, {}, job.label};
        for (auto const& before : job.after)
            if (auto const found = links_.find(before); found != links_.end() && found->second.end > link.end)
                link = {found->second.end, before, job.label};
        link.end += sched::seconds_on(job, static_cast<std::size_t>(std::max(job.width, 1)));
        links_[job.key] = std::move(link);
    }

    plan::Plan& plan_;
    work::Rates const& rates_;
    int ranks_a_node_;
    std::vector<std::string> fresh_;
    std::unordered_map<std::string, Link> links_;
    std::unordered_map<std::string, std::vector<int>> nodes_with_;  ///< who has a task's artifact in memory
};

double bytes_of_model(fs::path const& base) {
    if (base.empty()) return 0;
    if (fs::is_regular_file(base)) return static_cast<double>(fs::file_size(base));
    double bytes = 0;
    for (auto const& entry : fs::directory_iterator{base})
        if (entry.is_regular_file() && entry.path().extension() == ".safetensors")
            bytes += static_cast<double>(entry.file_size());
    return bytes;
}

/// The share of the ranks that work in each tenth of the time.
std::array<double, num_bins> time_line(sched::SimulatedRanks const& ranks) {
    std::array<double, num_bins> bins{};
    auto const width = ranks.now() / num_bins;
    if (width <= 0) return bins;
    for (auto const& work : ranks.work()) {
        auto const first = std::min(static_cast<std::size_t>(work.begin / width), num_bins - 1);
        auto const last = std::min(static_cast<std::size_t>(work.end / width), num_bins - 1);
        for (auto bin = first; bin <= last; ++bin) {
            auto const begin = std::max(work.begin, static_cast<double>(bin) * width);
            auto const end = std::min(work.end, static_cast<double>(bin + 1) * width);
            bins[bin] += std::max(0.0, end - begin) * work.ranks / (width * ranks.workers());
        }
    }
    return bins;
}

}  // namespace

std::string simulate(plan::Plan plan, work::Rates const& rates, SimulationOptions const& options) {
    if (options.nodes < 1 || options.ranks < options.nodes)
        throw InputError{fmt::format("{} ranks on {} nodes (command line)", options.ranks, options.nodes),
                         "give each node at least one rank"};
    SimulatedPlan simulated{plan, rates, options};
    sched::SimulatedRanks ranks{options.ranks, between_jobs};
    auto const start = std::chrono::steady_clock::now();
    auto const outcome = sched::coordinate(simulated, simulated, ranks);
    std::chrono::duration<double> const took = std::chrono::steady_clock::now() - start;
    auto const seconds = ranks.now();
    auto const possible = seconds * options.ranks;
    auto const efficiency = possible > 0 ? simulated.rank_seconds / possible : 1;
    auto const read = simulated.bytes_read + bytes_of_model(options.base) * options.nodes;
    auto const bins = time_line(ranks);
    auto const chain = simulated.longest_chain();
    int widest = 0;
    for (auto const& work : ranks.work()) widest = std::max(widest, work.ranks);
    std::string guessed;
    for (auto const& [key, planned] : plan.tasks()) {
        auto const kind = std::string{work::kind_of(planned.task)};
        if (!rates.measured(kind) && guessed.find(kind) == std::string::npos)
            guessed += (guessed.empty() ? "" : ", ") + kind;
    }
    if (options.json) {
        return to_text(Json{{"ranks", options.ranks},
                            {"nodes", options.nodes},
                            {"tasks", outcome.done},
                            {"seconds", seconds},
                            {"rank_seconds", simulated.rank_seconds},
                            {"efficiency", efficiency},
                            {"critical_path", chain.seconds},
                            {"chain", chain.labels},
                            {"largest_team", widest},
                            {"bytes_read", read},
                            {"bytes_written", simulated.bytes_written},
                            {"busy", bins},
                            {"guessed", guessed},
                            {"assignments", std::ssize(ranks.work())},
                            {"simulated_in", took.count()}},
                       1) +
               "\n";
    }
    std::string text = fmt::format(
        "{} tasks on {} ranks of {} node{}: {} (work for {} of one rank; no number of ranks takes less than {})\n",
        outcome.done, options.ranks, options.nodes, options.nodes == 1 ? "" : "s", duration_text(seconds),
        duration_text(simulated.rank_seconds), duration_text(chain.seconds));
    text += fmt::format("longest chain: {}\n", fmt::join(chain.labels, ", "));
    text += fmt::format("efficiency {:.0f} %, largest team {}; read {}, written {}\n", 100 * efficiency, widest,
                        size_text(read), size_text(simulated.bytes_written));
    text += "ranks at work, tenth by tenth of the time: ";
    for (std::size_t bin = 0; bin < bins.size(); ++bin)
        text += fmt::format("{}{:.0f}", bin == 0 ? "" : " ", 100 * bins[bin]);
    text += " %\n";
    if (!guessed.empty())
        text += fmt::format(
            "guessed, not measured: what tasks of these kinds cost: {}; --profile RUN/rates.json has "
            "what a run measured\n",
            guessed);
    return text;
}

}  // namespace samner::app
