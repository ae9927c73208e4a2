#include "merge/golden.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/fields.h"
#include "merge/adapter.h"
#include "merge/whole.h"

namespace samner::merge {
namespace {

std::filesystem::path const folder = std::filesystem::path{SAMNER_TEST_DATA} / "golden/merging";
constexpr double factor_tolerance = 1e-6;  // of golden/merging/README.md: float32 against float64
constexpr double svd_tolerance = 5e-6;

struct Adapter {
    GoldenTensors tensors;
    std::int64_t rank;
    double scaling;
};

Adapter read_adapter(std::string const& name) {
    auto const config = read_json(folder / "adapters" / name / "adapter_config.json");
    auto const rank = config.at("r").get<std::int64_t>();
    return {read_golden(folder / "adapters" / name / "adapter_model.safetensors"), rank,
            config.at("lora_alpha").get<double>() / static_cast<double>(rank)};
}

std::string tensor_name(std::string const& module, char factor) {
    return "base_model.model." + module + ".lora_" + factor + ".weight";
}

/// One case of the lists: its experts and options. The experts' names order them as the lists do.
struct Case {
    Json json;
    std::vector<std::string> names;
    std::vector<Adapter> adapters;
    std::vector<double> weights;
    MergeOptions options;

    explicit Case(Json const& entry) : json(entry) {
        names = entry.at("adapters").get<std::vector<std::string>>();
        for (auto const& name : names) adapters.push_back(read_adapter(name));
        weights = entry.at("weights").get<std::vector<double>>();
        options.method = parse_method(entry.at("method").get<std::string>());
        if (!entry.at("density").is_null()) options.density = entry.at("density").get<double>();
        if (!entry.at("sign").is_null())
            options.sign = value_named<Sign>(entry.at("sign").get<std::string>(), "sign", "test");
    }

    std::vector<Factors> factors(std::string const& module) const {
        std::vector<Factors> all;
        for (std::size_t i = 0; i < adapters.size(); ++i)
            all.push_back({adapters[i].tensors.at(tensor_name(module, 'A')).values,
                           adapters[i].tensors.at(tensor_name(module, 'B')).values, adapters[i].rank,
                           adapters[i].scaling, weights[i], names[i]});
        return all;
    }

    std::string name() const { return json.at("name").get<std::string>(); }
};

void expect_near(std::vector<float> const& actual, std::vector<float> const& expected, double tolerance) {
    ASSERT_EQ(actual.size(), expected.size());
    double worst = 0.0;
    for (std::size_t i = 0; i < actual.size(); ++i)
        worst = std::max(worst, std::fabs(double{actual[i]} - double{expected[i]}));
    EXPECT_LE(worst, tolerance);
}

std::vector<float> product(std::vector<float> const& a, std::vector<float> const& b, std::int64_t rank,
                           double scaling) {
    std::vector<float> out(a.size() / static_cast<std::size_t>(rank) * (b.size() / static_cast<std::size_t>(rank)));
    expand({a, b, rank, scaling, 1.0, "x"}, out);
    return out;
}

TEST(MergeGolden, PeftAgreesInFactorsAndTruncatedProducts) {
    auto const cases = read_json(folder / "peft.cases.json");
    auto const expected = read_golden(folder / "peft.expected.safetensors");
    auto const modules = read_json(folder / "modules.json");
    ASSERT_EQ(cases.size(), 116U);
    for (auto const& entry : cases) {
        Case const one{entry};
        for (auto const& [module, shape] : modules.items()) {
            SCOPED_TRACE(one.name() + " " + module);
            MergedFactors merged;
            merge_factors(one.options, module, one.factors(module), merged);
            EXPECT_EQ(merged.rank, entry.at("rank").get<std::int64_t>());
            auto const prefix = one.name() + "/";
            if (entry.at("expected") == "delta") {
                expect_near(product(merged.a, merged.b, merged.rank, merged.scaling),
                            expected.at(prefix + "base_model.model." + module + ".delta").values, svd_tolerance);
                continue;
            }
            auto const& a = expected.at(prefix + tensor_name(module, 'A')).values;
            auto const& b = expected.at(prefix + tensor_name(module, 'B')).values;
            if (one.adapters.size() == 1) {  // peft multiplies both factors by sqrt(s) where we hand the adapter back
                EXPECT_EQ(merged.scaling, one.adapters.front().scaling);
                EXPECT_EQ(merged.a, one.adapters.front().tensors.at(tensor_name(module, 'A')).values);
                EXPECT_EQ(merged.b, one.adapters.front().tensors.at(tensor_name(module, 'B')).values);
                expect_near(product(merged.a, merged.b, merged.rank, merged.scaling), product(a, b, merged.rank, 1.0),
                            factor_tolerance);
                continue;
            }
            EXPECT_EQ(merged.alpha(), entry.at("alpha").get<double>());
            expect_near(merged.a, a, factor_tolerance);
            expect_near(merged.b, b, factor_tolerance);
        }
    }
}

TEST(MergeGolden, DeltaSpaceAgreesWithAFloat64Oracle) {
    auto const cases = read_json(folder / "delta.cases.json");
    auto const expected = read_golden(folder / "delta.expected.safetensors");
    auto const modules = read_json(folder / "modules.json");
    ASSERT_EQ(cases.size(), 36U);
    for (auto const& entry : cases) {
        Case const one{entry};
        for (auto const& [module, shape] : modules.items()) {
            SCOPED_TRACE(one.name() + " " + module);
            auto const& delta = expected.at(one.name() + "/" + module).values;
            std::vector<float> out(delta.size());
            merge_delta(one.options, module, one.factors(module), out);
            expect_near(out, delta, factor_tolerance);
        }
    }
}

TEST(MergeGolden, MergekitAgreesOnWholeModels) {
    auto const root = folder / "mergekit";
    auto read_model = [&](std::string const& name) { return read_golden(root / name / "model.safetensors"); };
    std::map<std::string, GoldenTensors> models;
    for (auto const* name : {"base", "m1", "m2", "m3"}) models[name] = read_model(name);
    auto const cases = read_json(root / "cases.json");
    ASSERT_EQ(cases.size(), 8U);
    for (auto const& entry : cases) {
        auto const name = entry.at("name").get<std::string>();
        auto const& config = entry.at("config");
        auto const& parameters = config.at("parameters");
        auto const method = config.at("merge_method").get<std::string>();
        for (auto const& [tensor, expected] : read_golden(root / (name + ".expected.safetensors"))) {
            SCOPED_TRACE(name + " " + tensor);
            std::vector<float> out(expected.values.size());
            if (method == "slerp") {
                slerp(models["m1"].at(tensor).values, models["m2"].at(tensor).values, parameters.at("t").get<double>(),
                      out);
            } else {
                WholeOptions options{.method = parse_whole_method(method)};
                options.normalize = parameters.value("normalize", options.method != WholeMethod::task_arithmetic);
                options.lambda = parameters.value("lambda", 1.0);
                std::vector<Contribution> contributions;
                std::vector<std::string> identities;
                for (auto const& model : config.at("models")) identities.push_back(model.at("model"));
                for (std::size_t i = 0; i < identities.size(); ++i) {
                    auto const& own = config.at("models")[i].at("parameters");
                    contributions.push_back({models[identities[i]].at(tensor).values,
                                             static_cast<float>(own.at("weight").get<double>()),
                                             own.value("density", 1.0), identities[i]});
                }
                merge_whole(options, tensor, models["base"].at(tensor).values, contributions, out);
            }
            expect_near(out, expected.values, factor_tolerance);
        }
    }
}

}  // namespace
}  // namespace samner::merge
