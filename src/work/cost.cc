#include "work/cost.h"

#include <fmt/format.h>

#include <array>
#include <numeric>
#include <utility>

#include "core/error.h"
#include "core/fields.h"
#include "core/file.h"
#include "core/json_member.h"

namespace samner::work {
namespace {

/// Tokens that a result tells of.
double tokens_of(Result const& result) {
    if (auto const* const trained = std::get_if<Trained>(&result)) {
        return std::accumulate(trained->steps.begin(), trained->steps.end(), 0.0,
                               [](double sum, auto const& step) { return sum + static_cast<double>(step.tokens); });
    }
    if (auto const* const pass = std::get_if<Pass>(&result))
        return static_cast<double>(pass->tokens_in + pass->tokens_out);
    return 0;
}

// The guesses: 300 tokens/s of training, sequences and prompts of 80 tokens, adapters of rank 32. One line a kind of
// task.
constexpr int version = 1;  ///< of files

constexpr auto guesses = std::to_array<std::pair<std::string_view, Rate>>({{Train::kind, {0.27, 80, 4e7}},
                                                                           {Cluster::kind, {0.01, 0, 1e5}},
                                                                           {Encode::kind, {0.01, 0, 1e6}},
                                                                           {Infer::kind, {0.5, 120, 5e4}},
                                                                           {Select::kind, {0.02, 0, 1e3}},
                                                                           {Merge::kind, {0.3, 0, 4e7}},
                                                                           {Import::kind, {0.5, 0, 4e7}}});
static_assert(guesses.size() == std::variant_size_v<Task>, "each kind of task has a guess");

}  // namespace

Rates::Rates() {
    for (auto const& [kind, rate] : guesses) rates_.emplace(kind, Entry{rate});
}

void Rates::measure(std::map<std::string, TaskRecord> const& records,
                    std::function<Task const*(std::string const& key)> const& task_of) {
    struct Sum {
        double seconds = 0, tokens = 0, bytes = 0, size = 0;
        int sized = 0;  // those whose bytes are known
    };
    std::map<std::string, Sum> sums;
    for (auto const& [key, record] : records) {
        auto const* const task = task_of(key);
        if (!record.ok || !record.result || !task) continue;
        auto& sum = sums[record.kind];
        sum.seconds += record.rank_seconds();
        sum.tokens += tokens_of(*record.result);
        sum.bytes += static_cast<double>(record.bytes);
        sum.sized += record.bytes > 0;
        sum.size += static_cast<double>(size_of(*task));
    }
    for (auto const& [kind, sum] : sums) {
        if (sum.size <= 0) continue;
        auto const bytes = sum.sized > 0 ? sum.bytes / sum.sized : of(kind).artifact_bytes;
        rates_[kind] = {{sum.seconds / sum.size, sum.tokens / sum.size, bytes}, true};
    }
}

void Rates::read(std::filesystem::path const& file) {
    auto const json = parse_json(read_text(file), file.string());
    auto const place = file.string();
    if (!json.is_object() || json.value("version", Json{}) != version)
        throw InputError{fmt::format("'{}' is no file of rates that this program reads", place),
                         "name RUN/rates.json of a run"};
    for (auto const& [kind, rate] : member<Json::object_t>(json, "kinds", place)) {
        auto const known = rates_.find(kind);
        if (known == rates_.end()) {
            std::vector<std::string> kinds;
            for (auto const& [name, entry] : rates_) kinds.push_back(name);
            refuse_name(kind, kinds, "a kind of task", place);
        }
        known->second = {from_wire<Rate>(rate, kind, place), true};
        auto const& [seconds, tokens, bytes] = known->second.rate;
        if (!(seconds >= 0 && tokens >= 0 && bytes >= 0))
            throw InputError{fmt::format("the rates of {} are below 0 ({})", kind, place), "measure them anew"};
    }
}

Json Rates::to_json() const {
    Json json{{"version", version}, {"kinds", Json::object()}};
    for (auto const& [kind, entry] : rates_)
        if (entry.measured) json["kinds"][kind] = to_wire(entry.rate);
    return json;
}

Rate Rates::of(std::string_view kind) const {
    auto const found = rates_.find(kind);
    if (found == rates_.end()) throw Error{fmt::format("no rate for tasks of kind '{}'", kind)};
    return found->second.rate;
}

bool Rates::measured(std::string_view kind) const {
    auto const found = rates_.find(kind);
    return found != rates_.end() && found->second.measured;
}

Cost Rates::of(Task const& task) const {
    auto const rate = of(kind_of(task));
    auto const size = static_cast<double>(size_of(task));
    Cost cost{rate.seconds * size, rate.tokens * size, rate.artifact_bytes};
    if (auto const* const infer = std::get_if<Infer>(&task); infer && infer->delta)  // it merges before it decodes
        cost.seconds += of(Merge::kind).seconds * static_cast<double>(infer->delta->adapters.size());
    return cost;
}

}  // namespace samner::work
