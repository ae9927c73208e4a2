#include "task/merge_adapters.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "core/error.h"
#include "golden.h"
#include "merge/model.h"
#include "mpi_test.h"
#include "temporary_folder.h"

namespace samner::task {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

AdapterMerge request(std::vector<std::string> const& names, std::string_view method) {
    AdapterMerge result;
    for (auto const& name : names) result.adapters.push_back(golden("merging/adapters/" + name));
    result.options.method = merge::parse_method(method);
    return result;
}

class EveryMethod : public testing::TestWithParam<std::string> {};

TEST_P(EveryMethod, GivesTheSameBitsAndReportOnAnyNumberOfRanks) {
    auto const one = request({"e0", "e1", "e2"}, GetParam());
    auto const alone = merge_adapters(one);
    auto const together = merge_adapters(one, &mpi_session().teams());
    EXPECT_EQ(together.adapter, alone.adapter);
    EXPECT_EQ(together.provenance, alone.provenance);
    EXPECT_EQ(together.report, alone.report);
}

INSTANTIATE_TEST_SUITE_P(MergeAdapters, EveryMethod,
                         testing::Values("linear", "ties", "dare_ties", "breadcrumbs", "della", "karcher", "cat",
                                         "ties_svd", "model_stock_svd"),
                         [](auto const& each) { return each.param; });

TEST(MergeAdapters, GivesEachRankItsShareOfTheBytes) {
    auto const& teams = mpi_session().teams();
    auto const one = request({"e0", "e1", "e2"}, "ties");
    auto const merged = merge_adapters(one, &teams);
    auto const total = merge_adapters(one).bytes;
    std::uint64_t largest = 0;
    for (auto const& module : merged.adapter.modules)
        largest = std::max<std::uint64_t>(largest, 3 * sizeof(float) * (module.a.size() + module.b.size()));
    auto const limit = std::max(1.2 * static_cast<double>(total) / teams.size(), static_cast<double>(largest));
    EXPECT_LE(static_cast<double>(merged.bytes), limit);
    std::vector<std::int64_t> sum{static_cast<std::int64_t>(merged.bytes)};
    teams.sum(sum);
    EXPECT_EQ(static_cast<std::uint64_t>(sum[0]), total);
}

TEST(MergeAdapters, WeighsModulesByTheirRules) {
    auto by_module = request({"e0", "e1"}, "linear");
    auto const rules = [](double q, double rest) {
        return std::vector<merge::WeightRule>{{.pattern = "q_proj", .weight = q}, {.weight = rest}};
    };
    by_module.rules = {rules(1, 1), rules(0, 1)};
    auto const merged = merge_adapters(by_module, &mpi_session().teams());
    auto equal = request({"e0", "e1"}, "linear");
    auto const plain = merge_adapters(equal);
    equal.weights = {1, 0};
    auto const first_only = merge_adapters(equal);
    for (std::size_t i = 0; i < merged.adapter.modules.size(); ++i) {
        auto const& expected = merged.adapter.modules[i].name.ends_with("q_proj") ? first_only : plain;
        EXPECT_EQ(merged.adapter.modules[i], expected.adapter.modules[i]);
    }
    EXPECT_THAT(merged.provenance.at("samner.input.0"), HasSubstr("in q_proj"));
}

TEST(MergeAdapters, SaysOnEveryRankWhatFailedOnOne) {
    auto one = request({"e0", "e1"}, "ties");
    if (mpi_session().rank() == mpi_session().size() - 1) one.adapters[1] = "no/such/adapter";
    EXPECT_THAT([&] { merge_adapters(one, &mpi_session().teams()); },
                ThrowsMessage<Error>(HasSubstr("no/such/adapter")));
}

TEST(MergeAdapters, RefusesWeightsThatDoNotFitTheAdapters) {
    auto one = request({"e0", "e1"}, "ties");
    one.weights = {1};
    EXPECT_THAT([&] { merge_adapters(one); }, ThrowsMessage<InputError>(HasSubstr("1 weights for 2 adapters")));
    one.weights = {1, 1};
    one.rules = {{{}}, {{}}};
    EXPECT_THAT([&] { merge_adapters(one); }, ThrowsMessage<InputError>(HasSubstr("contradict")));
}

}  // namespace
}  // namespace samner::task
