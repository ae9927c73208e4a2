#include <fmt/format.h>

#include <memory>

#include "app/command_line.h"
#include "app/output.h"
#include "app/shared_options.h"
#include "app/verbs.h"
#include "core/file.h"
#include "core/input_lines.h"
#include "core/json.h"
#include "core/parallel.h"
#include "task/engine.h"
#include "token/tokenizer.h"
#include "weights/checkpoint.h"
#include "weights/safetensors.h"

namespace samner::app {
namespace {

namespace fs = std::filesystem;

struct Options {
    ModelOptions model;
    fs::path in;
    Output out;
    bool json = false;
};

void info(Options const& options) {
    auto const checkpoint = weights::Checkpoint::open(options.model.base);
    auto const& config = checkpoint.config();
    std::int64_t parameters = 0;
    for (auto const& name : checkpoint.names()) {
        std::int64_t size = 1;
        for (auto const n : checkpoint.shape(name)) size *= n;
        parameters += size;
    }
    Json const description{{"path", checkpoint.path().string()},
                           {"architecture", config.architecture},
                           {"parameters", parameters},
                           {"vocab_size", config.vocab_size},
                           {"hidden_size", config.hidden_size},
                           {"intermediate_size", config.intermediate_size},
                           {"num_layers", config.num_layers},
                           {"num_heads", config.num_heads},
                           {"num_kv_heads", config.num_kv_heads},
                           {"head_dim", config.head_dim},
                           {"rope_theta", config.rope_theta},
                           {"tie_word_embeddings", config.tie_word_embeddings},
                           {"max_position_embeddings", config.max_position_embeddings},
                           {"end_tokens", config.end_tokens},
                           {"content_hash", checkpoint.content_hash()}};
    if (options.json) {
        fmt::print("{}\n", description.dump(1));
        return;
    }
    for (auto const& [key, value] : description.items())
        fmt::print("{:<24} {}\n", key, value.is_string() ? value.get<std::string>() : value.dump());
}

void tokenize(Options const& options) {
    options.out.check_file();
    auto const tokenizer = token::Tokenizer::open(options.model.base);
    std::string lines;
    std::size_t texts = 0;
    Distinct distinct;
    for_each_input(options.in, [&](Json const& line, std::string const& place) {
        distinct.add(id_of(line, place), place);
        Json const ids{{"id", member<Json>(line, "id", place)},
                       {"ids", tokenizer.encode(member<std::string>(line, "text", place), true)}};
        lines += ids.dump() + "\n";
        ++texts;
    });
    write_atomically(options.out.path, lines);
    say_written(options.out.path, fmt::format("token ids of {}", counted(texts, "text")));
}

void logits(Options const& options) {
    options.out.check_file();
    task::Engine engine{options.model.base, options.model.device, parse_precision(options.model.dtype, "--dtype")};
    std::vector<std::pair<std::string, std::vector<std::int32_t>>> sequences;
    Distinct distinct;
    for_each_input(options.in, [&](Json const& line, std::string const& place) {
        sequences.emplace_back(id_of(line, place), member<std::vector<std::int32_t>>(line, "ids", place));
        distinct.add(sequences.back().first, place);
    });
    std::vector<std::vector<float>> values;
    std::vector<weights::TensorView> tensors;
    auto const vocabulary = engine.checkpoint().config().vocab_size;
    for (auto const& [id, ids] : sequences) values.push_back(engine.logits(ids, options.model.adapter));
    for (std::size_t i = 0; i < sequences.size(); ++i) {
        tensors.push_back({sequences[i].first,
                           weights::Dtype::f32,
                           {std::ssize(sequences[i].second), vocabulary},
                           std::as_bytes(std::span{values[i]})});
    }
    weights::write_safetensors(options.out.path, tensors, {});
    say_written(options.out.path, fmt::format("logits of {}", counted(sequences.size(), "sequence")));
}

}  // namespace

void add_model_verbs(CLI::App& app) {
    auto* const model = app.add_subcommand("model", "Look at a model, tokenise, compute logits");
    model->require_subcommand(1);
    auto options = std::make_shared<Options>();

    auto* const info_verb = model->add_subcommand("info", "Shape, size and hash of a model");
    info_verb->add_option("MODEL", options->model.base, "Hugging Face folder or .gguf file")->required();
    info_verb->add_flag("--json", options->json, "one JSON document");
    add_examples(*info_verb, "samner model info M");
    info_verb->callback([options] { info(*options); });

    auto* const tokenize_verb = model->add_subcommand("tokenize", "Texts to token ids");
    tokenize_verb->add_option("MODEL", options->model.base, "Hugging Face folder or .gguf file")->required();
    tokenize_verb->add_option("--in", options->in, "TEXTS.jsonl: {\"id\", \"text\"} a line")->required();
    add_output_options(*tokenize_verb, options->out, "IDS.jsonl");
    add_examples(*tokenize_verb, "samner model tokenize M --in texts.jsonl --out ids.jsonl");
    tokenize_verb->callback([options] { tokenize(*options); });

    auto* const logits_verb = model->add_subcommand("logits", "Logits of every position of token sequences");
    logits_verb->add_option("MODEL", options->model.base, "Hugging Face folder or .gguf file")->required();
    add_adapter_options(*logits_verb, options->model);
    add_dtype_option(*logits_verb, options->model);
    logits_verb->add_option("--in", options->in, "IDS.jsonl: {\"id\", \"ids\"} a line")->required();
    add_output_options(*logits_verb, options->out, "LOGITS.safetensors: one f32 tensor [tokens, vocabulary] an id");
    add_examples(*logits_verb, "samner model logits M --in ids.jsonl --out logits.safetensors");
    logits_verb->callback([options] {
        use_threads(options->model.threads);
        logits(*options);
    });
}

}  // namespace samner::app
