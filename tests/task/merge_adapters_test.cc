#include "task/merge_adapters.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "core/error.h"
#include "core/file.h"
#include "core/json.h"
#include "golden.h"
#include "merge/model.h"
#include "mpi_test.h"
#include "temporary_folder.h"
#include "weights/checkpoint.h"
#include "weights/safetensors.h"

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
    auto one = request({"e0", "e1", "e2"}, GetParam());
    one.report = true;
    auto const alone = merge_adapters(one);
    auto const together = merge_adapters(one, &mpi_session().teams());
    EXPECT_EQ(together.adapter, alone.adapter);
    EXPECT_EQ(together.provenance, alone.provenance);
    std::vector<std::string> const experts{"e0", "e1", "e2"};
    EXPECT_EQ(merge::to_json(experts, together.reports), merge::to_json(experts, alone.reports));
    EXPECT_EQ(together.reports.size(), together.adapter.modules.size());
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
        return std::vector<merge::ModuleRule>{{.pattern = "q_proj", .value = q}, {.value = rest}};
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

/// An adapter of llama-tiny's layer 0 whose ranks differ by module, with factors drawn from `seed`.
void write_patterned(std::filesystem::path const& folder, std::int32_t r,
                     std::vector<std::pair<std::string, std::int32_t>> const& pattern, std::uint64_t seed) {
    weights::Adapter adapter;
    adapter.settings.r = r;
    adapter.settings.lora_alpha = 8;
    adapter.settings.rank_pattern = pattern;
    adapter.settings.target_modules = {"k_proj", "o_proj", "q_proj"};
    std::vector<std::string> names;
    for (auto const& target : adapter.settings.target_modules)
        names.push_back(fmt::format("model.layers.0.self_attn.{}", target));
    auto const scales = weights::lora_scales(adapter.settings, names);
    std::uint64_t state = seed;
    auto const draw = [&state] {
        state = state * 6364136223846793005ULL + 1442695040888963407ULL;
        return static_cast<float>(static_cast<double>(state >> 40U) * 0x1p-24 - 0.5);
    };
    for (std::size_t i = 0; i < names.size(); ++i) {
        weights::LoraModule module{names[i], scales[i].rank, scales[i].scaling, 64, 64, {}, {}};
        for (std::int64_t n = 0; n < 64 * module.rank; ++n) {
            module.a.push_back(draw());
            module.b.push_back(draw());
        }
        adapter.modules.push_back(module);
    }
    weights::write_adapter(folder, adapter);
}

/// Adds scaling * b a in double.
void add_product(weights::LoraModule const& module, std::vector<double>& sum) {
    sum.resize(static_cast<std::size_t>(module.out * module.in));
    for (std::int64_t row = 0; row < module.out; ++row)
        for (std::int64_t column = 0; column < module.in; ++column)
            for (std::int64_t k = 0; k < module.rank; ++k)
                sum[static_cast<std::size_t>(row * module.in + column)] +=
                    module.scaling * double{module.b[static_cast<std::size_t>(row * module.rank + k)]} *
                    double{module.a[static_cast<std::size_t>(k * module.in + column)]};
}

TEST(MergeAdapters, AsPeftDoGiveEveryModuleTheLargestRankThatAnAdapterNames) {
    if (mpi_session().rank() != 0) return;
    TemporaryFolder const folder;
    write_patterned(folder / "a", 2, {{"o_proj", 4}}, 1);
    write_patterned(folder / "b", 1, {{"o_proj", 3}, {"k_proj", 2}}, 2);
    AdapterMerge one;
    one.adapters = {folder / "a", folder / "b"};
    auto const merged = [&](merge::Compatibility peer, merge::Method method, std::int64_t rank = 0) {
        one.options = merge::MergeOptions{.method = method, .density = 1.0, .rank = rank};
        one.options = merge::follow(peer, one.options);
        return merge_adapters(one).adapter;
    };
    auto const ranks = [](weights::Adapter const& adapter) {
        std::vector<std::int32_t> all;
        for (auto const& module : adapter.modules) all.push_back(module.rank);
        return all;
    };
    using enum merge::Compatibility;
    for (auto const peer : {peft, peft_0_18}) {
        for (auto const method : {merge::Method::svd, merge::Method::ties_svd})
            EXPECT_THAT(ranks(merged(peer, method)), testing::Each(4));
        EXPECT_THAT(ranks(merged(peer, merge::Method::svd, 3)), testing::Each(3)) << "a rank that is given";
    }
    EXPECT_THAT(ranks(merged(samner, merge::Method::svd)), testing::ElementsAre(2, 4, 2));

    auto const adapter = merged(peft, merge::Method::svd);
    EXPECT_EQ(adapter.settings.r, 4);
    EXPECT_TRUE(adapter.settings.rank_pattern.empty());
    auto const a = weights::read_adapter(folder / "a");
    auto const b = weights::read_adapter(folder / "b");
    for (std::size_t i : {0, 2}) {  // 2 + 2 and 2 + 1: nothing of the sum is cut off at rank 4
        std::vector<double> expected;
        std::vector<double> found;
        add_product(a.modules[i], expected);
        add_product(b.modules[i], expected);
        add_product(adapter.modules[i], found);
        // Rounding b and a to float32: two roundings of each of four products of at most the largest singular value.
        double largest = 0.0;
        for (auto const value : expected) largest = std::max(largest, std::abs(value));
        for (std::size_t n = 0; n < found.size(); ++n) ASSERT_NEAR(found[n], expected[n], 0x1p-20 * 64 * largest);
    }

    write_patterned(folder / "c", 2, {{"elsewhere", 5}}, 3);
    one.adapters = {folder / "c"};
    EXPECT_THAT(ranks(merged(peft, merge::Method::svd)), testing::Each(5)) << "also of a pattern that matches nothing";
    one.adapters = {folder / "a", folder / "c"};
    EXPECT_THAT(ranks(merged(peft, merge::Method::svd)), testing::Each(5));
}

/// llama-tiny in bfloat16 and two files. @return which tensor is in which
Json make_base(std::filesystem::path const& base) {
    auto const source = golden("models/llama-tiny");
    std::filesystem::create_directories(base);
    std::filesystem::copy_file(source / "config.json", base / "config.json");
    weights::SafetensorsFile const whole{source / "model.safetensors"};
    std::vector<weights::TensorView> const& tensors = whole.tensors();
    Json map;
    std::vector<std::vector<std::byte>> halves;
    for (int shard = 0; shard < 2; ++shard) {
        std::vector<weights::TensorView> views;
        for (std::size_t i = static_cast<std::size_t>(shard); i < tensors.size(); i += 2) {
            auto& bytes = halves.emplace_back(static_cast<std::size_t>(tensors[i].elements()) * 2);
            weights::from_float(weights::Dtype::bf16, whole.floats(tensors[i].name), bytes);
            views.push_back({tensors[i].name, weights::Dtype::bf16, tensors[i].shape, bytes});
            map[tensors[i].name] = fmt::format("model-{}.safetensors", shard);
        }
        weights::write_safetensors(base / fmt::format("model-{}.safetensors", shard), views, {{"format", "pt"}});
    }
    write_atomically(base / "model.safetensors.index.json", Json{{"weight_map", map}}.dump());
    return map;
}

TEST(FoldAdapters, KeepsShardsTypesAndUntouchedTensorsOfTheBase) {
    if (mpi_session().rank() != 0) return;
    TemporaryFolder const folder;
    auto const base = folder / "base";
    auto const map = make_base(base);
    AdapterMerge one;
    one.adapters = {golden("adapters/llama-tiny/qv-only")};
    fold_adapters(one, base, folder / "out");
    EXPECT_EQ(read_text(folder / "out/model.safetensors.index.json"), read_text(base / "model.safetensors.index.json"));
    auto const adapter = weights::read_adapter(one.adapters[0]);
    std::size_t changed = 0;
    for (auto const& [name, file] : map.items()) {
        weights::SafetensorsFile const before{base / file.get<std::string>()};
        weights::SafetensorsFile const after{folder / "out" / file.get<std::string>()};
        EXPECT_EQ(after.at(name).dtype, weights::Dtype::bf16);
        auto expected = before.floats(name);
        auto const module = std::ranges::find_if(
            adapter.modules, [&](weights::LoraModule const& each) { return each.name + ".weight" == name; });
        if (module != adapter.modules.end()) {
            ++changed;
            for (std::int64_t row = 0; row < module->out; ++row) {
                for (std::int64_t column = 0; column < module->in; ++column) {
                    float sum = 0;
                    for (std::int64_t k = 0; k < module->rank; ++k)
                        sum += module->b[static_cast<std::size_t>(row * module->rank + k)] *
                               module->a[static_cast<std::size_t>(k * module->in + column)];
                    expected[static_cast<std::size_t>(row * module->in + column)] +=
                        static_cast<float>(module->scaling) * sum;
                }
            }
        }
        auto const found = after.floats(name);
        for (std::size_t i = 0; i < found.size(); ++i) {
            auto const tolerance = module == adapter.modules.end() ? 0 : 0x1p-8 * std::abs(expected[i]) + 1e-6;
            ASSERT_NEAR(found[i], expected[i], tolerance) << name;
        }
    }
    EXPECT_EQ(changed, adapter.modules.size());
}

TEST(FoldAdapters, FoldIntoTheFilesThatTheModelIsReadFromAndLeaveOtherWeightsOut) {
    if (mpi_session().rank() != 0) return;
    TemporaryFolder const folder;
    AdapterMerge one;
    one.adapters = {golden("adapters/llama-tiny/qv-only")};
    fold_adapters(one, golden("models/llama-tiny"), folder / "plain");
    auto const base = folder / "base";
    std::filesystem::copy(golden("models/llama-tiny"), base);
    std::vector<std::string> const others{"adapter_config.json",
                                          "consolidated.safetensors",
                                          "model.fp16.safetensors",
                                          "model-00001-of-00001.safetensors",
                                          "model.gguf",
                                          "model.safetensors.index.json",
                                          "pytorch_model.bin.index.json",
                                          "pytorch_model.bin"};
    for (auto const& name : others) std::filesystem::copy_file(base / "model.safetensors", base / name);
    write_atomically(base / "notes.txt", "kept");
    fold_adapters(one, base, folder / "out");
    EXPECT_EQ(read_text(folder / "out/model.safetensors"), read_text(folder / "plain/model.safetensors"));
    EXPECT_NE(read_text(folder / "out/model.safetensors"), read_text(base / "model.safetensors"));
    for (auto const& name : others) EXPECT_FALSE(std::filesystem::exists(folder / "out" / name)) << name;
    for (auto const* name : {"config.json", "generation_config.json", "tokenizer.json", "notes.txt"})
        EXPECT_EQ(std::filesystem::exists(folder / "out" / name), std::filesystem::exists(base / name)) << name;
}

TEST(FoldAdapters, FoldATensorInTheShardOfTheIndexAndLeaveOutACopyInAnother) {
    if (mpi_session().rank() != 0) return;
    TemporaryFolder const folder;
    AdapterMerge one;
    one.adapters = {golden("adapters/llama-tiny/qv-only")};
    auto const base = folder / "base";
    auto const map = make_base(base);
    fold_adapters(one, base, folder / "plain");
    std::string const name = "model.layers.0.self_attn.q_proj.weight";
    auto const holder = map.at(name).get<std::string>();
    std::string const other = holder == "model-0.safetensors" ? "model-1.safetensors" : "model-0.safetensors";
    {
        weights::SafetensorsFile const from{base / holder};
        weights::SafetensorsFile const file{base / other};
        auto tensors = file.tensors();
        tensors.push_back(from.at(name));
        weights::write_safetensors(base / "changed", tensors, file.metadata());
    }
    // Of both shards the copy comes first in one of the two orders.
    std::filesystem::rename(base / "changed", base / other);
    fold_adapters(one, base, folder / "out");
    for (auto const* file : {"model-0.safetensors", "model-1.safetensors"})
        EXPECT_EQ(read_text(folder / "out" / file), read_text(folder / "plain" / file)) << file;
}

TEST(FoldAdapters, FoldIntoNamesWithoutTheModelsPrefix) {
    if (mpi_session().rank() != 0) return;
    TemporaryFolder const folder;
    AdapterMerge one;
    one.adapters = {golden("adapters/llama-tiny/qv-only")};
    fold_adapters(one, golden("models/llama-tiny"), folder / "plain");
    auto const base = folder / "base";
    std::filesystem::create_directories(base);
    std::filesystem::copy_file(golden("models/llama-tiny/config.json"), base / "config.json");
    weights::SafetensorsFile const whole{golden("models/llama-tiny/model.safetensors")};
    auto tensors = whole.tensors();
    for (auto& tensor : tensors) tensor.name = tensor.name.substr(std::string_view{"model."}.size());
    weights::write_safetensors(base / "model.safetensors", tensors);
    fold_adapters(one, base, folder / "out");
    weights::SafetensorsFile const expected{folder / "plain/model.safetensors"};
    weights::SafetensorsFile const found{folder / "out/model.safetensors"};
    ASSERT_EQ(found.tensors().size(), expected.tensors().size());
    for (auto const& tensor : found.tensors())
        EXPECT_EQ(found.floats(tensor.name), expected.floats("model." + tensor.name)) << tensor.name;
}

/// One folder for all ranks.
class SharedFolder {
public:
    SharedFolder() {
        auto name = own_.path().string();
        mpi_session().teams().broadcast(name);
        path_ = name;
    }
    ~SharedFolder() { mpi_session().teams().barrier(); }
    std::filesystem::path operator/(std::string const& name) const { return path_ / name; }

private:
    TemporaryFolder own_;
    std::filesystem::path path_;
};

TEST(FoldAdapters, WritesTheSameBytesOnAnyNumberOfRanksAndEachRankItsShare) {
    auto const& teams = mpi_session().teams();
    SharedFolder const folder;
    if (teams.rank() == 0) make_base(folder / "base");
    teams.barrier();
    AdapterMerge one;
    one.adapters = {golden("adapters/llama-tiny/all-linear"), golden("adapters/llama-tiny/qv-only")};
    one.options.method = merge::Method::dare_ties;
    auto const bytes = fold_adapters(one, folder / "base", folder / "together", &teams);
    std::vector<std::int64_t> total{static_cast<std::int64_t>(bytes)};
    teams.sum(total);
    if (teams.rank() == 0) {
        auto const all = fold_adapters(one, folder / "base", folder / "alone");
        EXPECT_EQ(static_cast<std::int64_t>(all), total[0]);
        for (auto const* name : {"model-0.safetensors", "model-1.safetensors", "config.json"})
            EXPECT_EQ(read_text(folder / "together" / name), read_text(folder / "alone" / name)) << name;
    }
    std::size_t largest = 0;
    for (auto const* name : {"model-0.safetensors", "model-1.safetensors"}) {
        weights::SafetensorsFile const file{folder / "base" / name};
        for (auto const& tensor : file.tensors()) largest = std::max(largest, tensor.bytes.size());
    }
    EXPECT_LE(static_cast<double>(bytes),
              std::max(1.2 * static_cast<double>(total[0]) / teams.size(), static_cast<double>(largest)));
}

TEST(FoldAdapters, LeavesNothingBehindWhenARankFails) {
    auto const& teams = mpi_session().teams();
    SharedFolder const folder;
    AdapterMerge one;
    one.adapters = {golden("adapters/llama-tiny/qv-only")};
    auto const half = folder / "half";
    if (teams.rank() == 0) {
        std::filesystem::create_directories(half);
        std::filesystem::copy_file(golden("models/llama-tiny/config.json"), half / "config.json");
        weights::SafetensorsFile const whole{golden("models/llama-tiny/model.safetensors")};
        std::vector<weights::TensorView> tensors;
        std::vector<std::vector<std::byte>> memory;
        for (auto const& tensor : whole.tensors()) {
            auto const values = whole.floats(tensor.name);
            auto& bytes = memory.emplace_back(values.size() * 2);
            weights::from_float(weights::Dtype::f16, values, bytes);
            tensors.push_back({tensor.name, weights::Dtype::f16, tensor.shape, bytes});
        }
        weights::write_safetensors(half / "model.safetensors", tensors);
    }
    teams.barrier();
    one.options.lambda = 1e30;
    EXPECT_THAT([&] { fold_adapters(one, half, folder / "out", &teams); },
                ThrowsMessage<Error>(HasSubstr("too large for F16")));
    teams.barrier();
    for (auto const* name : {"out", "out.partial"}) EXPECT_FALSE(std::filesystem::exists(folder / name)) << name;
}

/// llama-tiny with a head of its own: the embedding's values, halved.
void make_untied_base(std::filesystem::path const& base, bool says_so = true) {
    auto const source = golden("models/llama-tiny");
    std::filesystem::create_directories(base);
    auto config = Json::parse(read_text(source / "config.json"));
    if (says_so) config["tie_word_embeddings"] = false;
    write_atomically(base / "config.json", config.dump());
    weights::SafetensorsFile const whole{source / "model.safetensors"};
    auto tensors = whole.tensors();
    auto head = whole.floats("model.embed_tokens.weight");
    for (auto& value : head) value *= 0.5F;
    tensors.push_back({"lm_head.weight", weights::Dtype::f32, {300, 64}, std::as_bytes(std::span<float const>{head})});
    weights::write_safetensors(base / "model.safetensors", tensors);
}

TEST(FoldAdapters, AddsAnUpdateOfTheHeadToItAndRefusesOneThatIsTied) {
    if (mpi_session().rank() != 0) return;
    TemporaryFolder const folder;
    weights::Adapter adapter;
    adapter.settings.r = 1;
    adapter.settings.lora_alpha = 2;
    adapter.settings.target_modules = {"lm_head"};
    weights::LoraModule module{"lm_head", 1, 2.0, 64, 300, std::vector<float>(64), std::vector<float>(300)};
    module.a[3] = 0.25F;
    module.b[17] = 3.0F;
    adapter.modules = {module};
    weights::write_adapter(folder / "adapter", adapter);
    AdapterMerge one;
    one.adapters = {folder / "adapter"};
    for (bool const says_so : {true, false}) {  // the head differs from the embedding whatever the configuration says
        TemporaryFolder const place;
        make_untied_base(place / "base", says_so);
        fold_adapters(one, place / "base", place / "out");
        weights::SafetensorsFile const before{place / "base/model.safetensors"};
        weights::SafetensorsFile const after{place / "out/model.safetensors"};
        auto expected = before.floats("lm_head.weight");
        expected[17 * 64 + 3] += 1.5F;
        EXPECT_EQ(after.floats("lm_head.weight"), expected);
        EXPECT_EQ(after.floats("model.embed_tokens.weight"), before.floats("model.embed_tokens.weight"));
        EXPECT_EQ(weights::Checkpoint::open(place / "out").read("lm_head.weight"), expected);
    }

    EXPECT_THAT([&] { fold_adapters(one, golden("models/llama-tiny"), folder / "tied"); },
                ThrowsMessage<InputError>(HasSubstr("'lm_head', which this model ties to its embedding")));
    EXPECT_FALSE(std::filesystem::exists(folder / "tied"));
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
