#include "merge/mergekit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/file.h"
#include "temporary_folder.h"

namespace samner::merge {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

MergekitConfig config_of(std::string const& text) {
    TemporaryFolder const folder;
    write_atomically(folder / "c.yml", text);
    return read_mergekit(folder / "c.yml");
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
    EXPECT_EQ(config.options.method, Method::ties);
    EXPECT_EQ(config.options.density, 0.5);
    EXPECT_EQ(config.options.lambda, 0.9);
    EXPECT_EQ(config.options.normalize, Normalize::none);
    EXPECT_TRUE(config.options.elect_weighted);
    EXPECT_THAT(config.adapters, ElementsAre("a", "b"));
    EXPECT_EQ(config.base_model, "base");
    EXPECT_EQ(config.dtype, "BF16");
    std::vector<std::string> const modules{"model.layers.3.mlp.up_proj", "model.layers.3.self_attn.q_proj",
                                           "model.layers.30.mlp.up_proj"};
    EXPECT_THAT(module_weights(config.rules[0], modules), ElementsAre(0.7, 0.7, 0.7));
    EXPECT_THAT(module_weights(config.rules[1], modules), ElementsAre(2.0, 0.2, 0.3));

    auto const plain = config_of(two + "merge_method: dare_ties\nparameters: {weight: 0.4, rescale: false}");
    EXPECT_EQ(plain.options.density, 1.0);
    EXPECT_EQ(plain.options.rescale, Rescale::none);
    EXPECT_EQ(plain.options.normalize, Normalize::none);
    EXPECT_EQ(plain.rules[1].front().weight, 0.4);
    EXPECT_EQ(config_of(two + "merge_method: linear").options.normalize, Normalize::weights);
}

TEST(Mergekit, SlerpGoesFromItsBaseToTheOtherModel) {
    auto const forward = config_of(two + "merge_method: slerp\nbase_model: a\nparameters: {t: 0.25}");
    EXPECT_EQ(forward.rules[0].front().weight, 0.75);
    EXPECT_EQ(forward.rules[1].front().weight, 0.25);
    EXPECT_EQ(forward.base_model, "");
    auto const backward = config_of(two + "merge_method: slerp\nbase_model: b\nparameters: {t: 0.25}");
    EXPECT_EQ(backward.rules[0].front().weight, 0.25);
}

TEST(Mergekit, WhatOnlyMergekitKnowsIsRefusedByName) {
    auto const ties = two + "merge_method: ties\n";
    for (auto const& [text, expected] : std::vector<std::pair<std::string, std::string>>{
             {two + "merge_method: sce", "merge_method is 'sce'"},
             {two + "merge_method: magnitude_prune", "merge_method is 'magnitude_prune'"},
             {"merge_method: ties\nslices: []", "'slices'"},
             {ties + "tokenizer_source: union", "'tokenizer_source'"},
             {ties + "parameters: {int8_mask: true}", "'int8_mask'"},
             {ties + "parameters: {density: [0.1, 0.9]}", "gradient of 'density'"},
             {ties + "parameters: {weight: [0.1, 0.9]}", "gradient of 'weight'"},
             {ties + "parameters: {weight: [{filter: q, value: [0, 1]}]}", "gradient of 'weight'"},
             {ties + "parameters: {densty: 0.1}", "did you mean"},
             {ties + "parameters: {density: 0}", "density"},
             {ties + "parameters: {t: 0.5}", "'t' with merge_method ties"},
             {ties + "dtype: float8", "dtype is 'float8'"},
             {ties + "mode: x", "unknown key mode"},
             {"merge_method: ties", "'models' is no list"},
             {"merge_method: ties\nmodels: [{model: other+a}]\nbase_model: base", "'other+a'"},
             {"merge_method: ties\nmodels: [{model: base, parameters: {weight: 1}}]\nbase_model: base",
              "has parameters"},
             {"merge_method: ties\nmodels: [{model: a, parameters: {density: 0.5}}, {model: b}]", "differs by model"},
             {"merge_method: ties\nmodels: [{model: a, parameters: {density: 0.5}}, {model: b, parameters: {density: "
              "0.6}}]",
              "differs by model"},
             {two + "merge_method: linear\nparameters: {normalize: false}", "task_arithmetic"},
             {two + "merge_method: slerp", "slerp of 2 models at t = -1"}})
        EXPECT_THAT(error_of(text), HasSubstr(expected)) << text;
}

}  // namespace
}  // namespace samner::merge
