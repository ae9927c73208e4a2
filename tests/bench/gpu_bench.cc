// Training and decoding at the shape of Qwen2.5-7B with random weights: LoRA training of packed sequences, and
// sentences behind one shared prefix whose answers are as long as asked for, without speculation. Prints beside both
// what the device reaches in products and copies, and writes all of it as JSON. Run: gpu_bench [--device cuda] [--dtype
// bf16] [--shape 7b|tiny] [--out RESULTS.json]
#include <ATen/ATen.h>
#include <fmt/format.h>
#include <torch/headeronly/version.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <string>
#include <vector>

#include "core/file.h"
#include "core/json.h"
#include "core/parallel.h"
#include "core/random.h"
#include "infer/generate.h"
#include "model/language_model.h"
#include "train/trainer.h"

namespace samner {
namespace {

struct Shape {
    weights::ModelConfig config;
    std::int64_t sequences;        ///< in a step, of training
    std::int64_t micro_batch;      ///< of them in one pass
    std::int64_t sequence_tokens;  ///< a tenth of them are learnt
    std::int64_t steps;            ///< measured, after one that is not
    std::int64_t prefix;           ///< tokens that all prompts share
    std::int64_t sentence;         ///< tokens of a prompt beyond them
    std::int64_t answer;
    std::int64_t sentences;
    std::int64_t slots;
    std::int64_t product_size;  ///< rows and columns of the measured product
    std::int64_t copy_bytes;
};

Shape shape_named(std::string const& name) {
    weights::ModelConfig config;
    config.architecture = "Qwen2ForCausalLM";
    config.rms_norm_eps = 1e-6F;
    config.rope_theta = 1e6;
    config.attention_bias = true;
    if (name == "7b") {
        config.vocab_size = 152064;
        config.hidden_size = 3584;
        config.intermediate_size = 18944;
        config.num_layers = 28;
        config.num_heads = 28;
        config.num_kv_heads = 4;
        config.head_dim = 128;
        config.max_position_embeddings = 4096;
        return {config, 16, 8, 512, 5, 436, 50, 54, 1024, 256, 8192, std::int64_t{1} << 30};
    }
    config.vocab_size = 300;
    config.hidden_size = 64;
    config.intermediate_size = 112;
    config.num_layers = 2;
    config.num_heads = 4;
    config.num_kv_heads = 2;
    config.head_dim = 16;
    config.max_position_embeddings = 256;
    return {config, 4, 2, 40, 2, 70, 10, 6, 12, 5, 256, std::int64_t{1} << 24};
}

class Clock {
public:
    double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }

private:
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// A model whose weights are drawn on the device.
model::LanguageModel random_model(weights::ModelConfig const& config, model::Ops const& ops) {
    model::OwnPlacement placement;
    auto const device = ops.floats({1}).device();
    auto const values = [&](std::vector<std::int64_t> const& shape, double mean, double deviation) {
        return model::Values{shape, [=] {
                                 return at::randn(shape, at::TensorOptions{}.dtype(at::kFloat).device(device))
                                     .mul_(deviation)
                                     .add_(mean);
                             }};
    };
    auto const vector = [&](std::int64_t size, double mean) {
        return ops.place(values({size}, mean, 0.1), false, placement);
    };
    auto const hidden = config.hidden_size;
    auto const inner = config.intermediate_size;
    auto const query = config.num_heads * config.head_dim;
    auto const key = config.num_kv_heads * config.head_dim;
    std::vector<std::pair<std::int64_t, std::int64_t>> const out_in{{query, hidden}, {key, hidden},   {key, hidden},
                                                                    {hidden, query}, {inner, hidden}, {inner, hidden},
                                                                    {hidden, inner}};
    model::LanguageModel model;
    model.config = config;
    model.embeddings = ops.place(values({config.vocab_size, hidden}, 0, 0.02), false, placement);
    for (std::int64_t i = 0; i < config.num_layers; ++i) {
        auto& layer = model.layers.emplace_back();
        layer.attention_norm = vector(hidden, 1);
        layer.mlp_norm = vector(hidden, 1);
        for (std::size_t p = 0; p < out_in.size(); ++p) {
            auto const [out, in] = out_in[p];
            layer.linear[p].weight = ops.prepare(values({out, in}, 0, 0.02), true, placement);
            if (p < 3) layer.linear[p].bias = vector(out, 0);
        }
    }
    model.final_norm = vector(hidden, 1);
    model.head = ops.prepare(values({config.vocab_size, hidden}, 0, 0.02), true, placement);
    auto const frequencies = weights::rope_inverse_frequencies(config);
    auto const angles =
        at::outer(at::arange(config.max_position_embeddings, at::kFloat), at::tensor(at::ArrayRef<float>{frequencies}));
    model.rope_cos = ops.floats(angles.sizes());
    model.rope_sin = ops.floats(angles.sizes());
    model.rope_cos.copy_(angles.cos());
    model.rope_sin.copy_(angles.sin());
    return model;
}

/// Waits for the device.
void finish(at::Tensor const& x) {
    x.flatten()[0].item();
}

/// In FLOP/s, the best of five.
double product_rate(model::Ops const& ops, std::int64_t size) {
    auto const a = ops.zeros({size, size});
    auto c = ops.zeros({size, size});
    double best = 0;
    for (int i = 0; i < 5; ++i) {
        Clock const clock;
        ops.matmul(model::Side::plain, a, model::Side::transposed, a, 1.0F, c, false);
        finish(c);
        best = std::max(best, 2.0 * static_cast<double>(size * size * size) / clock.seconds());
    }
    return best;
}

/// In bytes/s read and written, the best of five.
double copy_rate(model::Ops const& ops, std::int64_t bytes) {
    auto const from = ops.zeros({bytes / 4});
    auto to = ops.zeros({bytes / 4});
    auto const moved = 2.0 * static_cast<double>(from.nbytes());
    double best = 0;
    for (int i = 0; i < 5; ++i) {
        Clock const clock;
        to.copy_(from);
        finish(to);
        best = std::max(best, moved / clock.seconds());
    }
    return best;
}

std::vector<std::int32_t> random_tokens(std::int64_t count, std::int64_t vocabulary, std::string const& purpose) {
    RandomStream const random{1, purpose};
    std::vector<std::int32_t> tokens;
    for (std::int64_t i = 0; i < count; ++i) {
        tokens.push_back(static_cast<std::int32_t>(
            random.below(static_cast<std::uint64_t>(vocabulary), static_cast<std::uint64_t>(i))));
    }
    return tokens;
}

Json bench_training(model::LanguageModel const& model, model::Ops const& ops, Precision precision, Shape const& shape,
                    double product) {
    train::Options options;
    options.dtype = precision;
    options.batch_size = shape.sequences;
    options.micro_batch_size = shape.micro_batch;
    options.max_steps = shape.steps + 1;
    std::vector<train::Example> examples;
    for (std::int64_t i = 0; i < shape.sequences; ++i) {
        auto& one = examples.emplace_back();
        one.ids = random_tokens(shape.sequence_tokens, model.config.vocab_size, fmt::format("example {}", i));
        one.labels = one.ids;
        std::fill_n(one.labels.begin(), shape.sequence_tokens - shape.sequence_tokens / 10, train::not_trained_on);
    }
    double seconds = 0;
    std::int64_t tokens = 0;
    train::Context context;
    context.on_step = [&](train::Step const& step) {
        if (step.step == 1) return;
        seconds += step.seconds;
        tokens += step.tokens;
    };
    train::train(model, ops, options, examples, train::initial_adapter(model.config, options.lora(), 0), context);
    std::int64_t weights = 0;
    for (auto const& layer : model.layers) {
        for (auto const& linear : layer.linear) weights += linear.weight->out() * linear.weight->in();
    }
    auto const rate = static_cast<double>(tokens) / seconds;
    // Forward pass and gradients of activations: four operations a weight and token. Attention, head and adapter not.
    auto const share = 4.0 * static_cast<double>(weights) * rate / product;
    fmt::print("training: {:.0f} tokens/s, {:.0f} % of the product's rate\n", rate, 100 * share);
    return {
        {"tokens_per_second", rate},         {"tokens", tokens}, {"seconds", seconds}, {"share_of_product_rate", share},
        {"sequence", shape.sequence_tokens}, {"rank", options.r}};
}

Json bench_decoding(model::LanguageModel const& model, model::Ops const& ops, Shape const& shape) {
    auto const prefix = random_tokens(shape.prefix, model.config.vocab_size, "prefix");
    std::vector<infer::Request> requests;
    for (std::int64_t i = 0; i < shape.sentences; ++i) {
        auto& prompt = requests.emplace_back().prompt;
        prompt = prefix;
        auto const own = random_tokens(shape.sentence, model.config.vocab_size, fmt::format("sentence {}", i));
        prompt.insert(prompt.end(), own.begin(), own.end());
    }
    infer::Options options;
    options.max_new_tokens = shape.answer;
    options.num_slots = shape.slots;
    options.max_rows = std::max<std::int64_t>(512, 2 * shape.slots);
    options.draft_tokens = 0;
    // What is made ready on first use is not measured.
    infer::generate(model, ops, std::span{requests}.first(static_cast<std::size_t>(shape.slots)), options);
    std::size_t passes = 0;
    std::size_t rows = 0;
    infer::Observer observer;
    observer.pass = [&](std::size_t count) {
        ++passes;
        rows += count;
    };
    Clock const clock;
    infer::generate(model, ops, requests, options, observer);
    auto const seconds = clock.seconds();
    auto const rate = static_cast<double>(shape.sentences) / seconds;
    fmt::print("decoding: {:.1f} sentences/s ({} of {} + {} tokens, answers of {}; {} passes, {:.0f} tokens each)\n",
               rate, shape.sentences, shape.prefix, shape.sentence, shape.answer, passes,
               static_cast<double>(rows) / static_cast<double>(passes));
    return {{"sentences_per_second", rate}, {"sentences", shape.sentences}, {"seconds", seconds}, {"passes", passes},
            {"tokens_in_passes", rows},     {"slots", shape.slots}};
}

void run(std::string const& device, std::string const& dtype, std::string const& name, std::string const& out) {
    auto const precision = parse_precision(dtype, "--dtype");
    bool const kernels = device == "cpu" && precision == Precision::fp32;
    auto const ops = kernels ? model::make_cpu_ops() : model::make_aten_ops(device, precision);
    auto const shape = shape_named(name);
    auto const product = product_rate(*ops, shape.product_size);
    auto const copy = copy_rate(*ops, shape.copy_bytes);
    fmt::print("{}, {}, shape {}: products {:.4g} TFLOP/s, copies {:.4g} GB/s\n", ops->device_name(), dtype, name,
               product / 1e12, copy / 1e9);
    auto const model = random_model(shape.config, *ops);
    Json results{{"device", ops->device_name()}, {"torch", TORCH_VERSION},       {"dtype", dtype}, {"shape", name},
                 {"product_flops", product},     {"copy_bytes_per_second", copy}};
    results["decoding"] = bench_decoding(model, *ops, shape);
    results["training"] = bench_training(model, *ops, precision, shape, product);
    if (!out.empty()) write_atomically(out, results.dump(1) + "\n");
}

}  // namespace
}  // namespace samner

int main(int argc, char** argv) {
    CLI::App app{"Training and decoding at the shape of a 7B model with random weights"};
    std::string device = "cuda";
    std::string dtype = "bf16";
    std::string shape = "7b";
    std::string out;
    int threads = 2;
    app.add_option("--device", device, "cpu, cuda or cuda:INDEX")->capture_default_str();
    app.add_option("--dtype", dtype, "fp32 or bf16")->capture_default_str();
    app.add_option("--shape", shape, "7b or tiny")->capture_default_str()->check(CLI::IsMember({"7b", "tiny"}));
    app.add_option("--threads", threads, "on the CPU")->capture_default_str()->check(CLI::PositiveNumber);
    app.add_option("--out", out, "results as JSON");
    CLI11_PARSE(app, argc, argv);
    try {
        samner::set_num_threads(threads);
        samner::run(device, dtype, shape, out);
    } catch (std::exception const& error) {
        fmt::print(stderr, "error: {}\n", samner::describe(error));
        return static_cast<int>(samner::exit_code(error));
    }
}
