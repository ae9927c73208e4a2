#include "app/shared_options.h"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>

#include "core/parallel.h"

namespace samner::app {

void add_device_options(CLI::App& verb, ModelOptions& options) {
    verb.add_option("--device", options.device, "cpu, cuda or cuda:INDEX")->capture_default_str();
    verb.add_option("--threads", options.threads, "threads to compute with; 0: one a processor")
        ->capture_default_str()
        ->check(at_least(0));
}

void add_base_options(CLI::App& verb, ModelOptions& options) {
    verb.add_option("--model", options.base, "Hugging Face folder or .gguf file")->required();
    add_device_options(verb, options);
}

void add_adapter_options(CLI::App& verb, ModelOptions& options) {
    verb.add_option("--adapter", options.adapter, "PEFT folder to put on the model");
    add_device_options(verb, options);
}

void add_model_options(CLI::App& verb, ModelOptions& options) {
    verb.add_option("--model", options.base, "Hugging Face folder or .gguf file")->required();
    add_adapter_options(verb, options);
}

void add_dtype_option(CLI::App& verb, ModelOptions& options) {
    verb.add_option("--dtype", options.dtype, "fp32 or bf16")->capture_default_str();
}

CLI::Validator at_least(std::int64_t least) {
    auto const range = fmt::format("{} or more", least);
    return {[least, range](std::string& text) {
                double value = 0;
                bool const fits = CLI::detail::lexical_cast(text, value) && value >= static_cast<double>(least);
                return fits ? std::string{} : fmt::format("'{}' is out of range, give it {}", text, range);
            },
            ">=" + std::to_string(least)};
}

void use_threads(int threads, int ranks) {
    if (threads == 0) {
        cpu_set_t mask;
        CPU_ZERO(&mask);
        threads = ::sched_getaffinity(0, sizeof mask, &mask) == 0 ? std::max(1, CPU_COUNT(&mask) / ranks) : 1;
    }
    set_num_threads(threads);
}

}  // namespace samner::app
