#include "sched/simulate.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/error.h"

namespace samner::sched {

double seconds_on(Job const& job, std::size_t ranks) {
    auto const width = static_cast<std::size_t>(std::max(job.width, 1));
    auto const rounds = (width + ranks - 1) / ranks;
    return job.seconds * static_cast<double>(rounds) / static_cast<double>(width);
}

SimulatedRanks::SimulatedRanks(int workers, double between) : workers_{workers}, between_{between} {
    if (workers < 1) throw InputError{fmt::format("{} ranks can do nothing", workers), "simulate at least one"};
}

void SimulatedRanks::send(Assignment const& work) {
    auto const ranks = work.team.size();
    auto const begin = now_ + between_;
    auto end = begin;
    for (auto const& job : work.jobs) {
        end += seconds_on(job, ranks);
        JobResult result;
        result.key = job.key;
        result.ok = true;
        result.rank = work.team.front();
        ends_.push({end, sent_++, std::move(result)});
    }
    busy_ += (end - begin) * static_cast<double>(ranks);
    work_.push_back({begin, end, static_cast<int>(ranks), static_cast<int>(work.jobs.size())});
}

std::optional<JobResult> SimulatedRanks::receive(std::chrono::milliseconds wait) {
    // Without waiting only what has ended by now.
    if (ends_.empty() || (wait.count() == 0 && ends_.top().when > now_)) return std::nullopt;
    now_ = std::max(now_, ends_.top().when);
    auto result = ends_.top().result;
    ends_.pop();
    return result;
}

void SimulatedRanks::stop(int) {
    while (!ends_.empty()) ends_.pop();
    throw Error{"the simulation was stopped"};
}

}  // namespace samner::sched
