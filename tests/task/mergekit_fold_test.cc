#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <set>

#include "core/error.h"
#include "core/file.h"
#include "core/json.h"
#include "task/merge_adapters.h"
#include "task/mergekit.h"
#include "temporary_folder.h"
#include "weights/safetensors.h"

namespace samner::task {
namespace {

using testing::HasSubstr;

std::filesystem::path const data = std::filesystem::path{SAMNER_TEST_DATA} / "merging/mergekit";
constexpr std::size_t rank = 2;  // of the adapters, with alpha 4
constexpr double scaling = 2.0;

AdapterMerge merge_of(std::string const& text) {
    TemporaryFolder const folder;
    write_atomically(folder / "c.yml", text);
    auto config = read_mergekit(folder / "c.yml", data / "base");
    AdapterMerge result;
    result.rules = std::move(config.rules);
    result.densities = std::move(config.densities);
    result.options = config.options;
    for (auto const& name : config.adapters) result.adapters.push_back(data / name);
    return result;
}

/// The largest element of |s| |B| |A| for any adapter: what the rounding errors of an update are in proportion to.
double largest_update(std::vector<weights::SafetensorsFile> const& adapters, std::string const& module) {
    double largest = 0.0;
    for (auto const& file : adapters) {
        auto const name = [&](char factor) {
            return fmt::format("base_model.model.{}.lora_{}.weight", module, factor);
        };
        if (!file.find(name('A'))) continue;
        auto const a = file.floats(name('A'));
        auto const b = file.floats(name('B'));
        auto const columns = a.size() / rank;
        for (std::size_t row = 0; row < b.size() / rank; ++row)
            for (std::size_t column = 0; column < columns; ++column) {
                double sum = 0.0;
                for (std::size_t k = 0; k < rank; ++k)
                    sum += std::fabs(double{b[row * rank + k]} * a[k * columns + column]);
                largest = std::max(largest, scaling * sum);
            }
    }
    return largest;
}

/// Each module's sum of |weight|. @param expected  names modules as <case>/<module>.weight
std::map<std::string, double> sums_of_weights(AdapterMerge const& merge, weights::SafetensorsFile const& expected) {
    std::set<std::string> found;
    for (auto const& tensor : expected.tensors()) {
        auto const begin = tensor.name.find('/') + 1;
        found.insert(tensor.name.substr(begin, tensor.name.rfind('.') - begin));
    }
    std::vector<std::string> const modules{found.begin(), found.end()};
    std::map<std::string, double> sums;
    for (auto const& rules : merge.rules) {
        auto const values = merge::module_values(rules, modules, "weight");
        for (std::size_t i = 0; i < modules.size(); ++i) sums[modules[i]] += std::fabs(values[i]);
    }
    return sums;
}

double largest_of(std::vector<float> const& values) {
    double largest = 0.0;
    for (auto const value : values) largest = std::max(largest, std::fabs(double{value}));
    return largest;
}

TEST(MergekitFold, GivesTheWeightsThatMergekitGivesForGradientsFiltersAndDensitiesByModel) {
    weights::SafetensorsFile const base{data / "base/model.safetensors"};
    weights::SafetensorsFile const expected{data / "expected.safetensors"};
    std::vector<weights::SafetensorsFile> adapters;
    for (auto const* name : {"e0", "e1", "e2"}) adapters.emplace_back(data / name / "adapter_model.safetensors");
    auto const cases = read_json(data / "cases.json");
    ASSERT_EQ(cases.size(), 7U);
    std::size_t compared = 0;
    for (auto const& one : cases) {
        auto const merge = merge_of(one.at("config").dump());
        TemporaryFolder const folder;
        fold_adapters(merge, data / "base", folder / "out");
        weights::SafetensorsFile const actual{folder / "out/model.safetensors"};
        auto const weights = sums_of_weights(merge, expected);
        auto const prefix = one.at("name").get<std::string>() + "/";
        for (auto const& tensor : expected.tensors()) {
            if (!tensor.name.starts_with(prefix)) continue;
            auto const name = tensor.name.substr(prefix.size());
            SCOPED_TRACE(tensor.name);
            auto const module = name.substr(0, name.rfind('.'));
            auto const weight = weights.at(module);
            // Roundings on both sides: products of rank terms and their scaling (here), storing and taking the
            // difference of each model (there), weighted sums of three and their division, the sum with the base.
            constexpr double roundings = (rank + 1) + 2 + 2 * (3 + 3) + 2;
            double const bound = roundings * std::ldexp(1.0, -24) * std::max(1.0, weight) *
                                 (largest_of(base.floats(name)) + largest_update(adapters, module));
            auto const there = expected.floats(tensor.name);
            auto const here = actual.floats(name);
            ASSERT_EQ(here.size(), there.size());
            for (std::size_t i = 0; i < here.size(); ++i) ASSERT_NEAR(here[i], there[i], bound) << i;
            ++compared;
        }
    }
    EXPECT_EQ(compared, 7U * 9U);
}

TEST(MergekitFold, SaysInItsProvenanceWhichDensityWasWhere) {
    auto const merge = merge_of(R"(
merge_method: ties
models:
  - {model: e0, parameters: {density: [0.9, 0.3]}}
  - {model: e1, parameters: {density: [{filter: mlp, value: 0.5}]}}
)");
    auto const provenance = merge_adapters(merge).provenance;
    EXPECT_FALSE(provenance.contains("samner.density"));
    auto const inputs = provenance.at("samner.input.0") + provenance.at("samner.input.1");
    EXPECT_THAT(inputs, HasSubstr(" weight 1 in * density 0.9 to 0.3 over 4 layers in *"));
    EXPECT_THAT(inputs, HasSubstr(" weight 1 in * density 0.5 in *mlp*, 1 in *"));
}

TEST(MergekitFold, RefusesDensitiesOfModulesWhereTheyCannotBe) {
    auto merge = merge_of("{merge_method: ties, models: [{model: e0, parameters: {density: 0.5}}, {model: e1}]}");
    merge.options = merge::follow(merge::Compatibility::ties_original, {});
    EXPECT_THAT([&] { merge_adapters(merge); },
                testing::ThrowsMessage<InputError>(HasSubstr("trimming over the whole model")));
    merge.options = {};
    merge.densities[1] = {{.value = 1.5}};
    EXPECT_THAT([&] { merge_adapters(merge); }, testing::ThrowsMessage<InputError>(HasSubstr("density is 1.5")));
    merge.densities.pop_back();
    EXPECT_THAT([&] { merge_adapters(merge); },
                testing::ThrowsMessage<InputError>(HasSubstr("1 lists of densities for 2 adapters")));
}

}  // namespace
}  // namespace samner::task
