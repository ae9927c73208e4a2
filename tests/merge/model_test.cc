#include "merge/model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "core/error.h"
#include "core/random.h"
#include "core/yaml.h"
#include "merge/held_modules.h"
#include "merge/module_rules.h"

namespace samner::merge {
namespace {

/// Adapters of rank 4 on two linears in each of some layers; the last expert lacks one of them.
class Adapters {
public:
    explicit Adapters(int layers) {
        static constexpr std::string_view identities[] = {"f3", "0a", "77"};
        for (int layer = 0; layer < layers; ++layer)
            for (auto const& [name, out, in] :
                 {std::tuple{"self_attn.q_proj", 24, 24}, std::tuple{"mlp.up_proj", 64, 24}}) {
                auto const module = "model.layers." + std::to_string(layer) + "." + name;
                HeldModule entry{module, {}};
                for (int expert = 0; expert < 3; ++expert) {
                    Factors one{.weight = 1.5 - 0.5 * expert, .identity = identities[expert]};
                    if (expert < 2 || out == 24) {
                        one.a = values(4 * in);
                        one.b = values(4 * out);
                        one.rank = 4;
                        one.scaling = 2.0;
                    }
                    entry.experts.push_back(one);
                }
                modules.push_back(entry);
            }
    }

    std::vector<HeldModule> modules;

private:
    std::span<float const> values(int size) {
        RandomStream const stream{9, "model " + std::to_string(memory_.size())};
        std::vector<float> all(static_cast<std::size_t>(size));
        for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<float>(stream.normal(i));
        return *memory_.emplace_back(std::make_unique<std::vector<float>>(std::move(all)));
    }

    std::vector<std::unique_ptr<std::vector<float>>> memory_;
};

TEST(ModelMerge, TheUnionOfTheShardsIsTheWholeOnAnyNumberOfRanks) {
    Adapters const adapters{5};
    for (auto const& options :
         {MergeOptions{}, follow(Compatibility::ties_original, {}),
          MergeOptions{.method = Method::dare_ties, .seed = 4}, MergeOptions{.method = Method::karcher_svd}}) {
        std::vector<MergedFactors> whole(adapters.modules.size());
        auto const merge = model_merge(options, Space::factor, adapters.modules);
        for (std::size_t i = 0; i < whole.size(); ++i) merge.factors(i, whole[i]);
        for (int ranks = 1; ranks <= 4; ++ranks) {
            std::set<std::size_t> merged;
            for (int rank = 0; rank < ranks; ++rank) {
                auto const own = model_merge(options, Space::factor, adapters.modules);
                auto const shards = own.shards(ranks);
                for (auto const i : shards[static_cast<std::size_t>(rank)]) {
                    MergedFactors out;
                    own.factors(i, out);
                    EXPECT_EQ(out.a, whole[i].a);
                    EXPECT_EQ(out.b, whole[i].b);
                    EXPECT_TRUE(merged.insert(i).second) << "merged twice";
                }
            }
            EXPECT_EQ(merged.size(), whole.size());
        }
    }
}

struct Linear {
    std::size_t out;
    std::size_t in;
};

std::vector<HeldModule> model_of(int layers, std::vector<Linear> const& linears, std::vector<float> const& memory) {
    std::vector<HeldModule> modules;
    for (int layer = 0; layer < layers; ++layer)
        for (std::size_t i = 0; i < linears.size(); ++i) {
            std::span const all{memory};
            Factors const one{all.first(32 * linears[i].in), all.first(32 * linears[i].out), 32, 2.0, 1.0, "x"};
            modules.push_back({std::to_string(layer) + "." + std::to_string(i), {one, one, one}});
        }
    return modules;
}

TEST(AssignShards, GiveNoRankMoreThanAFifthAboveItsShareOrTheLargestModule) {
    std::vector<float> const memory(std::size_t{32} * 18944);
    std::vector<Linear> const qwen{{3584, 3584},  {512, 3584},   {512, 3584},  {3584, 3584},
                                   {18944, 3584}, {18944, 3584}, {3584, 18944}};
    std::vector<Linear> const smollm{{576, 576},  {192, 576},  {192, 576}, {576, 576},
                                     {1536, 576}, {1536, 576}, {576, 1536}};
    for (auto const& held : {model_of(28, qwen, memory), model_of(30, smollm, memory), model_of(2, smollm, memory)}) {
        auto const merge = model_merge({}, Space::factor, held);
        std::uint64_t total = 0;
        std::uint64_t largest = 0;
        for (auto const& module : merge.modules()) {
            total += module.bytes();
            largest = std::max(largest, module.bytes());
        }
        for (int ranks = 1; ranks <= 4; ++ranks)
            for (auto const& shard : merge.shards(ranks)) {
                std::uint64_t own = 0;
                for (auto const i : shard) own += merge.modules()[i].bytes();
                EXPECT_LE(static_cast<double>(own),
                          std::max(1.2 * static_cast<double>(total) / ranks, static_cast<double>(largest)));
            }
    }
}

TEST(AssignShards, DoNotDependOnTheOrderOfTheModules) {
    Adapters const adapters{4};
    auto reversed = adapters.modules;
    std::reverse(reversed.begin(), reversed.end());
    auto names = [](std::vector<HeldModule> const& modules) {
        std::vector<std::set<std::string>> all;
        for (auto const& shard : model_merge({}, Space::factor, modules).shards(3)) {
            auto& own = all.emplace_back();
            for (auto const i : shard) own.insert(modules[i].name);
        }
        return all;
    };
    EXPECT_EQ(names(adapters.modules), names(reversed));
    EXPECT_THROW(assign_shards({}, 0), InputError);
    EXPECT_EQ(assign_shards(std::vector<Share>{{"one", 1}}, 3)[2].size(), 0U);
}

TEST(ModelMerge, RefusesModulesOfDifferentExperts) {
    Adapters adapters{1};
    adapters.modules[1].experts[0].identity = "other";
    EXPECT_THROW(model_merge({}, Space::factor, adapters.modules), InputError);
    EXPECT_THROW(model_merge({}, Space::factor, {}), InputError);
}

TEST(MergeReport, GivesWhatIsCountedByHand) {
    // Updates [[3, 0]], [[0, 4]] and none; A and B are merged by ties at density 0.5.
    std::vector<float> const a0{3, 0, 1, 0};
    std::vector<float> const a1{-2, 5, 0.5F, 0};
    std::vector<float> const one{1, 1};
    std::vector<HeldModule> const modules{
        {"m", {{a0, one, 1, 1.0, 1.0, "p"}, {a1, one, 1, 2.0, 1.0, "q"}, {.identity = "r"}}}};
    auto const merge = model_merge({.method = Method::ties, .density = 0.5}, Space::factor, modules);
    MergedFactors out;
    ModuleReport report;
    merge.factors(0, out, &report);
    // A: 3 0 1 0 and -2 5 0 0: one conflict, result 3, 5, 1, 0. B keeps its first elements: 1 0 and 1 0.
    EXPECT_EQ(report.counts.elements, 6U);
    EXPECT_EQ(report.counts.conflicts, 1U);
    EXPECT_EQ(report.counts.zeros, 2U);
    EXPECT_THAT(report.counts.kept, testing::ElementsAre(3U, 3U, 0U));
    // <D0, D0> = 2 * 10, <D1, D1> = 4 * 2 * 29.25, <D0, D1> = 2 * 2 * (-6 + 0.5)
    EXPECT_DOUBLE_EQ(report.updates.at(0, 0), 20.0);
    EXPECT_DOUBLE_EQ(report.updates.at(1, 1), 234.0);
    EXPECT_DOUBLE_EQ(report.updates.at(0, 1), -22.0);

    std::vector<std::string> const names{"p", "q", "r"};
    auto const json = to_json(names, std::vector{report});
    auto const& total = json.at("total");
    EXPECT_DOUBLE_EQ(total.at("cosine")[0][1].get<double>(), -22.0 / std::sqrt(20.0 * 234.0));
    EXPECT_TRUE(total.at("cosine")[0][2].is_null()) << "no direction";
    EXPECT_DOUBLE_EQ(total.at("norm")[0].get<double>(), std::sqrt(20.0));
    EXPECT_DOUBLE_EQ(total.at("sparsity").get<double>(), 2.0 / 6.0);
    EXPECT_DOUBLE_EQ(total.at("sign_conflict_rate").get<double>(), 1.0 / 6.0);
    EXPECT_EQ(json.at("modules")[0].at("module"), "m");
    EXPECT_EQ(json.at("modules")[0].at("kept")[2].get<double>(), 0.0);
    EXPECT_THROW(to_json(std::vector<std::string>{"p"}, std::vector{report}), InputError);
}

TEST(MergeReport, OfTheMergedNormIsThatOfTheUpdate) {
    Adapters const adapters{2};
    for (auto const method : {Method::ties, Method::cat, Method::karcher_svd}) {
        auto const merge = model_merge({.method = method}, Space::factor, adapters.modules);
        MergedFactors out;
        ModuleReport report;
        merge.factors(0, out, &report);
        std::vector<float> product(24 * 24);
        expand({.a = out.a, .b = out.b, .rank = out.rank, .scaling = out.scaling}, product);
        double square = 0.0;
        for (auto const value : product) square += double{value} * value;
        EXPECT_NEAR(report.merged_norm, std::sqrt(square), 1e-5 * std::sqrt(square)) << to_string(method);
        EXPECT_EQ(report.counts.elements > 0, method == Method::ties);
    }
    auto const merge = model_merge({.method = Method::model_stock}, Space::delta, adapters.modules);
    std::vector<float> out(24 * 24);
    ModuleReport report;
    merge.delta(0, out, &report);
    EXPECT_GT(report.merged_norm, 0.0);
    EXPECT_EQ(report.counts.elements, 24U * 24U);
}

std::vector<std::string> const names{"model.layers.0.self_attn.q_proj", "model.layers.1.self_attn.q_proj",
                                     "model.layers.1.mlp.up_proj", "lm_head"};

TEST(ModuleRules, TheFirstThatMatchesWins) {
    std::vector<ModuleRule> const rules{{"q_proj", LayerRange{1, 1}, 0.5}, {"self_attn.*", {}, 2.0}, {"*", {}, 1.0}};
    EXPECT_THAT(module_values(rules, names, "weight"), testing::ElementsAre(2.0, 0.5, 1.0, 1.0));
    EXPECT_EQ(layer_of("model.layers.12.mlp.up_proj"), 12);
    EXPECT_EQ(layer_of("lm_head"), std::nullopt);
    EXPECT_FALSE(matches({"proj", {}, 1.0}, names[0])) << "a part of a name is not a name";
    EXPECT_TRUE(matches({"model.*.q_*", {}, 1.0}, names[0]));
}

TEST(ModuleRules, AModuleWithoutARuleAndARuleWithoutAModuleAreErrors) {
    auto message = [](std::vector<ModuleRule> const& rules) {
        try {
            module_values(rules, names, "weight");
        } catch (InputError const& error) {
            return std::string{error.what()};
        }
        return std::string{};
    };
    EXPECT_THAT(message({{"q_proj", {}, 1.0}}), testing::HasSubstr("model.layers.1.mlp.up_proj"));
    EXPECT_THAT(message({{"qproj", {}, 1.0}, {"*", {}, 1.0}}), testing::HasSubstr("'qproj'"));
    EXPECT_THAT(message({{"q_proj", LayerRange{7, 9}, 1.0}, {"*", {}, 1.0}}), testing::HasSubstr("layers 7-9"));
}

TEST(ModuleRules, AreReadFromANumberOrAList) {
    auto const parse = [](std::string const& text) { return parse_weight_rules(parse_yaml(text, "w.yaml"), "w.yaml"); };
    EXPECT_EQ(parse("1.5").front().value, 1.5);
    auto const rules = parse("[{pattern: q_proj, layers: 0-11, weight: 0.5}, {layers: 3, weight: 2}, {weight: -1}]");
    ASSERT_EQ(rules.size(), 3U);
    EXPECT_EQ(rules[0].layers->last, 11);
    EXPECT_EQ(rules[1].layers->first, 3);
    EXPECT_EQ(rules[1].pattern, "*");
    EXPECT_EQ(rules[2].value, -1.0);
    for (auto const* bad : {"{}", "[]", "[{pattern: q}]", "[{weight: 1, layer: 3}]", "[{weight: 1, layers: 5-2}]",
                            "[{weight: 1, layers: a}]", ".nan", "x"})
        EXPECT_THROW(parse(bad), InputError) << bad;
}

TEST(MergeFactors, EachModuleMayHaveItsOwnRankAlphaAndExperts) {
    // What rank_pattern, alpha_pattern and rslora come to: ranks and scalings that differ by module and expert.
    Adapters const adapters{1};
    auto modules = adapters.modules;
    auto& first = modules[0].experts;
    first[1].a = first[1].a.first(2 * 24);
    first[1].b = first[1].b.first(2 * 24);
    first[1].rank = 2;
    first[1].scaling = 16.0 / std::sqrt(2.0);
    for (auto const method : {Method::cat, Method::svd, Method::ties_svd, Method::karcher_svd}) {
        auto const merge =
            model_merge({.method = method, .rank = method == Method::cat ? 0 : 24}, Space::factor, modules);
        std::vector<float> delta(24 * 24);
        merge_delta({.method = operator_of(method)}, modules[0].name, first, delta);
        MergedFactors out;
        merge.factors(0, out);
        std::vector<float> product(24 * 24);
        expand({.a = out.a, .b = out.b, .rank = out.rank, .scaling = out.scaling}, product);
        for (std::size_t i = 0; i < delta.size(); ++i)
            ASSERT_NEAR(product[i], delta[i], 2e-4) << to_string(method);  // values up to 100
    }
    MergedFactors out;
    auto const ties = model_merge({}, Space::factor, modules);
    EXPECT_THROW(ties.factors(0, out), InputError) << "mixed ranks in one module";
    EXPECT_NO_THROW(ties.factors(1, out)) << "a module that one expert lacks";
}

}  // namespace
}  // namespace samner::merge
