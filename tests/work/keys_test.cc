#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "samples.h"

namespace samner::work {
namespace {

Texts renamed(Texts texts) {
    std::get<DatasetSource>(texts.sources.front()).dataset = "another-name";
    return texts;
}

TEST(Keys, AreTheHashesOfASpelling) {
    EXPECT_THAT(key_of_task(a_training()), testing::MatchesRegex("[0-9a-f]{64}"));
    std::set<std::string> distinct;
    for (auto const& task : sample_tasks()) distinct.insert(key_of_task(task));
    EXPECT_EQ(distinct.size(), sample_tasks().size());
}

TEST(Keys, OfASampledPassChangeWithTheNameThatItsSampleIsDrawnUnder) {
    auto sampled = a_whole_pass();
    sampled.texts = sampled.texts.with(Sample{10, 0});
    auto other = sampled;
    other.texts = renamed(sampled.texts);
    EXPECT_NE(key_of_task(sampled), key_of_task(other));
    sampled.texts.views = {OneSentence{3}};
    other.texts = renamed(sampled.texts);
    EXPECT_NE(key_of_task(sampled), key_of_task(other));
}

TEST(Keys, OfAPassOverASplitDoNotChangeWithTheNameOfItsDataSet) {
    auto whole = a_whole_pass();
    auto other = whole;
    other.texts = renamed(whole.texts);
    EXPECT_EQ(key_of_task(whole), key_of_task(other));
    whole.texts.views.clear();
    other.texts.views.clear();
    EXPECT_EQ(key_of_task(whole), key_of_task(other));
}

TEST(Keys, OfAPassOverSeveralSplitsOrPartsOfThemNameTheirDataSet) {
    auto task = a_whole_pass();
    std::get<DatasetSource>(task.texts.sources.front()).splits.push_back({"dev", "bb"});
    auto other = task;
    other.texts = renamed(task.texts);
    EXPECT_NE(key_of_task(task), key_of_task(other));
    task = a_whole_pass();
    task.texts = task.texts.with(Shard{10, 0});
    other = task;
    other.texts = renamed(task.texts);
    EXPECT_NE(key_of_task(task), key_of_task(other));
}

TEST(Keys, HaveTheNumberOfSlotsInBf16AndNotOnAnFp32Cpu) {
    auto few = a_whole_pass();
    auto many = few;
    many.num_slots = 64;
    EXPECT_NE(key_of_task(few), key_of_task(many));
    few.arithmetic = many.arithmetic = {};
    EXPECT_EQ(key_of_task(few), key_of_task(many));
    few.arithmetic = many.arithmetic = {"cpu", Precision::bf16, "2.4.0", "AMX"};
    EXPECT_NE(key_of_task(few), key_of_task(many));
}

TEST(Keys, OfWhatComputesHaveItsArithmetic) {
    auto const with = [](auto task, Arithmetic const& arithmetic) {
        task.arithmetic = arithmetic;
        return key_of_task(task);
    };
    auto const expect_all_distinct = [&](auto const& task) {
        std::set<std::string> keys{with(task, {}), with(task, {"cuda", Precision::fp32, "2.4.0", "NVIDIA H200"}),
                                   with(task, {"cuda", Precision::bf16, "2.4.0", "NVIDIA H200"}),
                                   with(task, {"cuda", Precision::bf16, "2.5.0", "NVIDIA H200"}),
                                   with(task, {"cuda", Precision::bf16, "2.4.0", "NVIDIA A100"})};
        EXPECT_EQ(keys.size(), 5U) << kind_of(task);
        // The kind of processor does not matter to the project's own kernels.
        EXPECT_EQ(with(task, {}), with(task, {"cpu", Precision::fp32, "", "AMD EPYC"})) << kind_of(task);
    };
    expect_all_distinct(a_training());
    expect_all_distinct(a_clustering());
    expect_all_distinct(an_encoding(a_recipe()));
    expect_all_distinct(a_whole_pass());
}

TEST(Keys, OfAMergeHaveAnotherRevisionWhereItTakesOneRankForAllModulesAsPeftDoes) {
    using enum merge::Compatibility;
    auto const revision = [](merge::Compatibility peer, merge::Method method, std::int64_t rank = 0) {
        auto task = a_merge(method);
        task.recipe.settings.given.follow = peer;
        task.recipe.settings.given.rank = rank;
        return task.revision();
    };
    EXPECT_EQ(revision(peft, merge::Method::svd), 2);
    EXPECT_EQ(revision(peft_0_18, merge::Method::ties_svd), 2);
    EXPECT_EQ(revision(peft, merge::Method::svd, 8), 1);
    EXPECT_EQ(revision(peft, merge::Method::ties), 1);
    EXPECT_EQ(revision(samner, merge::Method::svd), 1);
}

TEST(Keys, OfAMergeAreThoseWithDefaultsWhereItsMethodDoesNotLook) {
    auto const key = [](merge::Settings const& settings, merge::Method method, std::uint64_t seed = 0) {
        auto task = a_merge(method);
        task.recipe.settings = merge::of_method(settings, method, seed);
        return key_of_task(task);
    };
    merge::Settings others;
    others.gamma = 0.5;
    others.epsilon = 0.01;
    others.rank = 3;
    EXPECT_EQ(key(others, merge::Method::ties), key({}, merge::Method::ties));
    EXPECT_EQ(key({}, merge::Method::ties, 1), key({}, merge::Method::ties, 2));
    EXPECT_NE(key({}, merge::Method::dare_ties, 1), key({}, merge::Method::dare_ties, 2));
    EXPECT_NE(key(others, merge::Method::ties_svd), key({}, merge::Method::ties_svd));
    merge::Settings density;
    density.density = 0.25;
    EXPECT_NE(key(density, merge::Method::ties), key({}, merge::Method::ties));
}

TEST(Keys, OfAPassThatMergesInDeltaSpaceHaveAllOfTheMerge) {
    auto const key = [](auto const& change) {
        auto task = a_delta_pass();
        change(*task.delta);
        return key_of_task(task);
    };
    auto const usual = key([](MergeRecipe&) {});
    EXPECT_EQ(key([](MergeRecipe& merge) { merge.names = {"x", "y"}; }), usual);
    EXPECT_EQ(key([](MergeRecipe& merge) { merge.settings.given.rank = 9; }), usual) << "of svd methods";
    std::set<std::string> keys{usual};
    keys.insert(key([](MergeRecipe& merge) { merge.adapters[0] = {key_like('a')}; }));
    keys.insert(key([](MergeRecipe& merge) { merge.weights[0] = 2; }));
    keys.insert(key([](MergeRecipe& merge) { merge.settings.method = merge::Method::dare_ties; }));
    keys.insert(key([](MergeRecipe& merge) { merge.settings.seed = 9; }));
    keys.insert(key([](MergeRecipe& merge) { merge.settings.given.density = 0.75; }));
    EXPECT_EQ(keys.size(), 6U);
}

TEST(Tasks, WaitForEveryInputOnceInTheOrderOfTheFields) {
    EXPECT_EQ(inputs_of(a_training()), std::vector{key_like('2')});
    EXPECT_EQ(inputs_of(a_sampled_pass()), (std::vector{key_like('3'), key_like('1')}));
    EXPECT_EQ(inputs_of(a_selection()),
              (std::vector{key_like('4'), key_like('5'), key_like('6'), key_like('7'), key_like('1')}));
    EXPECT_EQ(inputs_of(an_adaptive_selection()),
              (std::vector{key_like('4'), key_like('d'), key_like('a'), key_like('e'), key_like('6'), key_like('b'),
                           key_like('7'), key_like('1'), key_like('c')}));
    EXPECT_EQ(inputs_of(a_delta_pass()), (std::vector{key_like('8'), key_like('9')}));
    auto twice = a_merge(merge::Method::ties);
    twice.recipe.adapters = {{key_like('8')}, {key_like('8')}};
    EXPECT_EQ(inputs_of(twice), std::vector{key_like('8')});
}

TEST(Tasks, HaveLabelsWidthsAndSizes) {
    EXPECT_EQ(label_of(a_training()), "train stem[4]+news");
    EXPECT_EQ(label_of(a_selection()),
              "select for science+texts (cluster 3) (shard 2) (sentence of trial 4) (sample of 5) by fused");
    EXPECT_THAT(label_of(an_adaptive_selection()), testing::EndsWith("by similarity_types, as many as the mean says"));
    EXPECT_EQ(label_of(an_encoding(some_types())), "encode types of science");
    EXPECT_EQ(label_of(a_whole_pass()), "infer stem on science, answer 3");
    EXPECT_EQ(label_of(a_merge(merge::Method::ties)), "merge stem+news");
    EXPECT_EQ(label_of(an_encoding(a_recipe())), "encode stem[4]+news");
    EXPECT_EQ(label_of(a_clustering()), "cluster stem[4]+news");
    EXPECT_EQ(width_of(a_training()), 4);  // twelve sequences a step, three at a time
    EXPECT_EQ(width_of(a_merge(merge::Method::ties)), 30);
    EXPECT_EQ(width_of(a_whole_pass()), 1);
    EXPECT_EQ(size_of(a_training()), 7 * 12);  // steps of twelve
    EXPECT_EQ(size_of(a_selection()), 2);
    EXPECT_EQ(size_of(a_merge(merge::Method::ties)), 2);
    EXPECT_EQ(size_of(a_whole_pass()), 5);
}

TEST(Tasks, OfOneSampleAreABatchWhateverTheirAdapterWhereCompanyDoesNotMatter) {
    auto task = a_sampled_pass();
    EXPECT_EQ(batch_of(task), "");  // the bits depend on the company
    task.arithmetic = {};
    auto other = task;
    other.adapter = Input{key_like('a')};
    other.model = "news";
    EXPECT_NE(batch_of(task), "");
    EXPECT_EQ(batch_of(task), batch_of(other));
    other.texts.views.back() = Sample{5, 7};
    EXPECT_NE(batch_of(task), batch_of(other));
    auto whole = a_whole_pass();
    whole.arithmetic = {};
    EXPECT_EQ(batch_of(whole), "");
    EXPECT_EQ(batch_of(a_training()), "");
}

}  // namespace
}  // namespace samner::work
