#include "weights/adapter.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "core/error.h"
#include "core/file.h"
#include "core/hash.h"
#include "weights/adapter_config.h"
#include "weights/architecture.h"
#include "weights/fields.h"
#include "weights/safetensors.h"

namespace samner::weights {
namespace {

namespace fs = std::filesystem;

constexpr char const* config_file = "adapter_config.json";
constexpr char const* tensor_file = "adapter_model.safetensors";
constexpr std::string_view name_prefix = "base_model.model.";
constexpr std::string_view a_part = ".lora_A.";
constexpr std::string_view b_part = ".lora_B.";

/// What the name of a factor says: "base_model.model.MODULE.lora_A.weight", or, saved without peft's renaming, with the
/// adapter's name before "weight".
struct FactorName {
    std::string module;
    bool is_a;
    std::string adapter;  ///< may be empty
};

std::optional<FactorName> parse_factor_name(std::string_view name) {
    if (!name.starts_with(name_prefix)) return std::nullopt;
    name.remove_prefix(name_prefix.size());
    for (bool const is_a : {true, false}) {
        auto const part = is_a ? a_part : b_part;
        auto const found = name.rfind(part);
        if (found == std::string_view::npos) continue;
        auto rest = name.substr(found + part.size());
        if (rest == "weight") return FactorName{std::string{name.substr(0, found)}, is_a, {}};
        auto const dot = rest.find('.');
        if (dot == 0 || dot == std::string_view::npos || rest.substr(dot) != ".weight") continue;
        return FactorName{std::string{name.substr(0, found)}, is_a, std::string{rest.substr(0, dot)}};
    }
    return std::nullopt;
}

/// The two factors of a module in a file.
struct Factors {
    TensorView const* a = nullptr;
    TensorView const* b = nullptr;
};

/// Module -> factors. @throws InputError naming the first tensor that is no LoRA factor of a linear layer, or two
/// adapters
std::map<std::string, Factors> find_factors(SafetensorsFile const& file) {
    std::map<std::string, Factors> modules;
    std::optional<std::string> adapter;
    for (auto const& tensor : file.tensors()) {
        auto const name = parse_factor_name(tensor.name);
        if (!name) {
            throw InputError{fmt::format("tensor '{}' is no LoRA factor of a linear layer ({})", shown(tensor.name),
                                         file.path().string()),
                             "DoRA, LoRA on embeddings, biases and saved modules are not supported"};
        }
        if (adapter && *adapter != name->adapter) {
            throw InputError{fmt::format("tensors of two adapters, '{}' and '{}' ({})", shown(*adapter),
                                         shown(name->adapter), file.path().string()),
                             "save each adapter to a folder of its own, with peft's save_pretrained"};
        }
        adapter = name->adapter;
        (name->is_a ? modules[name->module].a : modules[name->module].b) = &tensor;
    }
    return modules;
}

LoraTensors check_module(std::string const& name, Factors const& factors, LoraScale const& scale,
                         fs::path const& path) {
    auto const wrong = [&](std::string const& what) {
        throw InputError{fmt::format("module '{}' {} ({})", shown(name), what, path.string()),
                         "use a complete adapter as peft saves it"};
    };
    if (factors.a == nullptr || factors.b == nullptr) wrong(factors.a == nullptr ? "lacks lora_A" : "lacks lora_B");
    auto const& a = factors.a->shape;
    auto const& b = factors.b->shape;
    if (a.size() != 2 || b.size() != 2 || a[0] != b[1] || a[0] != scale.rank || a[1] == 0 || b[0] == 0) {
        wrong(fmt::format("has lora_A [{}] and lora_B [{}], its settings say rank {}", fmt::join(a, ", "),
                          fmt::join(b, ", "), scale.rank));
    }
    return {name, scale.rank, scale.scaling, a[1], b[0], factors.a, factors.b};
}

fs::path tensor_path(fs::path const& folder) {
    auto path = folder / tensor_file;
    if (!fs::exists(path) && fs::exists(folder / "adapter_model.bin")) {
        throw InputError{fmt::format("'{}' holds adapter_model.bin, not {}", folder.string(), tensor_file),
                         "save the adapter with peft's safe_serialization"};
    }
    return path;
}

AdapterConfig adapter_config(fs::path const& path) {
    return parse_adapter_config(MappedFile{path}.text(), path.string());
}

std::vector<std::string> names_of(std::vector<LoraModule> const& modules) {
    std::vector<std::string> names;
    for (auto const& module : modules) names.push_back(module.name);
    return names;
}

void check_targets(LoraSettings const& settings, std::vector<std::string> const& names, std::string_view place) {
    auto const targets = lora_targets(settings, names);
    auto const stray = std::find(targets.begin(), targets.end(), false);
    if (stray == targets.end()) return;
    throw InputError{fmt::format("module '{}' is not among target_modules ({})",
                                 shown(names[static_cast<std::size_t>(stray - targets.begin())]), place),
                     "use settings and tensors of the same adapter"};
}

/// @throws InputError when reading the written adapter would not give it back
void check_consistent(Adapter const& adapter) {
    auto const names = names_of(adapter.modules);
    if (std::adjacent_find(names.begin(), names.end(), std::greater_equal<>{}) != names.end()) {
        throw InputError{"modules of an adapter are not sorted by name, or one stands twice"};
    }
    check_targets(adapter.settings, names, "adapter to be written");
    auto const scales = lora_scales(adapter.settings, names);
    for (std::size_t i = 0; i < names.size(); ++i) {
        auto const& module = adapter.modules[i];
        auto const& scale = scales[i];
        if (module.rank != scale.rank || module.scaling != scale.scaling) {
            throw InputError{fmt::format("module '{}' has rank {} and scaling {}, its settings give {} and {}",
                                         module.name, module.rank, module.scaling, scale.rank, scale.scaling)};
        }
        auto const fits = [&](std::vector<float> const& values, std::int64_t size) {
            return size > 0 && checked_product(std::vector<std::int64_t>{module.rank, size}) ==
                                   static_cast<std::int64_t>(values.size());
        };
        if (!fits(module.a, module.in) || !fits(module.b, module.out)) {
            throw InputError{fmt::format("module '{}' of rank {} from {} to {} has factors of {} and {} values",
                                         module.name, module.rank, module.in, module.out, module.a.size(),
                                         module.b.size())};
        }
    }
}

constexpr std::string_view head = "lm_head";

/// @throws InputError when the module is one of those that belong to the vocabulary
void refuse_vocabulary(std::string_view module, std::string_view base, ModelConfig const& config) {
    auto const place = fmt::format("(its base: '{}')", shown(base));
    if (module == head && config.tie_word_embeddings) {
        throw InputError{fmt::format("the adapter changes 'lm_head', which this model ties to its embedding: an update "
                                     "of one would change both {}",
                                     place),
                         "use a model whose tie_word_embeddings is false, or train the adapter without lm_head"};
    }
    if (module == head) {
        throw InputError{
            fmt::format("the adapter changes 'lm_head', which is not supported beside a running model {}", place),
            "fold it into the model first, with samner merge --space delta"};
    }
    if (module == "model.embed_tokens") {
        throw InputError{
            fmt::format("the adapter changes the embedding '{}', which is not supported {}", module, place),
            "train it on linear layers only"};
    }
}

/// What an adapter is checked for.
enum class AdapterUse { run, fold };

template <class Modules>
void check_each_fits(Modules const& modules, std::string_view base, ModelConfig const& config, AdapterUse use) {
    std::map<std::string, LinearSpec> known;
    for (auto& linear : linear_modules(config)) known.emplace(linear.name, linear);
    if (use == AdapterUse::fold && !config.tie_word_embeddings)
        known.emplace(head, LinearSpec{std::string{head}, config.vocab_size, config.hidden_size});
    constexpr char const* remedy = "the adapter belongs to another base model: name its own base";
    for (auto const& module : modules) {
        auto const found = known.find(module.name);
        if (found == known.end()) refuse_vocabulary(module.name, base, config);
        if (found == known.end()) {
            throw InputError{
                fmt::format("the model has no linear layer '{}' for the adapter to sit on (its base: '{}')",
                            shown(module.name), shown(base)),
                remedy};
        }
        auto const& linear = found->second;
        if (module.in != linear.in || module.out != linear.out) {
            throw InputError{
                fmt::format("the adapter's '{}' maps {} to {} values, the model's {} to {} (its base: '{}')",
                            module.name, module.in, module.out, linear.in, linear.out, shown(base)),
                remedy};
        }
    }
}

void write_tensors(fs::path const& path, std::vector<LoraModule> const& modules, Dtype dtype,
                   Metadata const& metadata) {
    std::vector<TensorView> tensors;
    std::map<std::string, std::span<float const>, std::less<>> values;
    for (auto const& module : modules) {
        auto const add = [&](std::string_view suffix, std::int64_t rows, std::int64_t columns, auto const& factor) {
            auto const& tensor = tensors.emplace_back(
                TensorView{fmt::format("{}{}{}", name_prefix, module.name, suffix), dtype, {rows, columns}, {}});
            values[tensor.name] = factor;
        };
        add(".lora_A.weight", module.rank, module.in, module.a);
        add(".lora_B.weight", module.out, module.rank, module.b);
    }
    std::vector<std::byte> narrowed;
    write_safetensors(path, tensors, metadata, [&](TensorView const& tensor, auto const& append) {
        auto const& factor = values.at(tensor.name);
        if (dtype == Dtype::f32) return append(std::as_bytes(factor));
        narrowed.resize(factor.size() * size_of(dtype));
        narrow(tensor.name, dtype, factor, narrowed);
        append(std::span<std::byte const>{narrowed});
    });
}

}  // namespace

AdapterFile::AdapterFile(fs::path const& folder) : AdapterFile{folder, adapter_config(folder / config_file)} {}

AdapterFile::AdapterFile(fs::path const& folder, AdapterConfig config)
    : settings_{std::move(config.settings)}, file_{tensor_path(folder)} {
    auto const factors = find_factors(file_);
    if (factors.empty()) throw InputError{fmt::format("adapter has no modules ({})", file_.path().string())};

    std::vector<std::string> names;
    for (auto const& [name, pair] : factors) names.push_back(name);
    // Full names select the same modules without the further settings.
    if (config.selects_further) {
        settings_.target_pattern.clear();
        settings_.target_modules = names;
    }
    check_targets(settings_, names, folder.string());
    auto const scales = lora_scales(settings_, names);
    for (std::size_t i = 0; i < names.size(); ++i)
        modules_.push_back(check_module(names[i], factors.at(names[i]), scales[i], file_.path()));
}

LoraTensors const* AdapterFile::find(std::string_view module) const {
    auto const found = std::ranges::lower_bound(modules_, module, {}, &LoraTensors::name);
    return found != modules_.end() && found->name == module ? &*found : nullptr;
}

std::span<float const> AdapterFile::values(TensorView const& tensor, NonFinite nonfinite,
                                           std::vector<float>& memory) const {
    auto const size = static_cast<std::size_t>(tensor.elements());
    std::span<float const> values{reinterpret_cast<float const*>(tensor.bytes.data()), size};
    bool const is_aligned = reinterpret_cast<std::uintptr_t>(tensor.bytes.data()) % alignof(float) == 0;
    if (tensor.dtype != Dtype::f32 || !is_aligned) {
        memory.resize(size);
        to_float(tensor.dtype, tensor.bytes, memory);
        values = memory;
    }
    auto const bad = nonfinite == NonFinite::refuse ? find_nonfinite(values) : std::nullopt;
    if (bad) {
        throw InputError{
            fmt::format("tensor '{}' is {} at index {} ({})", shown(tensor.name), values[*bad], *bad,
                        file_.path().string()),
            "train the adapter again with a smaller learning rate; samner merge goes on with --allow-nonfinite"};
    }
    return values;
}

Adapter read_adapter(fs::path const& folder, NonFinite nonfinite) {
    AdapterFile const file{folder};
    Adapter adapter{file.settings(), {}};
    for (auto const& module : file.modules()) {
        auto const read = [&](TensorView const& tensor) {
            std::vector<float> memory;
            auto const values = file.values(tensor, nonfinite, memory);
            if (memory.empty()) memory.assign(values.begin(), values.end());
            return memory;
        };
        adapter.modules.push_back(
            {module.name, module.rank, module.scaling, module.in, module.out, read(*module.a), read(*module.b)});
    }
    return adapter;
}

void write_adapter(fs::path const& folder, Adapter const& adapter, std::map<std::string, std::string> const& provenance,
                   bool replace, Dtype dtype) {
    check_consistent(adapter);
    auto metadata = provenance;
    metadata["format"] = "pt";  // PEFT and transformers ask for it
    write_folder_atomically(
        folder,
        [&](fs::path const& partial) {
            write_atomically(partial / config_file, format_adapter_config(adapter.settings));
            write_tensors(partial / tensor_file, adapter.modules, dtype, metadata);
        },
        replace);
}

void check_fits(Adapter const& adapter, ModelConfig const& config) {
    check_each_fits(adapter.modules, adapter.settings.base_model_name_or_path, config, AdapterUse::run);
}

void check_fits(AdapterFile const& adapter, ModelConfig const& config) {
    check_each_fits(adapter.modules(), adapter.settings().base_model_name_or_path, config, AdapterUse::run);
}

void check_folds(AdapterFile const& adapter, ModelConfig const& config) {
    check_each_fits(adapter.modules(), adapter.settings().base_model_name_or_path, config, AdapterUse::fold);
}

void copy_adapter(fs::path const& folder, fs::path const& to) {
    for (auto const* name : {config_file, tensor_file}) {
        if (!fs::exists(folder / name))
            throw InputError{fmt::format("'{}' is no PEFT folder: it has no {}", folder.string(), name)};
    }
    try {
        fs::create_directories(to);
        for (auto const* name : {config_file, tensor_file}) fs::copy_file(folder / name, to / name);
    } catch (fs::filesystem_error const& error) {
        throw StorageError{fmt::format("cannot copy '{}' to '{}': {}", folder.string(), to.string(), error.what()),
                           "check free space and permissions"};
    }
}

std::string adapter_hash(fs::path const& folder, FileHash const& hash) {
    Sha256 all;
    for (auto const* name : {config_file, tensor_file}) {
        all.update(hash(folder / name)).update("  ").update(name).update("\n");
    }
    return all.hex();
}

}  // namespace samner::weights
