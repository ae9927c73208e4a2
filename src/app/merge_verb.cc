#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <memory>
#include <type_traits>

#include "app/output.h"
#include "app/ranks.h"
#include "app/shared_options.h"
#include "app/command_line.h"
#include "app/verbs.h"
#include "comm/comm.h"
#include "comm/nccl.h"
#include "core/file.h"
#include "core/yaml.h"
#include "merge/method.h"
#include "merge/overshoot.h"
#include "merge/report.h"
#include "merge/settings.h"
#include "task/merge_adapters.h"
#include "task/mergekit.h"

namespace samner::app {
namespace {

namespace fs = std::filesystem;

struct Options {
    task::AdapterMerge merge;
    std::string method = "ties";
    merge::Settings settings;
    bool space_given = false;
    std::string dtype = "F32";
    std::string device = "cpu";
    fs::path module_weights;
    fs::path base;
    fs::path mergekit;
    fs::path report;
    Output out;
    int threads = 0;
    int ranks = 0;
};

std::vector<std::vector<merge::ModuleRule>> read_rules(fs::path const& path) {
    auto const root = read_yaml(path);
    if (!root.IsSequence())
        throw InputError{fmt::format("'{}' is not a list", path.string()), "give one entry an adapter, in their order"};
    std::vector<std::vector<merge::ModuleRule>> rules;
    for (auto const& entry : root) rules.push_back(merge::parse_weight_rules(entry, path.string()));
    return rules;
}

weights::Dtype parse_dtype(std::string const& name) {
    using enum weights::Dtype;
    auto const dtype = weights::dtype_named(name);
    if (dtype == f32 || dtype == f16 || dtype == bf16) return *dtype;
    throw InputError{fmt::format("--dtype is '{}'", name), "use F32, F16 or BF16"};
}

void check_fold(Options const& options) {
    if (options.base.empty())
        throw InputError{"--space delta merges into the weights of a base model, and --base is not given",
                         "name it, or use a method that ends in _svd, which gives an adapter again"};
    if (options.dtype != "F32" || !options.report.empty())
        throw InputError{"--dtype and --report are not there with --space delta",
                         "tensors keep the types of the base; ask for a report with --space factor"};
}

/// Takes everything from a configuration of mergekit. What it merges are whole models: without --space that is into the
/// base's weights.
void take_mergekit(Options& options) {
    auto& merge = options.merge;
    if (!merge.adapters.empty() || !merge.weights.empty() || !options.module_weights.empty())
        throw InputError{"adapters and weights come from the file that --mergekit names", "leave them out here"};
    auto config = task::read_mergekit(options.mergekit, options.base);
    config.options.seed = merge.options.seed;
    config.options.rank = options.settings.rank;
    merge.options = config.options;
    merge.adapters = std::move(config.adapters);
    merge.rules = std::move(config.rules);
    merge.densities = std::move(config.densities);
    auto& space = options.settings.space;
    if (!options.space_given) space = config.base_model.empty() ? merge::Space::factor : merge::Space::delta;
    if (space == merge::Space::delta) {
        if (options.base.empty()) options.base = config.base_model;
        merge.dtype = config.dtype;
    } else if (!config.dtype.empty()) {
        options.dtype = config.dtype;
    }
}

/// Reads and checks everything but the adapters. @return whether it merges into the weights of a base model
bool take_options(Options& options) {
    auto& merge = options.merge;
    if (options.mergekit.empty()) {
        auto const seed = merge.options.seed;
        merge.options = merge::MethodSettings{merge::parse_method(options.method), seed, options.settings}.options();
    } else {
        take_mergekit(options);
    }
    merge.options.device = value_named<merge::Device>(options.device, "--device", "command line");
    merge.report = !options.report.empty();
    if (!options.module_weights.empty()) merge.rules = read_rules(options.module_weights);
    bool const folds = options.settings.space == merge::Space::delta;
    if (folds) check_fold(options);
    if (!folds && !options.base.empty())
        throw InputError{"--base belongs to --space delta", "add it, or leave --base out: factors need no base"};
    return folds;
}

/// Weights by module are left to those who write them.
void warn_of_weights(task::AdapterMerge const& merge) {
    if (!merge.rules.empty()) return;
    auto const weights = merge.weights.empty() ? std::vector(merge.adapters.size(), 1.0) : merge.weights;
    if (auto const sum = merge::excessive_weight(merge.options, weights)) {
        spdlog::warn(
            "{} adds up the factors of {} adapters with weights that sum to {:.3g}: the merged update will be far "
            "larger than theirs — give --normalize weights, or --weights that sum to 1",
            merge::to_string(merge.options.method), merge.adapters.size(), *sum);
    }
}

ExitCode merge_verb(Options& options) {
    bool const folds = take_options(options);
    auto const dtype = parse_dtype(options.dtype);
    return on_ranks(options.ranks, Alone::without_mpi, [&](comm::Session* session) {
        auto& merge = options.merge;
        auto const* const ranks = session ? &session->teams() : nullptr;
        use_threads(options.threads, session ? session->local_size() : 1);
        if (auto const devices = comm::visible_devices(); session && devices > 0)
            merge.options.device_index = session->local_rank() % devices;
        if (folds) {
            task::fold_adapters(merge, options.base, options.out.path, ranks, options.out.overwrite);
            if (!ranks || ranks->rank() == 0)
                say_written(options.out.path, fmt::format("a model with {} merged into its weights",
                                                          counted(merge.adapters.size(), "adapter")));
            return ExitCode::done;
        }
        warn_of_weights(merge);
        auto const merged = task::merge_adapters(merge, ranks);
        if (ranks && ranks->rank() > 0) return ExitCode::done;
        weights::write_adapter(options.out.path, merged.adapter, merged.provenance, options.out.overwrite, dtype);
        say_written(options.out.path,
                    fmt::format("an adapter of {}, merged from {}", counted(merged.adapter.modules.size(), "module"),
                                counted(merge.adapters.size(), "adapter")));
        if (!options.report.empty()) {
            std::vector<std::string> paths;
            for (auto const& folder : merge.adapters) paths.push_back(folder.string());
            write_atomically(options.report, to_text(merge::to_json(paths, merged.reports), 1) + "\n");
            say_written(options.report, fmt::format("a report on {}", counted(merged.reports.size(), "module")));
        }
        return ExitCode::done;
    });
}

/// An option for each line of the table of settings. @return their names
std::vector<std::string> add_settings(CLI::App& verb, merge::Settings& settings) {
    std::vector<std::string> names;
    merge::for_each_setting([&]<class T, class Option>(merge::Setting<T, Option> const& setting) {
        auto name = fmt::format("--{}", setting.name);
        std::ranges::replace(name, '_', '-');
        names.push_back(name);
        auto const help = std::string{setting.help};
        auto& value = settings.*setting.member;
        if constexpr (std::is_arithmetic_v<T>) {
            verb.add_option(name, value, help)->capture_default_str();
        } else {
            auto* const option = verb.add_option_function<std::string>(
                name,
                [&settings, setting](std::string const& text) { settings.set(setting.name, text, "command line"); },
                help);
            if constexpr (NamedEnum<T>) option->default_str(std::string{name_of_value(value)});
        }
    });
    return names;
}

}  // namespace

void add_merge_verb(CLI::App& app, ExitCode& code) {
    auto options = std::make_shared<Options>();
    auto* const verb = app.add_subcommand("merge", "Merge LoRA adapters into one");
    auto& merge = options->merge;
    verb->add_option("ADAPTER", merge.adapters, "PEFT folders");
    verb->add_option("--method", options->method, fmt::format("one of {}", fmt::join(merge::method_names(), ", ")))
        ->capture_default_str();
    auto const settings = add_settings(*verb, options->settings);
    verb->add_option("--weights", merge.weights, "one an adapter, separated by commas; default 1")->delimiter(',');
    verb->add_option("--module-weights", options->module_weights,
                     "YAML list, one entry an adapter: a number, or rules {pattern, layers, weight}");
    verb->add_option("--seed", merge.options.seed, "of the random drops")->capture_default_str();
    auto* const mergekit = verb->add_option(
        "--mergekit", options->mergekit, "configuration of mergekit with PEFT folders as models, instead of all these");
    mergekit->excludes(verb->get_option("--method"));
    for (auto const& name : settings)
        if (name != "--rank" && name != "--space") mergekit->excludes(verb->get_option(name));
    verb->add_option("--base", options->base, "Hugging Face folder that --space delta merges into");
    verb->add_flag("--allow-nonfinite", merge.allow_nonfinite, "merge NaN and infinity as they come");
    auto* const dtype =
        verb->add_option("--dtype", options->dtype, "of the result: F32, F16 or BF16")->capture_default_str();
    mergekit->excludes(dtype);
    verb->add_option("--device", options->device, "cpu or cuda (linear, task_arithmetic, magnitude_prune and ties)")
        ->capture_default_str();
    verb->add_option("--report", options->report,
                     "JSON file: sparsity, sign conflicts, cosines and norms of each module");
    verb->add_option("-n", options->ranks, "start this many ranks with mpirun, each for a share of the merge")
        ->check(at_least(1));
    verb->add_option("--threads", options->threads, "threads a rank; 0: its share of the processors")
        ->capture_default_str();
    add_output_options(*verb, options->out, "PEFT folder to write; with --space delta a model folder");
    add_examples(*verb, "samner merge LIBRARY/news LIBRARY/web --method ties --density 0.5 --out merged\n"
                        "samner merge LIBRARY/news --space delta --base M --out merged-model");
    verb->callback([options, verb, &code] {
        options->space_given = verb->get_option("--space")->count() > 0;
        options->out.check_folder();
        if (!options->report.empty()) check_output_file(options->report, options->out.existing());
        code = merge_verb(*options);
    });
}

}  // namespace samner::app
