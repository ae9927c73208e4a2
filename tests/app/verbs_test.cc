#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <regex>

#include "command.h"
#include "core/file.h"
#include "core/hash.h"
#include "core/json.h"
#include "corpus/tags.h"
#include "golden.h"
#include "temporary_folder.h"

namespace samner {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;

class Verbs : public testing::Test {
protected:
    std::string in(std::string const& name, std::string const& text) {
        write_atomically(folder / name, text);
        return path(name);
    }
    std::string path(std::string const& name) const { return (folder / name).string(); }
    void succeed(std::string const& arguments) {
        auto const result = samner_command(arguments);
        ASSERT_EQ(result.code, 0) << arguments << "\n" << result.output;
    }
    std::vector<Json> lines(std::string const& name) {
        std::vector<Json> all;
        for_each_jsonl(folder / name, [&](Json const& line, std::string const&) { all.push_back(line); });
        return all;
    }
    TemporaryFolder folder;
    std::string const llama = golden("models/llama-tiny").string();
    std::string const tiny = "tests/data/tiny";
    std::string const smollm2 = ".deps/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf";

    /// At path("expert").
    void train_an_expert() {
        succeed(fmt::format("train --model {} --data {} --out {} r=2 max_steps=1", tiny,
                            in("examples.jsonl", "{\"prompt\": \"a\", \"answer\": \" b\"}\n"), path("expert")));
    }
};

TEST_F(Verbs, ModelLogitsEqualTransformersAlsoWithAnAdapter) {
    auto const expected = read_json(golden("models/llama-tiny.expected.json"))["sequences"];
    std::string ids;
    for (auto const& sequence : expected) ids += Json{{"id", sequence["name"]}, {"ids", sequence["ids"]}}.dump() + "\n";
    auto const input = in("ids.jsonl", ids);
    succeed(fmt::format("model logits {} --in {} --out {}", llama, input, path("logits.safetensors")));
    succeed(fmt::format("model logits {} --adapter {} --in {} --out {}", llama,
                        golden("adapters/llama-tiny/all-linear").string(), input, path("adapted.safetensors")));
    auto const compare = [&](std::string const& file, std::string const& reference) {
        weights::SafetensorsFile const ours{folder / file};
        weights::SafetensorsFile const theirs{golden(reference)};
        for (auto const& sequence : expected) {
            auto const name = sequence["name"].get<std::string>();
            auto const a = ours.floats(name);
            auto const b = theirs.floats(name + ".logits");
            ASSERT_EQ(a.size(), b.size());
            for (std::size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], 1e-4);
        }
    };
    compare("logits.safetensors", "models/llama-tiny.expected.safetensors");
    compare("adapted.safetensors", "adapters/llama-tiny/all-linear.expected.safetensors");
}

TEST_F(Verbs, GenerateGivesTheGreedyTokensOfTheRealModel) {
    auto const prompts = read_json(golden("gguf/smollm2/prompts.json"));
    std::string texts;
    for (std::size_t i = 0; i < prompts.size(); ++i)
        texts += Json{{"id", i}, {"prompt", prompts[i]["text"]}}.dump() + "\n";
    succeed(fmt::format("generate --model {} --in {} --out {} --max-new-tokens 32", smollm2, in("prompts.jsonl", texts),
                        path("completions.jsonl")));
    auto const completions = lines("completions.jsonl");
    ASSERT_EQ(completions.size(), prompts.size());
    for (std::size_t i = 0; i < completions.size(); ++i) {
        auto wanted = prompts[i]["until_end"].get<std::vector<int>>();
        EXPECT_EQ(completions[i]["id"], i);
        EXPECT_EQ(completions[i]["tokens"].get<std::vector<int>>(), wanted);
    }
}

TEST_F(Verbs, GenerateDrawsTheSameSamplesInAnyBatchAndOthersWithAnotherSeed) {
    auto const input = in("prompts.jsonl", R"({"id": "a", "prompt": "The capital of France is"}
{"id": "b", "prompt": "Once upon a time"}
)");
    auto const sample = [&](std::string const& options) {
        succeed(fmt::format(
            "generate --model {} --in {} --out {} --max-new-tokens 8 --temperature 0.8 --top-p 0.9 --overwrite {}",
            smollm2, input, path("samples.jsonl"), options));
        return lines("samples.jsonl");
    };
    auto const samples = sample("--samples 3 --seed 4");
    ASSERT_EQ(samples.size(), 6U);
    for (std::size_t i = 0; i < 6; ++i) {
        EXPECT_EQ(samples[i]["id"], i < 3 ? "a" : "b");
        EXPECT_EQ(samples[i]["sample"], i % 3);
    }
    EXPECT_FALSE(samples[0]["tokens"] == samples[1]["tokens"] && samples[1]["tokens"] == samples[2]["tokens"]);
    EXPECT_EQ(sample("--samples 3 --seed 4 --num-slots 1 --threads 1 --draft-tokens 0 --max-cached-tokens 32"),
              samples);
    EXPECT_NE(sample("--samples 3 --seed 5"), samples);
    auto const two = sample("--samples 2 --seed 4");
    EXPECT_EQ(two[1], samples[1]);
    EXPECT_EQ(two[2], samples[3]);
}

TEST_F(Verbs, GenerateTakesAnAdapterForEachPrompt) {
    auto const model = golden("models/qwen2-tiny").string();
    if (!fs::exists(fs::path{model} / "tokenizer.json")) {
        fs::copy(model, folder / "model");
        fs::copy(golden("tokenizers/qwen2-style.tokenizer.json"), folder / "model/tokenizer.json");
    }
    auto const generate = [&](std::string const& prompts, std::string const& options) {
        succeed(fmt::format("generate --model {} --in {} --out {} --max-new-tokens 8 --overwrite {}", path("model"),
                            in("prompts.jsonl", prompts), path("out.jsonl"), options));
        return lines("out.jsonl");
    };
    auto const all = golden("adapters/qwen2-tiny/all-linear").string();
    auto const qv = golden("adapters/qwen2-tiny/qv-only").string();
    auto const line = [](std::string const& adapter) {
        Json result{{"id", 1}, {"prompt", "a"}};
        if (!adapter.empty()) result["adapter"] = adapter;
        return result.dump() + "\n";
    };
    auto const mixed = generate(line(all) + line("") + line(qv), "");
    EXPECT_EQ(mixed[0], generate(line(""), "--adapter " + all)[0]);
    EXPECT_EQ(mixed[1], generate(line(""), "")[0]);
    EXPECT_EQ(mixed[2], generate(line(qv), "--adapter " + all)[0]);
}

TEST_F(Verbs, GenerateNamesPromptsThatAreEmptyOrLongerThanTheContextAndRefusesLinesThatAreNoUtf8) {
    auto const complaint = [&](std::string const& prompt) {
        auto const input = in("prompts.jsonl", Json{{"id", "x7"}, {"prompt", prompt}}.dump() + "\n");
        auto const result =
            samner_command(fmt::format("generate --model {} --in {} --out {}", smollm2, input, path("none.jsonl")));
        EXPECT_EQ(result.code, 2);
        EXPECT_FALSE(fs::exists(folder / "none.jsonl"));
        return result.output;
    };
    EXPECT_THAT(complaint(""), HasSubstr("prompt \"x7\" has no tokens"));
    std::string longer;
    for (int i = 0; i < 9000; ++i) longer += " word";
    EXPECT_THAT(complaint(longer), HasSubstr("prompt \"x7\" has 9000 tokens, the model's context 8192"));
    // JSON itself has to be valid UTF-8, a lone surrogate in it too: the line is refused and named.
    auto const broken = in("broken.jsonl", "{\"id\": 1, \"prompt\": \"a\xff\"}\n");
    auto const result =
        samner_command(fmt::format("generate --model {} --in {} --out {}", smollm2, broken, path("none.jsonl")));
    EXPECT_EQ(result.code, 2);
    EXPECT_THAT(result.output, HasSubstr("broken.jsonl:1"));
}

TEST_F(Verbs, GenerateRefusesSamplesWithoutATemperatureAndSettingsOutOfRange) {
    auto const input = in("prompts.jsonl", "{\"id\": 1, \"prompt\": \"a\"}\n");
    for (auto const* const options :
         {"--samples 2", "--temperature -1", "--top-p 0", "--top-p 1.5", "--temperature nan"}) {
        auto const result = samner_command(
            fmt::format("generate --model {} --in {} --out {} {}", smollm2, input, path("none.jsonl"), options));
        EXPECT_EQ(result.code, 2) << options << result.output;
    }
}

TEST_F(Verbs, TokenizeGivesTheGoldenIds) {
    auto const prompts = read_json(golden("gguf/smollm2/prompts.json"));
    std::string texts;
    for (std::size_t i = 0; i < prompts.size(); ++i)
        texts += Json{{"id", i}, {"text", prompts[i]["text"]}}.dump() + "\n";
    succeed(fmt::format("model tokenize {} --in {} --out {}", smollm2, in("texts.jsonl", texts), path("ids.jsonl")));
    auto const ids = lines("ids.jsonl");
    for (std::size_t i = 0; i < ids.size(); ++i) EXPECT_EQ(ids[i]["ids"], prompts[i]["ids"]);
}

TEST_F(Verbs, EncodeGivesEmbeddingsInOrderAndTheirMean) {
    auto const sentences = read_json(golden("minilm/sentences.json"))["sentences"];
    std::string texts;
    for (std::size_t i = 0; i < sentences.size(); ++i)
        texts += Json{{"id", i}, {"text", sentences[i]["text"]}}.dump() + "\n";
    succeed(fmt::format("encode --encoder .deps/minilm --in {} --out {}", in("texts.jsonl", texts),
                        path("embeddings.safetensors")));
    auto const ours = weights::SafetensorsFile{folder / "embeddings.safetensors"}.floats("embeddings");
    auto const theirs = weights::SafetensorsFile{golden("minilm/embeddings.safetensors")}.floats("normalised");
    ASSERT_EQ(ours.size(), theirs.size());
    for (std::size_t i = 0; i < ours.size(); ++i) ASSERT_NEAR(ours[i], theirs[i], 5e-6);
    EXPECT_EQ(weights::SafetensorsFile{folder / "embeddings.safetensors"}.floats("mean").size(), 384U);
}

TEST_F(Verbs, TrainLearnsItsExamplesAndWritesMetrics) {
    std::string examples;
    for (int i = 0; i < 8; ++i)
        examples += Json{{"ids", {5 + i, 7, 9, 11}}, {"labels", {-100, -100, 9, 11}}}.dump() + "\n";
    succeed(fmt::format(
        "train --model {} --data {} --out {} --tensorboard {} r=4 learning_rate=1e-2 max_steps=6 batch_size=4", llama,
        in("examples.jsonl", examples), path("adapter"), path("events")));
    auto const events = fs::directory_iterator {
        path("events")
        } -> path();
    EXPECT_THAT(events.filename().string(), testing::StartsWith("events.out.tfevents."));
    EXPECT_THAT(read_text(events), HasSubstr("train/tokens_per_second"));
    auto const metrics = lines("adapter/metrics.jsonl");
    ASSERT_EQ(metrics.size(), 6U);
    EXPECT_LT(metrics.back()["loss"].get<double>(), metrics.front()["loss"].get<double>() - 1);
    EXPECT_EQ(samner_command(
                  fmt::format("train --model {} --data {} --out {}", llama, path("examples.jsonl"), path("adapter")))
                  .code,
              2);
}

TEST_F(Verbs, TrainLeavesOutExamplesWhoseAnswerIsCutAndSaysSo) {
    std::string const beyond = Json{{"ids", {5, 7, 9, 11, 12}}, {"labels", {-100, -100, -100, -100, 12}}}.dump() + "\n";
    std::string const across = Json{{"ids", {5, 7, 9, 11, 12}}, {"labels", {-100, -100, -100, 11, 12}}}.dump() + "\n";
    std::string const within = Json{{"ids", {5, 7, 9, 11}}, {"labels", {-100, -100, 9, 11}}}.dump() + "\n";
    in("examples.jsonl", beyond + across + within);
    auto const train = [&](std::string const& out, std::string const& settings) {
        return samner_command(
            fmt::format("train --model {} --data {} --out {} r=4 max_length=4 batch_size=1 "
                        "num_train_epochs=1 {}",
                        llama, path("examples.jsonl"), path(out), settings));
    };
    auto const left_out = train("left-out", "");
    ASSERT_EQ(left_out.code, 0) << left_out.output;
    EXPECT_THAT(left_out.output, HasSubstr("1 of 3 training examples have no answer token within max_length, 4 tokens, "
                                           "and 1 only a part of their answer: 2 are left out"));
    EXPECT_EQ(lines("left-out/metrics.jsonl").size(), 1U);
    auto const kept = train("kept", "keep_cut_answers=true");
    ASSERT_EQ(kept.code, 0) << kept.output;
    EXPECT_EQ(lines("kept/metrics.jsonl").size(), 2U);
    in("examples.jsonl", beyond + beyond);
    auto const nothing = train("nothing", "");
    EXPECT_EQ(nothing.code, 2);
    EXPECT_THAT(nothing.output, HasSubstr("none of 2 training examples has an answer token within 4 tokens"));
    EXPECT_FALSE(fs::exists(path("nothing")));
}

TEST_F(Verbs, TrainThatWasKilledGoesOnToTheSameBytes) {
    std::string examples;
    for (int i = 0; i < 8; ++i)
        examples += Json{{"ids", {5 + i, 7, 9, 11}}, {"labels", {-100, -100, 9, 11}}}.dump() + "\n";
    auto const data = in("examples.jsonl", examples);
    auto const command = [&](std::string const& out, std::string const& more = "") {
        return fmt::format(
            "train --model {} --data {} --out {} r=4 learning_rate=1e-3 max_steps=1500 batch_size=4 checkpoint_every=7 "
            "{}",
            llama, data, path(out), more);
    };
    succeed(command("whole"));
    for (int kill = 0; kill < 2; ++kill) {
        // Dies without warning as soon as there is another checkpoint than before.
        auto const result = run_command(fmt::format(
            "before=$(stat -c %i {2} 2>/dev/null); {0} {1} & pid=$!; "
            "while kill -0 $pid && [ \"$(stat -c %i {2} 2>/dev/null)\" = \"$before\" ]; do sleep 0.01; done; "
            "kill -9 $pid; wait $pid",
            SAMNER_BINARY, command("killed"), path("killed.checkpoint")));
        ASSERT_EQ(result.code, 137) << result.output;
        ASSERT_FALSE(fs::exists(folder / "killed"));
        ASSERT_TRUE(fs::exists(folder / "killed.checkpoint"));
    }
    auto const foreign = samner_command(command("killed", "seed=1"));
    EXPECT_EQ(foreign.code, 2);
    EXPECT_THAT(foreign.output, HasSubstr("is the checkpoint of another training"));
    succeed(command("killed"));
    for (auto const* file : {"adapter_model.safetensors", "adapter_config.json"})
        EXPECT_EQ(read_text(folder / "killed" / file), read_text(folder / "whole" / file));
    EXPECT_EQ(lines("killed/metrics.jsonl").size(), 1500U);
    EXPECT_FALSE(fs::exists(folder / "killed.checkpoint"));
}

TEST_F(Verbs, TrainIsTheSameOnSeveralRanks) {
    std::string examples;
    for (int i = 0; i < 8; ++i)
        examples += Json{{"ids", {5 + i, 7, 9, 11}}, {"labels", {-100, -100, 9, 11}}}.dump() + "\n";
    auto const data = in("examples.jsonl", examples);
    auto const command = [&](std::string const& more) {
        return fmt::format(
            "train --model {} --data {} {} r=4 learning_rate=1e-2 max_steps=6 batch_size=8 "
            "micro_batch_size=2",
            llama, data, more);
    };
    succeed(command("--out " + path("one")));
    for (int const ranks : {2, 4}) {
        auto const out = fmt::format("ranks{}", ranks);
        succeed(command(fmt::format("-n {} --out {}", ranks, path(out))));
        EXPECT_EQ(read_text(folder / out / "adapter_model.safetensors"),
                  read_text(folder / "one/adapter_model.safetensors"));
        EXPECT_EQ(lines(out + "/metrics.jsonl").size(), 6U);
    }
    EXPECT_EQ(samner_command(command("-n 2 --out " + path("one"))).code, 2);
    EXPECT_EQ(samner_command(command("-n 2 --init no/where --out " + path("two"))).code, 2);
}

TEST_F(Verbs, MergeEqualsPeftAndDoesNotDependOnTheOrder) {
    auto const cases = read_json(golden("merging/peft.cases.json"));
    Json ties;
    auto const& list = cases.is_array() ? cases : cases["cases"];
    for (auto const& one : list) {
        if (one["method"] == "ties" && one["adapters"].size() == 3 && one["weights"] == Json({1.0, 1.0, 1.0}) &&
            one["density"] == 0.5)
            ties = one;
    }
    ASSERT_FALSE(ties.is_null());
    std::vector<std::string> folders;
    for (auto const& name : ties["adapters"])
        folders.push_back(golden("merging/adapters/" + name.get<std::string>()).string());
    auto const sign = ties.value("sign", std::string{"total"});
    succeed(fmt::format("merge {} {} {} --density 0.5 --sign {} --out {}", folders[0], folders[1], folders[2], sign,
                        path("a")));
    succeed(fmt::format("merge {} {} {} --density 0.5 --sign {} --out {}", folders[2], folders[0], folders[1], sign,
                        path("b")));
    EXPECT_EQ(read_text(folder / "a/adapter_model.safetensors"), read_text(folder / "b/adapter_model.safetensors"));
    EXPECT_EQ(read_text(folder / "a/adapter_config.json"), read_text(folder / "b/adapter_config.json"));
    weights::SafetensorsFile const ours{folder / "a/adapter_model.safetensors"};
    weights::SafetensorsFile const theirs{golden("merging/peft.expected.safetensors")};
    auto const name = ties.contains("name") ? ties["name"].get<std::string>() : ties["case"].get<std::string>();
    for (auto const& tensor : ours.tensors()) {
        auto const a = ours.floats(tensor.name);
        auto const b = theirs.floats(name + "/" + tensor.name);
        for (std::size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], 1e-6) << tensor.name;
    }
    EXPECT_EQ(samner_command(fmt::format("merge {} --weights 1,2 --out {}", folders[0], path("c"))).code, 2);
    EXPECT_EQ(samner_command(fmt::format("merge {} --density 0 --out {}", folders[0], path("c"))).code, 2);
    EXPECT_EQ(samner_command(fmt::format("merge {} --out {}", folders[0], path("a"))).code, 2);
    EXPECT_FALSE(fs::exists(folder / "c"));
}

TEST_F(Verbs, MergeIsTheSameOnSeveralRanksAndReportsWhatItDid) {
    std::string folders;
    for (auto const* name : {"e0", "e1", "e2"})
        folders += golden(fmt::format("merging/adapters/{}", name)).string() + " ";
    auto const options = "--method breadcrumbs_ties --follow mergekit --gamma 0.1 --lambda 0.7 --dtype BF16";
    succeed(fmt::format("merge {} {} --out {}", folders, options, path("one")));
    succeed(fmt::format("merge {} {} -n 2 --report {} --out {}", folders, options, path("report.json"), path("two")));
    EXPECT_EQ(read_text(folder / "one/adapter_model.safetensors"), read_text(folder / "two/adapter_model.safetensors"));
    weights::SafetensorsFile const file{folder / "two/adapter_model.safetensors"};
    EXPECT_EQ(file.tensors().front().dtype, weights::Dtype::bf16);
    auto const report = read_json(folder / "report.json");
    EXPECT_EQ(report["experts"].size(), 3U);
    EXPECT_GT(report["total"]["sparsity"].get<double>(), 0);
    auto const failed = samner_command(fmt::format("merge {} --method slerp -n 2 --out {}", folders, path("three")));
    EXPECT_EQ(failed.code, 2) << failed.output;
    EXPECT_FALSE(fs::exists(folder / "three"));
    auto const rules = in("rules.yaml", "- [{pattern: q_proj, weight: 2}, {weight: 1}]\n- 1\n- 0.5\n");
    succeed(fmt::format("merge {} --module-weights {} --out {}", folders, rules, path("four")));
    EXPECT_EQ(samner_command(fmt::format("merge {} --method breadcrumb --out {}", folders, path("five"))).code, 2);
}

TEST_F(Verbs, MergeFoldsIntoTheBaseWhatTheAdapterWouldHaveAdded) {
    auto const adapter = golden("adapters/llama-tiny/all-linear").string();
    auto const ids = in("ids.jsonl", "{\"id\": \"x\", \"ids\": [1, 5, 7, 30, 12]}\n");
    succeed(fmt::format("merge {} --space delta --base {} --out {}", adapter, llama, path("folded")));
    succeed(
        fmt::format("model logits {} --adapter {} --in {} --out {}", llama, adapter, ids, path("with.safetensors")));
    succeed(fmt::format("model logits {} --in {} --out {}", path("folded"), ids, path("folded.safetensors")));
    auto const with = weights::SafetensorsFile{folder / "with.safetensors"}.floats("x");
    auto const folded = weights::SafetensorsFile{folder / "folded.safetensors"}.floats("x");
    ASSERT_EQ(with.size(), folded.size());
    for (std::size_t i = 0; i < with.size(); ++i) ASSERT_NEAR(with[i], folded[i], 2e-5);
    for (auto const* wrong : {"--space delta", "--space delta --base no/where", "--base x", "--space delta -n 2"})
        EXPECT_EQ(samner_command(fmt::format("merge {} {} --out {}", adapter, wrong, path("no"))).code, 2) << wrong;
    auto const other = samner_command(fmt::format("merge {} --space delta --base {} --out {}", adapter,
                                                  golden("models/qwen2-tiny").string(), path("no")));
    EXPECT_EQ(other.code, 2) << other.output;
    EXPECT_FALSE(fs::exists(folder / "no"));
}

TEST_F(Verbs, MergeTakesAConfigurationOfMergekit) {
    auto const adapters = fmt::format("{} {}", golden("adapters/llama-tiny/all-linear").string(),
                                      golden("adapters/llama-tiny/qv-only").string());
    auto const text = [&](std::string const& dtype) {
        return fmt::format(
            "models:\n  - {{model: '{}', parameters: {{weight: 0.7}}}}\n"
            "  - {{model: '{}', parameters: {{weight: [{{filter: q_proj, value: 0.5}}, {{value: 1}}]}}}}\n"
            "merge_method: ties\nbase_model: {}\nparameters: {{density: 0.4}}\ndtype: {}\n",
            golden("adapters/llama-tiny/all-linear").string(), golden("adapters/llama-tiny/qv-only").string(), llama,
            dtype);
    };
    auto const config = in("mergekit.yml", text("float32"));
    auto const weights = in("weights.yaml", "- 0.7\n- [{pattern: q_proj, weight: 0.5}, {weight: 1}]\n");
    auto const same =
        fmt::format("{} --method ties --follow mergekit --density 0.4 --module-weights {}", adapters, weights);
    succeed(fmt::format("merge --mergekit {} -n 2 --out {}", config, path("theirs")));
    succeed(fmt::format("merge {} --space delta --base {} --out {}", same, llama, path("ours")));
    auto const read = [&](char const* name) { return weights::SafetensorsFile{folder / name / "model.safetensors"}; };
    auto const theirs = read("theirs");
    auto const ours = read("ours");
    for (auto const& tensor : ours.tensors()) EXPECT_EQ(theirs.floats(tensor.name), ours.floats(tensor.name));
    // Of different ranks, so that an adapter of both is not there.
    auto const factor = samner_command(fmt::format("merge --mergekit {} --space factor --out {}", config, path("no")));
    EXPECT_THAT(factor.output, HasSubstr("mixed ranks"));
    auto const other =
        samner_command(fmt::format("merge --mergekit {} --out {}", in("b.yml", text("bfloat16")), path("no")));
    EXPECT_EQ(other.code, 2);
    EXPECT_THAT(other.output, HasSubstr("is F32, and dtype asks for BF16"));
    EXPECT_EQ(samner_command(fmt::format("merge {} --mergekit {} --out {}", adapters, config, path("no"))).code, 2);
    EXPECT_EQ(samner_command(fmt::format("merge --out {}", path("no"))).code, 2);
}

TEST_F(Verbs, RefuseAnAdapterOfAnotherBase) {
    auto const result = samner_command(fmt::format(
        "generate --model {} --adapter {} --in {} --out {}", smollm2, golden("adapters/llama-tiny/all-linear").string(),
        in("prompts.jsonl", "{\"id\": 1, \"prompt\": \"x\"}\n"), path("out.jsonl")));
    EXPECT_EQ(result.code, 2) << result.output;
    EXPECT_FALSE(fs::exists(folder / "out.jsonl"));
}

TEST_F(Verbs, ScoreCountsEntitiesAndReadsCompletions) {
    auto const gold = in(
        "gold.jsonl",
        R"({"id": 1, "text": "Bohr met Ada in Oslo", "entities": [{"text": "Bohr", "type": "person"}, {"text": "Oslo", "type": "location"}]}
{"id": 2, "text": "Rome", "entities": [{"text": "Rome", "type": "location"}, {"text": "Rome", "type": "misc"}], "types": ["person", "location"]}
)");
    auto const predictions = in("pred.jsonl", R"({"id": 2, "completion": "[[\"rome\", \"location\"]]"}
{"id": 1, "entities": [{"text": "bohr", "type": "person"}, {"text": "Ada", "type": "location"}]}
)");
    auto const result = samner_command(fmt::format("score --gold {} --pred {} --json", gold, predictions));
    ASSERT_EQ(result.code, 0) << result.output;
    auto const document = parse_json(result.output, "output");
    EXPECT_EQ(document["metric"]["entity"]["tp"], 2);
    EXPECT_EQ(document["metric"]["entity"]["fp"], 1);
    EXPECT_EQ(document["metric"]["entity"]["fn"], 1);
    EXPECT_NEAR(document["metric"]["entity"]["f1"].get<double>(), 2.0 / 3, 1e-12);
    EXPECT_EQ(samner_command(
                  fmt::format("score --gold {} --pred {}", gold, in("short.jsonl", "{\"id\": 2, \"entities\": []}\n")))
                  .code,
              2);
}

TEST_F(Verbs, ScoreGivesAllMetricsTargetsIntervalsAndComparesSystems) {
    auto const gold = in(
        "gold.jsonl",
        R"({"id": 1, "target": "a", "types": ["person"], "entities": [{"text": "Bohr", "type": "person", "start": 0, "end": 4}, {"text": "X", "type": "misc", "start": 5, "end": 6}]}
{"id": 2, "target": "b", "types": ["person"], "entities": []}
)");
    auto const good =
        in("good.jsonl", R"({"id": 1, "entities": [{"text": "bohr", "type": "person", "start": 0, "end": 4}]}
{"id": 2, "entities": []}
)");
    auto const bad = in("bad.jsonl", R"({"id": 1, "entities": []}
{"id": 2, "entities": [{"text": "Ada", "type": "person", "start": 0, "end": 3}]}
)");
    auto const result = samner_command(fmt::format("score --gold {} --pred {} --against {} --json", gold, good, bad));
    ASSERT_EQ(result.code, 0) << result.output;
    auto const document = parse_json(result.output, "output");
    for (auto const* const metric : {"entity", "multiset", "offsets"})
        EXPECT_EQ(document["metric"][metric]["f1"], 1.0) << metric;
    EXPECT_EQ(document["metric"]["instructuie"]["tp"], 2);
    EXPECT_EQ(document["metric"]["with_misc"]["fn"], 1);
    EXPECT_EQ(document["metric"]["entity"]["high"], 1.0);
    EXPECT_EQ(document["per_type"]["person"]["tp"], 1);
    EXPECT_EQ(document["per_target"]["a"]["metric"]["entity"]["tp"], 1);
    EXPECT_EQ(document["average"]["entity"]["f1"], 0.5);
    EXPECT_EQ(document["against"]["metric"]["entity"]["f1"], 0.0);
    EXPECT_EQ(document["difference"]["metric"]["entity"]["f1"], 1.0);
    EXPECT_TRUE(document["difference"]["metric"]["entity"].contains("p_value"));
    EXPECT_EQ(samner_command(fmt::format("score --gold {} --pred {} --against {}", gold, good, bad)).code, 0);

    auto const one = parse_json(
        samner_command(fmt::format("score --gold {} --pred {} --metric with_misc --resamples 0 --json", gold, good))
            .output,
        "output");
    EXPECT_EQ(one["metric"].size(), 1U);
    EXPECT_FALSE(one["metric"]["with_misc"].contains("low"));
    EXPECT_EQ(one["per_type"]["misc"]["fn"], 1);

    auto const voted = parse_json(
        samner_command(fmt::format("score --gold {} --pred {} {} {} --combine vote --json", gold, good, good, bad))
            .output,
        "output");
    EXPECT_EQ(voted["metric"]["entity"]["f1"], 1.0);
    EXPECT_FALSE(voted["metric"].contains("offsets"));
    auto const refused = [&](std::string const& options) {
        return samner_command(fmt::format("score --gold {} --pred {} {}", gold, good, options)).code == 2;
    };
    EXPECT_TRUE(refused("--metric f1"));
    EXPECT_TRUE(refused(bad));
    EXPECT_TRUE(refused("--combine vote --metric offsets"));
    EXPECT_TRUE(refused("--confidence 2"));
    EXPECT_TRUE(refused("--against " + bad + " --resamples 0"));
}

/// A text in which any white space is one space: pages break lines.
std::string in_one_line(std::string const& text) {
    return std::regex_replace(text, std::regex{"\\s+"}, " ");
}

TEST_F(Verbs, DataExportWritesThePromptsThatThePageOnReproducingShows) {
    auto const page = read_text(fs::path{SAMNER_SOURCE_DIR} / "docs/reproducing.md");
    // A command in indented lines, then the prompt with its answer, then the parts.
    std::regex const example{
        R"(\n    samner (data export [^`]*?) --out (\S+)\n\n```text\n([^`]*)```\n\n```json\n([^`]*)```)"};
    int examples = 0;
    for (std::sregex_iterator found{page.begin(), page.end(), example}; found != std::sregex_iterator{}; ++found) {
        auto const file = found->str(2);
        succeed(fmt::format("{} --overwrite --out {}", found->str(1), path(file)));
        auto const written = lines(file);
        ASSERT_EQ(written.size(), 1U);
        auto const prompt = written[0]["prompt"].get<std::string>() + written[0]["answer"].get<std::string>() + "\n";
        EXPECT_EQ(in_one_line(found->str(3)), in_one_line(prompt)) << found->str(1);
        EXPECT_EQ(parse_json(found->str(4), "page"), written[0]["parts"]) << found->str(1);
        ++examples;
    }
    EXPECT_EQ(examples, 2);
}

TEST_F(Verbs, DataExportWritesWhatARunTrainsOn) {
    auto const write = [&](std::string const& options) {
        succeed(fmt::format("data export ncbi bc5cdr --as prompts --root tests/data/corpora --overwrite --out {} {}",
                            path("prompts.jsonl"), options));
        return lines("prompts.jsonl");
    };
    auto const all = write("--samples 30 --seed 3 --parts paper");
    ASSERT_EQ(all.size(), 30U);  // types: one of three, two of three
    EXPECT_THAT(all[9]["id"].get<std::string>(), ContainsRegex("^ncbi/train/[0-9]+#9$"));
    EXPECT_THAT(all[10]["id"].get<std::string>(), ContainsRegex("^bc5cdr/train/[0-9]+#0$"));
    auto const some = write("--samples 30 --seed 3 --parts paper --count 12");
    EXPECT_EQ(some, std::vector(all.begin(), all.begin() + 12));
    EXPECT_NE(write("--samples 30 --seed 4 --parts paper"), all);
    for (auto const& line : write("--samples 30 --parts '{drop: 1, mask: 1, definitions: 1, formats: {json: 1}}'")) {
        bool const one_type = line["id"].get<std::string>().starts_with("ncbi");
        EXPECT_EQ(line["parts"]["dropped"].size(), one_type ? 0U : 1U);
        EXPECT_TRUE(line["parts"]["masked"]);
        EXPECT_THAT(line["prompt"].get<std::string>(), HasSubstr("of the types Type1.\n"));
    }
    auto const plain = write("--samples 3 --layout short --format enumeration");
    EXPECT_EQ(plain[0]["parts"]["demonstrations"], 0);
    EXPECT_THAT(plain[0]["prompt"].get<std::string>(),
                testing::StartsWith("Find the entities of the types disease.\nText:"));
    // A training reads them as it reads any others.
    succeed(fmt::format("train --model {} --data {} --out {} r=2 max_steps=1", tiny, path("prompts.jsonl"),
                        path("adapter")));
    auto const refused = [&](std::string const& options) {
        auto const result = samner_command(
            fmt::format("data export --as prompts --root tests/data/corpora --out {} {}", path("none.jsonl"), options));
        EXPECT_EQ(result.code, 2) << options;
        return result.output;
    };
    EXPECT_THAT(refused("ncbi --samples 0"), HasSubstr("--samples is '0'"));
    EXPECT_THAT(refused("ncbi --parts '{sauce: 1}'"), HasSubstr("command line: --parts"));
    EXPECT_THAT(refused("ncbi --parts paper --format json"), HasSubstr("of prompts without parts"));
    EXPECT_THAT(refused("ncbi ncbi:train"), HasSubstr("'ncbi' is named twice"));
    EXPECT_FALSE(fs::exists(path("none.jsonl")));
}

TEST_F(Verbs, DataFetchBringsCheckedFilesAndVerifySaysWhatDiffers) {
    auto const cuts = std::string{SAMNER_TEST_DATA} + "/corpora";
    auto const hash = sha256_file(cuts + "/ncbi/train.tsv");
    fs::create_directories(folder / "described");
    write_atomically(folder / "described/ncbi.yaml",
                     "id: ncbi\ndomain: d\ndescription: s\nsplits: {train: [{file: ncbi/train.tsv, sha256: " + hash +
                         "}]}\ntypes: [{label: Disease}]\n");
    auto const options = fmt::format(" --configs {} --root {}", path("described"), path("root"));
    EXPECT_EQ(samner_command("data verify" + options).code, 1);
    auto const refused = samner_command("data fetch" + options);
    EXPECT_EQ(refused.code, 2);
    EXPECT_THAT(refused.output, HasSubstr("no upstream address"));
    EXPECT_THAT(samner_command("data fetch ncbi --mirror " + cuts + options).output,
                HasSubstr("1 files fetched, 0 were there, 0 failed"));
    EXPECT_THAT(samner_command("data fetch --mirror " + cuts + options).output,
                HasSubstr("0 files fetched, 1 were there, 0 failed"));
    EXPECT_EQ(samner_command("data verify" + options).code, 0);
    write_atomically(folder / "root/ncbi/train.tsv", "changed");
    auto const different = samner_command("data verify ncbi" + options);
    EXPECT_EQ(different.code, 1);
    EXPECT_THAT(different.output, HasSubstr("different ncbi/train.tsv: SHA-256 is"));
    EXPECT_EQ(samner_command("data fetch --mirror " + cuts + options).code, 1);
    EXPECT_EQ(samner_command("data fetch --replace --mirror " + cuts + options).code, 0);
    EXPECT_EQ(samner_command("data fetch ace04 --root " + path("root")).code, 2);

    auto const states = parse_json(samner_command("data verify --json ncbi" + options + " 2>/dev/null").output, "output");
    EXPECT_EQ(states, (Json{{{"file", "ncbi/train.tsv"}, {"state", "good"}}}));

    auto const known = samner_command("data verify --root " + cuts);
    EXPECT_EQ(known.code, 0) << known.output;
    EXPECT_THAT(known.output, HasSubstr("10 cuts as CUTS.tsv lists them (not upstream's whole files)"));
}

TEST_F(Verbs, OfEmptyInputGiveEmptyOutputAndAWarning) {
    auto const empty = in("empty.jsonl", "");
    for (auto const& verb :
         {fmt::format("generate --model {} --in {} --out {}", smollm2, empty, path("out.jsonl")),
          fmt::format("predict --model {} --in {} --types a --out {}", tiny, empty, path("predictions.jsonl")),
          fmt::format("model tokenize {} --in {} --out {}", smollm2, empty, path("ids.jsonl")),
          fmt::format("model logits {} --in {} --out {}", llama, empty, path("l.safetensors")),
          fmt::format("encode --encoder .deps/minilm --in {} --out {}", empty, path("e.safetensors")),
          fmt::format("score --gold {0} --pred {0}", empty)}) {
        auto const result = samner_command(verb);
        EXPECT_EQ(result.code, 0) << verb << result.output;
        EXPECT_THAT(result.output, HasSubstr("empty.jsonl' has no lines")) << verb;
    }
    EXPECT_EQ(read_text(folder / "out.jsonl"), "");
    EXPECT_EQ(read_text(folder / "predictions.jsonl"), "");
}

TEST_F(Verbs, RefuseToTrainOnNothingOrToChooseByNothing) {
    train_an_expert();
    auto const empty = in("empty.jsonl", "");
    for (auto const& verb :
         {fmt::format("train --model {} --data {} --out {}", tiny, empty, path("adapter")),
          fmt::format("select --model {} --in {} --types a --experts {} -m 1", tiny, empty, path("expert"))}) {
        auto const result = samner_command(verb);
        EXPECT_EQ(result.code, 2) << verb << result.output;
        EXPECT_THAT(result.output, ContainsRegex("error: no (training examples|texts)")) << verb;
    }
    EXPECT_FALSE(fs::exists(folder / "adapter"));
}

TEST_F(Verbs, WarnOfAnEmptySplitOfADataSet) {
    write_atomically(folder / "none.yaml",
                     "id: none\ndomain: d\ndescription: s\nsplits: {test: [{file: none.tsv}]}\ntypes: [{label: X}]\n");
    in("none.tsv", "");
    auto const options = fmt::format("--configs {0} --root {0}", folder.path().string());
    for (auto const& verb : {fmt::format("data stats --json {}", options),
                             fmt::format("predict --model {} --data none --out {} {}", tiny, path("p"), options)}) {
        auto const result = samner_command(verb);
        EXPECT_EQ(result.code, 0) << verb << result.output;
        EXPECT_THAT(result.output, HasSubstr("none.tsv' has no sentences")) << verb;
    }
}

TEST_F(Verbs, RefuseAnIdThatStandsTwice) {
    train_an_expert();
    auto const texts = in("texts.jsonl", "{\"id\": 1, \"text\": \"a\"}\n{\"id\": \"1\", \"text\": \"b\"}\n");
    auto const prompts = in("prompts.jsonl", "{\"id\": 1, \"prompt\": \"a\"}\n{\"id\": 1, \"prompt\": \"b\"}\n");
    auto const ids = in("ids.jsonl", "{\"id\": 1, \"ids\": [1]}\n{\"id\": 1, \"ids\": [2]}\n");
    for (auto const& verb :
         {fmt::format("predict --model {} --in {} --types a --out {}", tiny, texts, path("out")),
          fmt::format("select --model {} --in {} --types a --experts {} -m 1", tiny, texts, path("expert")),
          fmt::format("encode --encoder .deps/minilm --in {} --out {}", texts, path("out")),
          fmt::format("model tokenize {} --in {} --out {}", tiny, texts, path("out")),
          fmt::format("model logits {} --in {} --out {}", llama, ids, path("out")),
          fmt::format("generate --model {} --in {} --out {}", tiny, prompts, path("out"))}) {
        auto const result = samner_command(verb);
        EXPECT_EQ(result.code, 2) << verb << result.output;
        EXPECT_THAT(result.output, ContainsRegex("id 1 stands twice .*jsonl:2, first .*jsonl:1")) << verb;
    }
    EXPECT_FALSE(fs::exists(folder / "out"));
}

TEST_F(Verbs, SelectWarnsOfASampleThatIsLargerThanItsTexts) {
    auto const texts = in("texts.jsonl", "{\"id\": 1, \"text\": \"The cat saw a dog .\"}\n");
    train_an_expert();
    auto const result = samner_command(fmt::format(
        "select --model {} --in {} --types a --experts {} -m 1 -k 10 --max-new-tokens 2", tiny, texts, path("expert")));
    EXPECT_EQ(result.code, 0) << result.output;
    EXPECT_THAT(result.output, ContainsRegex("-k is 10.* 1 texts"));
}

TEST_F(Verbs, MergeWarnsOfFactorsThatAreAddedUpWithLargeWeights) {
    auto const adapters =
        fmt::format("{} {}", golden("merging/adapters/e0").string(), golden("merging/adapters/e1").string());
    auto const output = [&](std::string const& options, std::string const& out) {
        auto const result = samner_command(fmt::format("merge {} {} --out {}", adapters, options, path(out)));
        EXPECT_EQ(result.code, 0) << options << result.output;
        return result.output;
    };
    EXPECT_THAT(output("--method linear", "a"), ContainsRegex("weights that sum to 2: .*--normalize weights"));
    auto const wrote = testing::MatchesRegex("wrote [^\n]*: an adapter of [0-9]+ modules, merged from 2 adapters\n");
    EXPECT_THAT(output("--method linear --normalize weights", "b"), wrote);
    EXPECT_THAT(output("--method linear --weights 0.5,0.5", "c"), wrote);
    EXPECT_THAT(output("", "d"), wrote);
}

TEST_F(Verbs, ScoreWarnsOfGoldThatIsNotInItsTextAndCountsIt) {
    auto const gold = in(
        "gold.jsonl",
        R"({"id": 1, "text": "Bohr met Ada", "entities": [{"text": "Bohr", "type": "person"}, {"text": "Curie", "type": "person"}]}
)");
    auto const predictions =
        in("pred.jsonl", "{\"id\": 1, \"entities\": [{\"text\": \"Bohr\", \"type\": \"person\"}]}\n");
    auto const command = fmt::format("{} score --gold {} --pred {}", SAMNER_BINARY, gold, predictions);
    auto const warned = run_command(command);
    EXPECT_EQ(warned.code, 0);
    EXPECT_THAT(warned.output, AllOf(HasSubstr("1 gold entities"), HasSubstr("'curie'"), HasSubstr("gold.jsonl:1")));
    EXPECT_EQ(parse_json(run_command(command + " --json 2>/dev/null").output, "output")["gold_not_in_text"], 1);
}

TEST_F(Verbs, ScoreWarnsOfTypesThatOnlyOneSideHas) {
    auto const gold =
        in("gold.jsonl", R"({"id": 1, "entities": [{"text": "Acme", "type": "ORG"}, {"text": "Ada", "type": "person"}]}
{"id": 2, "entities": [{"text": "Oslo", "type": "B-geo"}]}
)");
    auto const asked = in(
        "asked.jsonl",
        R"({"id": 1, "types": ["organization", "person", "location"], "entities": [{"text": "Acme", "type": "ORG"}, {"text": "Ada", "type": "person"}]}
{"id": 2, "types": ["organization", "person", "location"], "entities": [{"text": "Oslo", "type": "B-geo"}]}
)");
    auto const predictions =
        in("pred.jsonl",
           R"({"id": 1, "entities": [{"text": "Acme", "type": "organization"}, {"text": "Ada", "type": "person"}]}
{"id": 2, "entities": [{"text": "Oslo", "type": "location"}]}
)");
    write_atomically(folder / "news.yaml",
                     "id: news\ndomain: d\ndescription: s\nsplits: {test: [{file: x}]}\n"
                     "types: [{label: B-geo, name: location}, {label: ORG, name: organization}]\n");
    for (auto const& file : {gold, asked}) {
        auto const command = fmt::format("{} score --gold {} --pred {}", SAMNER_BINARY, file, predictions);
        auto const warned = run_command(command);
        EXPECT_EQ(warned.code, 0);
        EXPECT_THAT(warned.output,
                    AllOf(HasSubstr("only the gold has the types 'B-geo' (1), 'ORG' (1)"),
                          HasSubstr("only the predictions have the types 'location' (1), 'organization' (1)"),
                          HasSubstr("'ORG' could be 'organization'")));
        EXPECT_THAT(run_command(command + " --configs " + folder.path().string()).output,
                    AllOf(HasSubstr("'B-geo' is the label of 'location' in news")));
        auto const document = parse_json(run_command(command + " --json 2>/dev/null").output, "output");
        EXPECT_EQ(document["types_only_in_gold"], (Json{{"B-geo", 1}, {"ORG", 1}}));
        EXPECT_EQ(document["types_only_in_predictions"], (Json{{"location", 1}, {"organization", 1}}));
    }
    // A type that nobody asked for is no sign of another name.
    auto const misc = in(
        "misc.jsonl",
        R"({"id": 1, "types": ["person"], "entities": [{"text": "Ada", "type": "person"}, {"text": "x", "type": "misc"}]}
)");
    auto const quiet = samner_command(
        fmt::format("score --gold {} --pred {}", misc,
                    in("p.jsonl", "{\"id\": 1, \"entities\": [{\"text\": \"Ada\", \"type\": \"person\"}]}\n")));
    EXPECT_THAT(quiet.output, testing::Not(HasSubstr("only")));
}

TEST_F(Verbs, PlanWarnsOfWhatATargetDoesNotHave) {
    auto const command = "plan experiments/tiny.yaml targets.museum.sentences=100000";
    EXPECT_THAT(samner_command(command).output, ContainsRegex("targets.museum.sentences is 100000.* [0-9]+ sentences"));
    auto const document =
        parse_json(run_command(fmt::format("{} {} --json 2>/dev/null", SAMNER_BINARY, command)).output, "output");
    EXPECT_EQ(document["warnings"].size(), 1U);
}

TEST_F(Verbs, DoctorProvesThatResultsDoNotDependOnTheMachine) {
    EXPECT_THAT(samner_command("doctor").output, HasSubstr("results independent of ranks, batches, threads   yes"));
}

TEST_F(Verbs, PlanSaysWhatSharingSaves) {
    auto const result = samner_command("plan experiments/tiny.yaml --json");
    ASSERT_EQ(result.code, 0) << result.output;
    auto const plan = parse_json(result.output, "output");
    EXPECT_GT(plan["passes_asked"], plan["passes_run"]);
    EXPECT_EQ(plan["tasks"][0]["state"], "waiting");
}

TEST_F(Verbs, PlanSimulatesTheSchedulerWithTheRatesOfARun) {
    auto const rates = in("rates.json", R"({"version": 1, "kinds": {
        "train": {"seconds": 1, "tokens": 80, "artifact_bytes": 100}, "infer": {"seconds": 0.5, "tokens": 9,
        "artifact_bytes": 10}, "encode": {"seconds": 0, "tokens": 0, "artifact_bytes": 1}, "select": {"seconds": 0,
        "tokens": 0, "artifact_bytes": 1}, "merge": {"seconds": 2, "tokens": 0, "artifact_bytes": 100}}})");
    auto const simulate = [&](int ranks, int nodes) {
        auto const result = samner_command(fmt::format(
            "plan experiments/tiny.yaml --simulate --ranks {} --nodes {} --profile {} --json", ranks, nodes, rates));
        EXPECT_EQ(result.code, 0) << result.output;
        auto json = parse_json(result.output, "plan --simulate");
        json.erase("simulated_in");
        return json;
    };
    auto const alone = simulate(1, 1);
    EXPECT_EQ(alone, simulate(1, 1)) << "what selections choose is drawn alike in each call";
    // One rank does one thing after the other, 3 ms apart.
    EXPECT_NEAR(alone["seconds"].get<double>(),
                alone["rank_seconds"].get<double>() + 0.003 * alone["assignments"].get<double>(), 1e-6);
    EXPECT_EQ(alone["guessed"], "");
    double before = alone["seconds"];
    for (int const ranks : {2, 16}) {
        auto const more = simulate(ranks, 2);
        EXPECT_EQ(more["rank_seconds"], alone["rank_seconds"]);
        EXPECT_EQ(more["bytes_written"], alone["bytes_written"]);
        EXPECT_LT(more["seconds"], before);
        EXPECT_GE(more["seconds"], more["critical_path"]);
        before = more["seconds"];
    }
    EXPECT_THAT(samner_command("plan experiments/tiny.yaml --simulate --ranks 2").output,
                AllOf(HasSubstr("ranks at work"), HasSubstr("guessed, not measured")));
    for (auto const& [options, message] : std::vector<std::pair<std::string, std::string>>{
             {"--simulate --ranks 2 --nodes 3", "give each node at least one rank"},
             {"--simulate", "--ranks"},
             {"--ranks 2", "--simulate"},
             {"--profile " + in("no.json", "{}"), "is no file of rates"},
             {"--profile " + in("odd.json", R"({"version": 1, "kinds": {"trian": {}}})"), "did you mean train?"}}) {
        auto const result = samner_command("plan experiments/tiny.yaml " + options);
        EXPECT_EQ(result.code, 2) << options;
        EXPECT_THAT(result.output, HasSubstr(message));
    }
}

TEST_F(Verbs, PlanSaysWhatHashingCostsAndRemembersIt) {
    auto const command = fmt::format("SAMNER_CACHE='{}' {} plan experiments/tiny.yaml", path("cache"), SAMNER_BINARY);
    auto const first = run_command(command);
    ASSERT_EQ(first.code, 0) << first.output;
    EXPECT_THAT(first.output, ContainsRegex("hashing  [1-9][0-9.]* MB of inputs in .* s, 0 B remembered\n"));
    auto const second = run_command(command);
    EXPECT_THAT(second.output, ContainsRegex("hashing  0 B of inputs in .* s, [1-9][0-9.]* MB remembered\n"));
}

/// Self-consistency: half of the samples name Paris; three of four name Rome, two of them as a city.
TEST_F(Verbs, ScoreCombinesTheSamplesOfOneSystem) {
    auto const gold =
        in("gold.jsonl", R"({"id": "1", "text": "Paris and Rome", "types": ["city", "person"], "entities": )"
                         R"([{"text": "Paris", "type": "city"}, {"text": "Rome", "type": "city"}]})"
                         "\n");
    auto const samples =
        in("samples.jsonl", R"({"id": "1", "sample": 0, "entities": [{"text": "Paris", "type": "city"}]}
{"id": "1", "sample": 1, "entities": [{"text": "Paris", "type": "city"}, {"text": "Rome", "type": "person"}]}
{"id": "1", "sample": 2, "entities": [{"text": "Rome", "type": "city"}]}
{"id": "1", "sample": 3, "entities": [{"text": "Rome", "type": "city"}, {"text": "and", "type": "city"}]}
)");
    auto const score = [&](std::string const& how) {
        return samner_command(fmt::format("score --gold {} --pred {} --combine {}", gold, samples, how)).output;
    };
    EXPECT_THAT(score("vote"), HasSubstr("(tp 2, fp 0, fn 0)"));
    EXPECT_THAT(score("union"), HasSubstr("(tp 2, fp 2, fn 0)"));
    EXPECT_THAT(score("intersection"), HasSubstr("(tp 0, fp 0, fn 2)"));
    EXPECT_EQ(samner_command(fmt::format("score --gold {} --pred {}", gold, samples)).code, 2);
}

TEST_F(Verbs, DataStatsShowsTable11BesideWhatIsThere) {
    auto const result = samner_command("data stats --root tests/data/corpora");
    ASSERT_EQ(result.code, 0) << result.output;
    EXPECT_THAT(result.output, testing::ContainsRegex("biomedical +bc5cdr +2 +4560 +4581 +4797 +6594 +bc5cdr +2 "));
    EXPECT_THAT(result.output, testing::ContainsRegex("all +148147"));
    EXPECT_EQ(samner_command("data stats --root tests/data/corpora --table nowhere.yaml").code, 2);
}

/// llama-tiny with a vocabulary and a head of its own that make the tensors take some time to write.
void make_large_base(fs::path const& base) {
    constexpr std::int64_t vocabulary = 200'000;
    auto const source = golden("models/llama-tiny");
    fs::create_directories(base);
    auto config = read_json(source / "config.json");
    config["tie_word_embeddings"] = false;
    config["vocab_size"] = vocabulary;
    write_atomically(base / "config.json", config.dump());
    weights::SafetensorsFile const whole{source / "model.safetensors"};
    std::vector<float> const values(static_cast<std::size_t>(vocabulary * 64), 0.25F);
    std::vector<weights::TensorView> tensors;
    for (auto const& tensor : whole.tensors())
        if (tensor.name != "model.embed_tokens.weight") tensors.push_back(tensor);
    for (auto const* name : {"lm_head.weight", "model.embed_tokens.weight"})
        tensors.push_back({name, weights::Dtype::f32, {vocabulary, 64}, std::as_bytes(std::span{values})});
    weights::write_safetensors(base / "model.safetensors", tensors);
}

TEST_F(Verbs, MergeWhoseRankIsKilledLeavesNoFolderThatLooksFinishedAndTheSameMergeSucceedsAfterwards) {
    make_large_base(folder / "base");
    auto const merge = fmt::format("merge {} --space delta --base {} --out {}",
                                   golden("adapters/llama-tiny/all-linear").string(), path("base"), path("out"));
    // The second rank is killed as soon as the first one has made the folder, which both then fill.
    auto const rank = in("rank.sh", fmt::format("{0} {1} &\n"
                                                "rank=$!\n"
                                                "while [ ! -e {2} ] && kill -0 $rank; do :; done\n"
                                                "[ -e {2} ] && touch {3}\n"
                                                "kill -9 $rank\n"
                                                "wait $rank\n",
                                                SAMNER_BINARY, merge, path("out.partial"), path("seen")));
    auto const killed = run_command(
        fmt::format("mpirun --oversubscribe --bind-to none -n 1 {} {} : -n 1 sh {}", SAMNER_BINARY, merge, rank));
    EXPECT_NE(killed.code, 0) << killed.output;
    EXPECT_FALSE(fs::exists(folder / "out")) << killed.output;
    EXPECT_TRUE(fs::exists(folder / "seen")) << "it was not killed in the middle\n" << killed.output;

    succeed(merge + " -n 2");
    EXPECT_FALSE(fs::exists(folder / "out.partial"));
    fs::rename(folder / "out", folder / "two");
    succeed(merge);
    EXPECT_EQ(sha256_file(folder / "two/model.safetensors"), sha256_file(folder / "out/model.safetensors"));
}

/// What every verb but `run` writes, with an input that would do and a model that is not there: a check before any work
/// says nothing of it.
TEST_F(Verbs, RefuseAnOutputThatExistsOrCannotBeWrittenBeforeAnyWork) {
    auto const texts = in("texts.jsonl", "{\"id\": 1, \"text\": \"a\", \"prompt\": \"a\", \"ids\": [1]}\n");
    fs::create_directories(folder / "run");
    std::vector<std::string> const files{
        fmt::format("generate --model no --in {}", texts),
        fmt::format("predict --model no --in {} --types a", texts),
        fmt::format("encode --encoder no --in {}", texts),
        fmt::format("model tokenize no --in {}", texts),
        fmt::format("model logits no --in {}", texts),
        "data export no --as gold",
        fmt::format("combine --how union {0} {0}", texts),
        fmt::format("report {}", path("run")),
        fmt::format("merge no --out {} --report", path("new")),
    };
    std::vector<std::string> const folders{fmt::format("train --model no --data {}", texts), "merge no"};
    auto const refused = [&](std::string const& verb, std::string const& out, char const* why) {
        auto const option = verb.ends_with("--report") ? "" : " --out";
        auto const result = samner_command(fmt::format("{}{} {}", verb, option, path(out)));
        EXPECT_EQ(result.code, 2) << verb << " " << out << "\n" << result.output;
        EXPECT_THAT(result.output, HasSubstr(why)) << verb << " " << out;
    };
    in("there", "precious");
    in("there-too", "precious");
    fs::create_symlink("there", folder / "link");
    fs::create_directories(folder / "folder");
    in("folder/file", "precious");
    for (auto const& verb : files)
        refused(verb, "there", "exists already — remove it, name another, or replace it with --overwrite");
    refused(files[1], "link", "exists already");
    refused(files[1], "no/where", "is no folder");
    refused(files[1], "folder", "it is a folder");
    refused(files[1], "slash/", "it names no file");
    for (auto const& verb : folders) refused(verb, "folder/", "exists already");
    refused(folders[1], "folder --overwrite", "is not what this writes");
    refused(folders[1], "there", "it is there and no folder");
    refused(folders[1], "there-too/adapter", "is no folder");
    EXPECT_EQ(read_text(folder / "there"), "precious");
    EXPECT_EQ(read_text(folder / "folder/file"), "precious");
}

TEST_F(Verbs, ReplaceAnOutputWhereToldToAndSayWhatTheyWrote) {
    auto const texts = in("texts.jsonl", "{\"id\": 1, \"text\": \"a\"}\n{\"id\": 2, \"text\": \"b\"}\n");
    in("elsewhere", "old");
    fs::create_symlink("elsewhere", folder / "ids.jsonl");
    auto const result =
        samner_command(fmt::format("model tokenize {} --in {} --out {} --overwrite", tiny, texts, path("ids.jsonl")));
    EXPECT_EQ(result.code, 0);
    EXPECT_EQ(result.output, fmt::format("wrote {}: token ids of 2 texts\n", path("ids.jsonl")));
    EXPECT_TRUE(fs::is_symlink(folder / "ids.jsonl"));
    EXPECT_EQ(lines("elsewhere").size(), 2U);

    train_an_expert();
    auto const adapter = golden("merging/adapters/e0").string();
    succeed(fmt::format("merge {} --out {} --overwrite --report {}", adapter, path("expert/"), path("report.json")));
    EXPECT_FALSE(fs::exists(folder / "expert/metrics.jsonl")) << "the folder is another one";
    EXPECT_FALSE(fs::exists(folder / "expert.partial"));
    succeed(fmt::format("merge {} --out {}", adapter, path("merged/")));
    EXPECT_TRUE(fs::exists(folder / "merged/adapter_config.json"));
}

TEST_F(Verbs, WriteToAFifoAndLeaveItThere) {
    auto const texts = in("texts.jsonl", "{\"id\": 1, \"text\": \"a\"}\n");
    for (auto const& verb : {fmt::format("model tokenize {} --in {}", tiny, texts),
                             fmt::format("predict --model {} --in {} --types a --max-new-tokens 2", tiny, texts)}) {
        auto const result = run_command(
            fmt::format("rm -f {0} {1}; mkfifo {0} && (cat {0} > {1} & {2} {3} --out {0}; code=$?; wait; exit $code)",
                        path("fifo"), path("read.jsonl"), SAMNER_BINARY, verb));
        EXPECT_EQ(result.code, 0) << result.output;
        EXPECT_TRUE(fs::is_fifo(folder / "fifo"));
        EXPECT_EQ(lines("read.jsonl").size(), 1U) << verb;
    }
}

TEST_F(Verbs, PredictGivesEntitiesAsTheyStandInTheTextAndGoesOnWhereItWasStopped) {
    auto const data = "--root tests/data/tiny --configs tests/data/tiny/datasets";
    succeed(
        fmt::format("train --model {0} --data tiny-zoo {1} --layout short --out {2} r=8 lora_alpha=16 "
                    "learning_rate=8e-3 num_train_epochs=4 batch_size=8 micro_batch_size=4",
                    tiny, data, path("zoo")));
    EXPECT_EQ(read_json(folder / "zoo/adapter_config.json")["base_model_name_or_path"], tiny);
    succeed(fmt::format("data export tiny-expedition --as texts {} --out {}", data, path("exported.jsonl")));
    auto const exported = lines("exported.jsonl");
    std::string texts;
    auto const count = 4 * exported.size();
    for (std::size_t i = 0; i < count; ++i) {
        auto const text = exported[i % exported.size()]["text"].get<std::string>();
        texts += to_text(Json{{"id", i}, {"text", "\U0001F600 " + text}}) + "\n";
    }
    auto const input = in("texts.jsonl", texts);
    auto const predict = [&](std::string const& out, std::string const& more = "") {
        return fmt::format(
            "predict --model {} --adapter {} --in {} --types river,city,animal --layout short "
            "--max-new-tokens 64 --num-slots 2 --out {} {}",
            tiny, path("zoo"), input, path(out), more);
    };
    succeed(predict("whole.jsonl"));
    auto const whole = lines("whole.jsonl");
    ASSERT_EQ(whole.size(), count);
    std::size_t entities = 0;
    for (std::size_t i = 0; i < whole.size(); ++i) {
        EXPECT_EQ(whole[i]["id"], i) << "a number stays one";
        std::int64_t last = -1;
        for (auto const& entity : whole[i]["entities"]) {
            corpus::Span const span{entity["start"], entity["end"]};
            EXPECT_EQ(corpus::cut(whole[i]["text"].get<std::string>(), span), entity["text"].get<std::string>());
            EXPECT_GE(span.begin, last);
            last = span.begin;
            ++entities;
        }
    }
    EXPECT_GT(entities, 0U);

    // Stopped as soon as two lines are there.
    auto const stop = fmt::format(
        "{} {} & pid=$!; while kill -0 $pid && [ \"$(wc -l < {} 2>/dev/null || echo 0)\" -lt 2 ]; "
        "do sleep 0.002; done; kill -TERM $pid; wait $pid",
        SAMNER_BINARY, predict("out.jsonl"), path("out.jsonl.partial"));
    auto const stopped = run_command(stop);
    ASSERT_EQ(stopped.code, 75) << stopped.output;
    EXPECT_FALSE(fs::exists(folder / "out.jsonl"));
    auto const part = read_text(folder / "out.jsonl.partial");
    EXPECT_TRUE(read_text(folder / "whole.jsonl").starts_with(part));
    EXPECT_GE(std::ranges::count(part, '\n'), 2);
    auto const other = samner_command(predict("out.jsonl", "--format sentences"));
    EXPECT_EQ(other.code, 2);
    EXPECT_THAT(other.output, HasSubstr("was begun with another settings"));
    EXPECT_EQ(read_text(folder / "out.jsonl.partial"), part);
    write_atomically(folder / "torn", part + "{\"id\": 7, \"te");
    fs::rename(folder / "torn", folder / "out.jsonl.partial");
    auto const went_on = samner_command(predict("out.jsonl"));
    EXPECT_EQ(went_on.code, 0) << went_on.output;
    EXPECT_THAT(went_on.output, HasSubstr("from an earlier call"));
    EXPECT_EQ(read_text(folder / "out.jsonl"), read_text(folder / "whole.jsonl"));
    EXPECT_FALSE(fs::exists(folder / "out.jsonl.partial"));
    EXPECT_FALSE(fs::exists(folder / "out.jsonl.partial.json"));

    // What cannot be a part of it is refused, and started anew where that is said.
    auto const refused = [&](std::string const& bytes, char const* why) {
        fs::remove(folder / "x.jsonl");
        write_atomically(folder / "made", bytes);
        fs::rename(folder / "made", folder / "x.jsonl.partial");
        auto const result = samner_command(predict("x.jsonl"));
        EXPECT_EQ(result.code, 2) << result.output;
        EXPECT_THAT(result.output, HasSubstr(why));
    };
    refused(part, "nothing says what it is part of");
    succeed(predict("x.jsonl", "--overwrite"));
    EXPECT_EQ(read_text(folder / "x.jsonl"), read_text(folder / "whole.jsonl"));

    // A corpus and its gold speak of the same sentences, by names or labels of types.
    auto const of_corpus = fmt::format("--data tiny-expedition {}", data);
    succeed(fmt::format("predict --model {} --adapter {} {} --layout short --max-new-tokens 64 --out {}", tiny,
                        path("zoo"), of_corpus, path("corpus.jsonl")));
    for (std::size_t i = 0; i < exported.size(); ++i) EXPECT_EQ(lines("corpus.jsonl")[i]["id"], exported[i]["id"]);
    succeed(fmt::format("data export tiny-expedition --as gold {} --out {}", data, path("gold.jsonl")));
    auto const score = [&](std::string const& gold) {
        return parse_json(run_command(fmt::format("{} score {} --pred {} --json 2>/dev/null", SAMNER_BINARY, gold,
                                                  path("corpus.jsonl")))
                              .output,
                          "output");
    };
    auto const by_corpus = score(of_corpus);
    EXPECT_GT(by_corpus["metric"]["entity"]["tp"], 0);
    EXPECT_EQ(by_corpus["metric"], score("--gold " + path("gold.jsonl"))["metric"]);
    EXPECT_TRUE(by_corpus["metric"].contains("offsets"));
}

TEST_F(Verbs, ScoreTakesTheGoldOfACorpusWithLabelsForNames) {
    write_atomically(
        folder / "news.yaml",
        "id: news\ndomain: d\ndescription: s\nsplits: {test: [{file: news.tsv}]}\n"
        "types: [{label: ORG, name: organization}, {label: person, name: human}, {label: PER, name: person}]\n");
    in("news.tsv", "Acme\tB-ORG\nhires\tO\nAda\tB-PER\n\nBob\tB-person\n");
    auto const predictions =
        in("pred.jsonl",
           R"({"id": "news/test/0", "entities": [{"text": "acme", "type": "ORG"}, {"text": "Ada", "type": "person"}]}
{"id": "news/test/1", "entities": [{"text": "Bob", "type": "person"}]}
)");
    auto const data = fmt::format("--data news --root {0} --configs {0}", folder.path().string());
    auto const result = run_command(
        fmt::format("{} score {} --pred {} --resamples 0 --json 2>/dev/null", SAMNER_BINARY, data, predictions));
    ASSERT_EQ(result.code, 0) << result.output;
    auto const document = parse_json(result.output, "output");
    EXPECT_EQ(document["metric"]["entity"]["tp"], 2);
    EXPECT_EQ(document["metric"]["entity"]["fp"], 1) << "person is the name of another type, and taken as that";
    for (auto const& wrong : {std::string{}, fmt::format("{} --gold {}", data, predictions), data + " --types a"})
        EXPECT_EQ(samner_command(fmt::format("score {} --pred {}", wrong, predictions)).code, 2) << wrong;
}

TEST_F(Verbs, CombineMakesOneAnswerOfSeveral) {
    auto const text = R"({"id": 1, "text": "Romeo left Rome with ADA", "entities": [)";
    auto const a =
        in("a.jsonl", std::string{text} + R"({"text": "Rome", "type": "city"}, {"text": "Ada", "type": "person"}]}
{"id": "x", "text": "", "entities": []}
)");
    auto const b = in("b.jsonl", "{\"id\": \"x\", \"entities\": []}\n" + std::string{text} +
                                     R"({"text": "rome", "type": "person"}]})" + "\n");
    auto const c =
        in("c.jsonl", std::string{text} + R"({"text": "ROME", "type": "city"}, {"text": "Paris", "type": "city"}]}
{"id": "x", "entities": []}
)");
    auto const combine = [&](std::string const& options) {
        succeed(fmt::format("combine {} --overwrite --out {}", options, path("out.jsonl")));
        auto const combined = lines("out.jsonl");
        EXPECT_EQ(combined.size(), 2U);
        EXPECT_EQ(combined[0]["id"], 1);
        EXPECT_EQ(combined[1]["id"], "x");
        return combined[0]["entities"].dump();
    };
    auto const rome = [](char const* type) {
        return fmt::format(R"({{"end":15,"start":11,"text":"Rome","type":"{}"}})", type);
    };
    std::string const ada = R"({"end":24,"start":21,"text":"ADA","type":"person"})";
    EXPECT_EQ(combine(fmt::format("{} {} {} --how vote", a, b, c)), fmt::format("[{}]", rome("city")));
    EXPECT_EQ(combine(fmt::format("{} {} --how union", a, b)),
              fmt::format("[{},{},{}]", rome("city"), rome("person"), ada));
    EXPECT_EQ(combine(fmt::format("{} {} --how intersection", a, c)), fmt::format("[{}]", rome("city")));
    EXPECT_EQ(combine(fmt::format("{} {} --how vote", a, b)), fmt::format("[{},{}]", rome("city"), ada));
    EXPECT_EQ(combine(fmt::format("{} {} --how vote --types person,city", a, b)),
              fmt::format("[{},{}]", rome("person"), ada));
    auto const warned = samner_command(fmt::format("combine {} {} --how union --out {}", a, c, path("warned.jsonl")));
    EXPECT_THAT(warned.output, HasSubstr("1 mentions are not in their texts"));
    auto const refused = [&](std::string const& options) {
        auto const result = samner_command(fmt::format("combine {} --out {}", options, path("none.jsonl")));
        EXPECT_EQ(result.code, 2) << options << result.output;
        EXPECT_FALSE(fs::exists(folder / "none.jsonl"));
        return result.output;
    };
    EXPECT_THAT(refused(fmt::format("{} {} --how most", a, b)), HasSubstr("--how is 'most'"));
    EXPECT_THAT(refused(fmt::format("{} {} --how union", a, in("d.jsonl", "{\"id\": 1, \"entities\": []}\n"))),
                HasSubstr("no prediction for id x"));
    EXPECT_THAT(refused(fmt::format("{} {} --how union", a,
                                    in("e.jsonl", "{\"id\": 1, \"text\": \"other\", \"entities\": []}\n"))),
                HasSubstr("has another text than before"));
    EXPECT_THAT(refused(fmt::format("{} {} --how union", a, in("f.jsonl", "{\"id\": 1, \"completion\": \"[]\"}\n"))),
                HasSubstr("without its types"));
}

TEST_F(Verbs, DataExportWritesTextsAndGoldUnderTheIdsOfPredict) {
    auto const data = "--root tests/data/corpora";
    succeed(
        fmt::format("data export bc5cdr:train ncbi:train --as gold --count 3 {} --out {}", data, path("gold.jsonl")));
    auto const gold = lines("gold.jsonl");
    ASSERT_EQ(gold.size(), 3U);
    EXPECT_EQ(gold[0]["id"], "bc5cdr/train/0");
    EXPECT_EQ(gold[0]["types"], Json({"chemical", "disease"}));
    for (auto const& line : gold)
        for (auto const& entity : line["entities"])
            EXPECT_EQ(corpus::cut(line["text"].get<std::string>(), {entity["start"], entity["end"]}),
                      entity["text"].get<std::string>());
    succeed(
        fmt::format("data export bc5cdr:train ncbi:train --as texts --count 3 {} --out {}", data, path("texts.jsonl")));
    auto const texts = lines("texts.jsonl");
    for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(texts[i], (Json{{"id", gold[i]["id"]}, {"text", gold[i]["text"]}}));
    auto const refused =
        samner_command(fmt::format("data export bc5cdr --as gold --seed 1 {} --out {}", data, path("none")));
    EXPECT_EQ(refused.code, 2);
    EXPECT_THAT(refused.output, HasSubstr("options of prompts are given with --as gold"));
}

TEST_F(Verbs, AdaptersOfOneBaseAreMergedUnderWhateverPathTheyNameIt) {
    auto const adapter = golden("merging/adapters/e0");
    for (auto const& [name, base] :
         {std::pair{"bare", "model"}, std::pair{"path", "/models/of/model/"}, std::pair{"other", "hub/else"}}) {
        fs::copy(adapter, folder / name);
        auto config = read_json(folder / name / "adapter_config.json");
        config["base_model_name_or_path"] = base;
        write_atomically(folder / name / "adapter_config.json", config.dump());
    }
    succeed(fmt::format("merge {} {} --out {}", path("bare"), path("path"), path("a")));
    succeed(fmt::format("merge {} {} --out {}", path("path"), path("bare"), path("b")));
    EXPECT_EQ(read_json(folder / "a/adapter_config.json")["base_model_name_or_path"], "/models/of/model/");
    EXPECT_EQ(read_text(folder / "a/adapter_config.json"), read_text(folder / "b/adapter_config.json"));
    EXPECT_EQ(samner_command(fmt::format("merge {} {} --out {}", path("bare"), path("other"), path("c"))).code, 2);
}

TEST_F(Verbs, StopOnASignalAndLeaveNothingHalfWritten) {
    std::string many;
    for (int i = 0; i < 2000; ++i)
        many += Json{{"id", i}, {"entities", Json::array({{{"text", "a"}, {"type", "b"}}})}}.dump() + "\n";
    auto const gold = in("gold.jsonl", many);
    ASSERT_EQ(run_command("mkfifo " + path("fifo")).code, 0);
    // Sends the signal when the verb has its handlers. Shells have what they put in the background ignore INT.
    auto const script = in("stop.py", R"(
import signal, subprocess, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)
number = int(sys.argv[1])
verb = subprocess.Popen(sys.argv[2:])
def caught():
    lines = open(f"/proc/{verb.pid}/status").read().splitlines()
    return int(next(line for line in lines if line.startswith("SigCgt")).split()[1], 16)
while verb.poll() is None and not caught() >> number - 1 & 1:
    time.sleep(0.01)
verb.send_signal(number)
sys.exit(verb.wait())
)");
    // The first would take a long time, the second waits for a reader of its output.
    for (auto const& verb : {fmt::format("score --gold {0} --pred {0} --resamples 5000000", gold),
                             fmt::format("combine --how union {} --out {}", gold, path("fifo"))}) {
        for (auto const& [signal, code] : {std::pair{2, 130}, std::pair{15, 75}}) {
            auto const result = run_command(fmt::format("python3 {} {} {} {}", script, signal, SAMNER_BINARY, verb));
            EXPECT_EQ(result.code, code) << verb << result.output;
            EXPECT_THAT(result.output, testing::StartsWith("error: stopped on signal")) << result.output;
            EXPECT_EQ(std::ranges::count(result.output, '\n'), 1) << result.output;
        }
    }
    make_large_base(folder / "base");
    auto const merge = fmt::format("merge {} --space delta --base {} --out {}",
                                   golden("adapters/llama-tiny/all-linear").string(), path("base"), path("out"));
    auto const result =
        run_command(fmt::format("{} {} & pid=$!; while kill -0 $pid && [ ! -e {} ]; do :; done; "
                                "kill -TERM $pid; wait $pid",
                                SAMNER_BINARY, merge, path("out.partial")));
    // It may just have been done.
    EXPECT_TRUE(result.code == 75 || (result.code == 0 && fs::exists(folder / "out"))) << result.code << result.output;
    EXPECT_FALSE(fs::exists(folder / "out.partial"));
}

}  // namespace
}  // namespace samner
