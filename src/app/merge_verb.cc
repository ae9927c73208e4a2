#include <fmt/format.h>

#include <memory>

#include "app/shared_options.h"
#include "app/verbs.h"
#include "merge/method.h"
#include "task/merge_adapters.h"

namespace samner::app {

void add_merge_verb(CLI::App& app) {
    struct Options {
        task::AdapterMerge merge;
        std::string method = "ties";
        std::string sign = "total";
        std::string space = "factor";
        std::filesystem::path base;
        std::filesystem::path out;
        int threads = 0;
    };
    auto options = std::make_shared<Options>();
    auto* const verb = app.add_subcommand("merge", "Merge LoRA adapters into one");
    verb->add_option("ADAPTER", options->merge.adapters, "PEFT folders")->required();
    verb->add_option("--method", options->method,
                     "linear, ties, dare_linear, dare_ties, magnitude_prune, cat, svd, ties_svd …")
        ->capture_default_str();
    verb->add_option("--density", options->merge.options.density, "share of the elements kept, in (0, 1]")
        ->capture_default_str();
    verb->add_option("--weights", options->merge.weights, "one an adapter, separated by commas; default 1")
        ->delimiter(',');
    verb->add_option("--sign", options->sign, "total or frequency")->capture_default_str();
    verb->add_option("--space", options->space, "factor (delta is not there yet)")->capture_default_str();
    verb->add_option("--rank", options->merge.options.rank, "of the result of an svd method; 0: the largest")
        ->capture_default_str();
    verb->add_option("--seed", options->merge.options.seed, "of the DARE masks")->capture_default_str();
    verb->add_option("--base", options->base, "base model, for --space delta");
    verb->add_flag("--allow-nonfinite", options->merge.allow_nonfinite, "merge NaN and infinity as they come");
    verb->add_option("--threads", options->threads, "threads to compute with; 0: one a processor")
        ->capture_default_str();
    verb->add_option("--out", options->out, "PEFT folder to write")->required();
    verb->callback([options] {
        options->merge.options.method = merge::parse_method(options->method);
        options->merge.options.sign = merge::parse_sign(options->sign);
        if (merge::parse_space(options->space) == merge::Space::delta || !options->base.empty()) {
            throw InputError{"merging into the weights of a base model is not there yet (--space delta, --base)",
                             "use --space factor"};
        }
        if (std::filesystem::exists(options->out)) {
            throw InputError{fmt::format("'{}' exists already", options->out.string()),
                             "remove it, or name another --out"};
        }
        use_threads(options->threads);
        task::merge_adapters(options->merge, options->out);
    });
}

}  // namespace samner::app
