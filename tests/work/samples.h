#pragma once

#include <string>
#include <vector>

#include "work/result.h"
#include "work/task.h"

namespace samner::work {

inline std::string key_like(char digit) {
    return std::string(64, digit);
}

inline Arithmetic on_a_device() {
    return {"cuda", Precision::bf16, "2.4.0", "NVIDIA H200"};
}

inline Texts some_texts() {
    return {{DatasetSource{"science", {{"test", "aa"}}}, FileSource{"texts.jsonl", "bb", {{"river"}, {"lake", "standing water"}}, "gold.jsonl"}},
            {First{40}, OfCluster{{key_like('1')}, 2}, Shard{9, 1}, OneSentence{4}, Sample{5, 6}}};
}

inline Recipe a_recipe() {
    return {{{"stem", {{"wlpc", {{"train", "cc"}, {"dev", "dd"}}}}, 0, {10, 20}, OfCluster{{key_like('2')}, 3}},
             {"news", {{"gmb", {{"all", "ee"}}}}, 7}},
            0.25,
            8};
}

inline train::Options training_options() {
    train::Options options;
    options.r = 4;
    options.lora_alpha = 5;
    options.use_rslora = true;
    options.lora_dropout = 0.5;
    options.rank_pattern = {{"q_proj", 2}};
    options.alpha_pattern = {{"q_proj", 3}};
    options.target_modules = {{"q_proj", "v_proj"}};
    options.learning_rate = 0.25;
    options.lr_scheduler_type = train::Schedule::linear;
    options.warmup_ratio = 0.125;
    options.weight_decay = 0.0625;
    options.max_grad_norm = 2;
    options.num_train_epochs = 6;
    options.max_steps = 7;
    options.batch_size = 12;
    options.micro_batch_size = 3;
    options.max_length = 99;
    options.keep_cut_answers = true;
    options.dtype = Precision::bf16;
    options.shuffle = false;
    options.seed = 11;
    options.checkpoint_every = 13;
    return options;
}

inline merge::Settings merge_settings() {
    merge::Settings settings;
    settings.space = merge::Space::delta;
    settings.density = 0.25;
    settings.sign = merge::Sign::frequency;
    settings.follow = merge::Compatibility::mergekit;
    settings.trim_over = merge::TrimOver::model;
    settings.rescale = merge::Rescale::l1;
    settings.normalize = merge::Normalize::none;
    settings.lambda = 2;
    settings.gamma = 0.125;
    settings.epsilon = 0.0625;
    settings.rank = 3;
    return settings;
}

inline Train a_training() {
    prompt::Rates rates;
    rates.source = 0.5;
    rates.formats = {{prompt::Format::json, 2}};
    return {
        "base",        a_recipe(), training_options(), {{prompt::Layout::short_, prompt::Format::enumeration}, rates},
        on_a_device(), 14};
}

inline Cluster a_clustering() {
    return {"encoder", a_recipe(), {}, 5, 6, on_a_device(), 7};
}

/// Of a target's texts in place of samples.
inline Cluster a_splitting() {
    auto task = a_clustering();
    task.target = some_texts();
    return task;
}

inline Encode an_encoding(decltype(Encode::of) of) {
    return {"encoder", std::move(of), on_a_device(), 7};
}

inline Import an_import() {
    return {"ab", "some/folder", "zoo"};
}

inline Infer a_sampled_pass() {
    Infer task;
    task.base = "base";
    task.adapter = Input{key_like('3')};
    task.model = "stem";
    task.texts = some_texts();
    task.prompt = {prompt::Layout::short_, prompt::Format::sentences};
    task.max_new_tokens = 33;
    task.fold = infer::Fold::automatic;
    task.num_slots = 5;
    task.sampling = {0.7, 8, 2};
    task.arithmetic = on_a_device();
    task.sentences = 5;
    return task;
}

/// A pass over the first sentences of a split.
inline Infer a_whole_pass() {
    auto task = a_sampled_pass();
    task.texts = {{DatasetSource{"science", {{"test", "aa"}}}}, {First{40}}};
    return task;
}

inline Select a_selection() {
    return {Metric::fused,
            2,
            {{"stem", {key_like('4')}, Input{key_like('5')}}, {"news", {key_like('6')}, {}}},
            {key_like('7')},
            some_texts()};
}

/// By the types, with a rule in place of m.
inline Select an_adaptive_selection() {
    Select task{
        Metric::similarity_types,
        2,
        {{"stem", {key_like('4')}, {}, Input{key_like('a')}}, {"news", {key_like('6')}, {}, Input{key_like('b')}}},
        {key_like('7')},
        some_texts()};
    task.rule = Rule::mean;
    for (auto& expert : task.experts) {
        expert.predictions = Input{key_like('d')};
        expert.more_predictions = {{key_like('e')}};
    }
    task.target_type_centroid = Input{key_like('c')};
    return task;
}

inline Types some_types() {
    return {"science", {"person: a human being", "river"}};
}

inline Merge a_merge(merge::Method method) {
    return {{{{key_like('8')}, {key_like('9')}}, {1.5, 0.5}, {method, 3, merge_settings()}, {"stem", "news"}}, 30};
}

inline Infer with_delta(Infer task) {
    task.delta = a_merge(merge::Method::dare_linear).recipe;
    return task;
}

/// With what it merges in place of an adapter.
inline Infer a_delta_pass() {
    auto task = with_delta(a_whole_pass());
    task.adapter.reset();
    return task;
}

/// No member of them is as it is by default.
inline std::vector<Task> sample_tasks() {
    return {an_import(),
            a_training(),
            a_splitting(),
            an_encoding(a_recipe()),
            an_encoding(some_texts()),
            an_encoding(some_types()),
            with_delta(a_sampled_pass()),
            with_delta(a_whole_pass()),
            an_adaptive_selection(),
            a_merge(merge::Method::dare_linear)};
}

inline std::vector<Result> sample_results() {
    return {Trained{5, {{1, 2.5, 0.5, 0.25, 70, 1.5, 0.125}, {2, 1.5, 0.25, 0.125, 60, 1.25, 0.25}}, 3, 4},
            Imported{7},
            Clustered{9, {4, 5}, 0.5},
            Encoded{8},
            Pass{7, 1, 2, 300, 40},
            Selection{{"stem", "news"},
                      {{"stem", 0.5}, {"news", 0.25}},
                      {{"stem", 0.75}, {"news", 0.125}},
                      {{"stem", 0.0625}},
                      Selection::PseudoLabels{10, 20},
                      {{{"stem", 0.03125}}}},
            Merged{2, MergeStatistics{{1, 2}, {{1, 0.5}, {0.5, 1}}, 1.5, 0.25, 0.125, {0.5, 0.75}}}};
}

}  // namespace samner::work
