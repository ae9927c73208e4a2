#include "task/mergekit.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/file.h"
#include "core/json.h"
#include "temporary_folder.h"

namespace samner::task {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// @param layers  of the base model; 0: there is no base model
MergekitConfig config_of(std::string const& text, int layers = 0) {
    TemporaryFolder const folder;
    write_atomically(folder / "c.yml", text);
    write_atomically(folder / "config.json", Json{{"num_hidden_layers", layers}}.dump());
    return read_mergekit(folder / "c.yml", layers > 0 ? folder.path() : std::filesystem::path{});
}

std::string error_of(std::string const& text) {
    try {
        config_of(text);
    } catch (InputError const& error) {
        return std::string{error.what()} + " — " + error.remedy();
    }
    return "no error";
}

std::string const two = "models: [{model: a}, {model: b}]\n";

TEST(Mergekit, ConfigurationsOfTheirReadmeAreReadWithTheirDefaults) {
    auto const config = config_of(R"(
models:
  - model: base
  - model: a
    parameters: {density: 0.5, weight: 0.7}
  - model: base+b
    parameters:
      density: 0.5
      weight: [{filter: q_proj, value: 0.2}, {filter: layers.3., value: 2}, {value: 0.3}]
merge_method: ties
base_model: base
parameters: {normalize: false, lambda: 0.9}
dtype: bfloat16
)");
    EXPECT_EQ(config.options.method, merge::Method::ties);
    EXPECT_EQ(config.options.density, 0.5);
    EXPECT_EQ(config.options.lambda, 0.9);
    EXPECT_EQ(config.options.normalize, merge::Normalize::none);
    EXPECT_TRUE(config.options.elect_weighted);
    EXPECT_THAT(config.adapters, ElementsAre("a", "b"));
    EXPECT_EQ(config.base_model, "base");
    EXPECT_EQ(config.dtype, "BF16");
    std::vector<std::string> const modules{"model.layers.3.mlp.up_proj", "model.layers.3.self_attn.q_proj",
                                           "model.layers.30.mlp.up_proj"};
    EXPECT_THAT(module_values(config.rules[0], modules, "weight"), ElementsAre(0.7, 0.7, 0.7));
    EXPECT_THAT(module_values(config.rules[1], modules, "weight"), ElementsAre(2.0, 0.2, 0.3));

    auto const plain = config_of(two + "merge_method: dare_ties\nparameters: {weight: 0.4, rescale: false}");
    EXPECT_EQ(plain.options.density, 1.0);
    EXPECT_EQ(plain.options.rescale, merge::Rescale::none);
    EXPECT_EQ(plain.options.normalize, merge::Normalize::none);
    EXPECT_EQ(plain.rules[1].front().value, 0.4);
    EXPECT_EQ(config_of(two + "merge_method: linear").options.normalize, merge::Normalize::weights);
}

TEST(Mergekit, SlerpGoesFromItsBaseToTheOtherModel) {
    auto const forward = config_of(two + "merge_method: slerp\nbase_model: a\nparameters: {t: 0.25}");
    EXPECT_EQ(forward.rules[0].front().value, 0.75);
    EXPECT_EQ(forward.rules[1].front().value, 0.25);
    EXPECT_EQ(forward.base_model, "");
    auto const backward = config_of(two + "merge_method: slerp\nbase_model: b\nparameters: {t: 0.25}");
    EXPECT_EQ(backward.rules[0].front().value, 0.25);
}

TEST(Mergekit, GradientsRunFromTheFirstLayerToTheLast) {
    // Worked out by hand after mergekit's rule: layer l of n is at l / (n - 1), other modules are at 0.
    auto const config = config_of(two + "merge_method: ties\nparameters: {weight: [0, 1, 4], density: [0.2, 1]}", 5);
    std::vector<std::string> const modules{"layers.0.q", "layers.1.q", "layers.2.q",
                                           "layers.3.q", "layers.4.q", "head"};
    EXPECT_THAT(module_values(config.rules[0], modules, "weight"), ElementsAre(0.0, 0.5, 1.0, 2.5, 4.0, 0.0));
    EXPECT_THAT(module_values(config.densities[1], modules, "density"),
                ElementsAre(0.2, 0.75 * 0.2 + 0.25, 0.5 * 0.2 + 0.5, 0.25 * 0.2 + 0.75, 1.0, 0.2));
    EXPECT_EQ(config.options.density, 1.0);
    auto const one = config_of(two + "merge_method: ties\nparameters: {weight: [0.5, 2]}", 1);
    EXPECT_THAT(module_values(one.rules[0], std::vector<std::string>{"layers.0.q", "head"}, "weight"),
                ElementsAre(2.0, 0.5));
    EXPECT_THROW(module_values(one.rules[0], std::vector<std::string>{"layers.1.q"}, "weight"), InputError);
}

TEST(Mergekit, WhatAModelLeavesOpenTheSliceAndTheFileSay) {
    auto const config = config_of(R"(
merge_method: ties
base_model: base
parameters: {density: 0.2, weight: 3, normalize: true}
slices:
  - parameters: {density: [{filter: mlp, value: 0.4}], normalize: false}
    sources:
      - {model: a, layer_range: [0, 2], parameters: {density: [{filter: q_proj.weight, value: 0.6}]}}
      - {model: base, layer_range: [0, 2]}
      - {model: b, layer_range: [0, 2], parameters: {density: [{filter: up, value: 0.8}, {value: 0.9}]}}
)",
                                  2);
    std::vector<std::string> const modules{"layers.0.q_proj", "layers.0.mlp.up", "layers.1.mlp.down",
                                           "layers.1.o_proj"};
    EXPECT_THAT(config.adapters, ElementsAre("a", "b"));
    EXPECT_THAT(module_values(config.densities[0], modules, "density"), ElementsAre(0.6, 0.4, 0.4, 0.2));
    EXPECT_THAT(module_values(config.densities[1], modules, "density"), ElementsAre(0.9, 0.8, 0.9, 0.9));
    EXPECT_EQ(config.rules[0].front().value, 3.0);
    EXPECT_EQ(config.options.normalize, merge::Normalize::none);
}

TEST(Mergekit, OneDensityForAllStaysAnOption) {
    for (auto const* models : {"[{model: a, parameters: {density: 0.3}}, {model: b, parameters: {density: [0.3]}}]",
                               "[{model: a, parameters: {density: [{value: 0.3}]}}, {model: b}]"}) {
        auto const config = config_of(std::string{"merge_method: ties\nparameters: {density: 0.3}\nmodels: "} + models);
        EXPECT_EQ(config.options.density, 0.3);
        EXPECT_TRUE(config.densities.empty());
    }
}

TEST(Mergekit, WhatOnlyMergekitKnowsIsRefusedByName) {
    auto const ties = two + "merge_method: ties\n";
    for (auto const& [text, expected] : std::vector<std::pair<std::string, std::string>>{
             {two + "merge_method: sce", "merge_method is 'sce'"},
             {two + "merge_method: magnitude_prune", "merge_method is 'magnitude_prune'"},
             {"merge_method: ties\nslices: []", "'slices'"},
             {"merge_method: ties\nslices: [{sources: [{model: a, layer_range: [0, 1]}]}]",
              "needs the number of layers"},
             {ties + "slices: []", "both 'models' and 'slices'"},
             {ties + "tokenizer_source: union", "'tokenizer_source'"},
             {ties + "parameters: {int8_mask: true}", "'int8_mask'"},
             {ties + "parameters: {density: [0.1, 0.9]}", "gradient of 'density' needs the number of layers"},
             {ties + "parameters: {weight: [{filter: q, value: [0, 1]}]}", "with --base"},
             {ties + "parameters: {weight: []}", "no numbers"},
             {ties + "parameters: {weight: [1, {value: 1}]}", "'weight' is no number"},
             {ties + "parameters: {weight: [{filter: q}]}", "value"},
             {ties + "parameters: {weight: .inf}", "'weight' is no number"},
             {ties + "parameters: {density: [{filter: 'm*p', value: 0.5}]}", "the filter 'm*p'"},
             {ties + "parameters: {lambda: [0, 1]}", "gradient of 'lambda'"},
             {two + "merge_method: breadcrumbs\nparameters: {gamma: [0, 0.1]}", "gradient of 'gamma'"},
             {ties + "parameters: {densty: 0.1}", "did you mean"},
             {ties + "parameters: {density: 0}", "density"},
             {ties + "parameters: {t: 0.5}", "'t' with merge_method ties"},
             {ties + "dtype: float8", "dtype is 'float8'"},
             {ties + "mode: x", "unknown key mode"},
             {"merge_method: ties", "'models' is no list"},
             {"merge_method: ties\nmodels: [{model: other+a}]\nbase_model: base", "'other+a'"},
             {"merge_method: ties\nmodels: [{model: base, parameters: {weight: 1}}]\nbase_model: base",
              "has parameters"},
             {"merge_method: breadcrumbs\nmodels: [{model: a, parameters: {gamma: 0.1}}, {model: b}]",
              "differs by model"},
             {"merge_method: ties\nmodels: [{model: a, parameters: {density: 1.5}}, {model: b}]", "density is 1.5"},
             {"merge_method: della\nmodels: [{model: a, parameters: {density: 0.9}}, {model: b}]", "epsilon is 0.15"},
             {two + "merge_method: linear\nparameters: {normalize: false}", "task_arithmetic"},
             {two + "merge_method: slerp", "slerp of 2 models at t = -1"}})
        EXPECT_THAT(error_of(text), HasSubstr(expected)) << text;
    for (auto const* range : {"[0, 2]", "[1, 3]"})
        EXPECT_THAT(
            [&] {
                config_of(
                    fmt::format("merge_method: ties\nslices: [{{sources: [{{model: a, layer_range: {}}}]}}]", range),
                    3);
            },
            testing::ThrowsMessage<InputError>(HasSubstr("'slices' of some of the layers")));
}

}  // namespace
}  // namespace samner::task
