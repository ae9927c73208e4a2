#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/hash.h"
#include "weights/config.h"
#include "weights/dtype.h"
#include "weights/safetensors.h"

namespace samner::weights {

/// The settings of a LoRA adapter, named as in PEFT's adapter_config.json.
struct LoraSettings {
    std::int32_t r = 8;
    double lora_alpha = 8;
    bool use_rslora = false;                  ///< scale by 1 / sqrt(r) instead of 1 / r
    double lora_dropout = 0;                  ///< in [0, 1); training only
    std::vector<std::string> target_modules;  ///< sorted; a module is a target when its name is one or ends in ".one"
    std::string target_pattern;               ///< instead of the list: a regular expression for the whole name
    /// Exceptions for modules: the first key that, as a regular expression, matches the name or a dotted suffix of it.
    std::vector<std::pair<std::string, std::int32_t>> rank_pattern;
    std::vector<std::pair<std::string, double>> alpha_pattern;
    std::string base_model_name_or_path;

    friend bool operator==(LoraSettings const&, LoraSettings const&) = default;
};

/// What the settings say of one module.
struct LoraScale {
    std::int32_t rank;
    double scaling;  ///< alpha / rank, or alpha / sqrt(rank) with rslora
};

/// Applies rank_pattern, alpha_pattern and use_rslora. @throws InputError when a pattern is no regular expression
std::vector<LoraScale> lora_scales(LoraSettings const& settings, std::vector<std::string> const& modules);

/// Whether the settings make a LoRA of each module, in the order of `modules`. @throws InputError as lora_scales
std::vector<bool> lora_targets(LoraSettings const& settings, std::vector<std::string> const& modules);

/// One module's update of its weight: scaling * b a.
struct LoraModule {
    std::string name;  ///< module path: model.layers.0.self_attn.q_proj
    std::int32_t rank = 0;
    double scaling = 0;
    std::int64_t in = 0;
    std::int64_t out = 0;
    std::vector<float> a;  ///< [rank, in]
    std::vector<float> b;  ///< [out, rank]

    friend bool operator==(LoraModule const&, LoraModule const&) = default;
};

struct Adapter {
    LoraSettings settings;
    std::vector<LoraModule> modules;  ///< sorted by name

    friend bool operator==(Adapter const&, Adapter const&) = default;
};

/// What to do with NaN and infinity in an adapter's tensors.
enum class NonFinite { refuse, keep };

/// Where the factors of a module lie.
struct LoraTensors {
    std::string name;
    std::int32_t rank = 0;
    double scaling = 0;
    std::int64_t in = 0;
    std::int64_t out = 0;
    TensorView const* a = nullptr;  ///< [rank, in]
    TensorView const* b = nullptr;  ///< [out, rank]
};

/// A PEFT folder (adapter_config.json, adapter_model.safetensors; F32, F16 or BF16) whose tensors stay on the disk
/// until they are asked for. All but their values is checked when it is opened.
class AdapterFile {
public:
    /// @throws InputError naming file, module or setting: files missing or damaged, ranks that disagree with the
    ///         settings, and every PEFT feature that changes the arithmetic and is not supported (DoRA, trained biases,
    ///         modules_to_save, LoftQ, LoRA on embeddings, other peft_types …)
    explicit AdapterFile(std::filesystem::path const& folder);

    LoraSettings const& settings() const noexcept { return settings_; }
    std::vector<LoraTensors> const& modules() const noexcept { return modules_; }  ///< sorted by name
    LoraTensors const* find(std::string_view module) const;                        ///< nullptr when absent

    /// The values of a tensor of this file: where they can be used as they lie, in the mapped file, else in `memory`.
    /// @throws InputError naming tensor and index of a value that is not finite
    std::span<float const> values(TensorView const& tensor, NonFinite nonfinite, std::vector<float>& memory) const;

    /// Gives back the memory that reading the tensor's bytes took.
    void release(TensorView const& tensor) const noexcept { file_.release(tensor); }

private:
    AdapterFile(std::filesystem::path const& folder, struct AdapterConfig config);

    LoraSettings settings_;
    SafetensorsFile file_;
    std::vector<LoraTensors> modules_;
};

/// Reads all of a PEFT folder. @throws InputError as AdapterFile, and for values that are not finite
Adapter read_adapter(std::filesystem::path const& folder, NonFinite nonfinite = NonFinite::refuse);

/// Writes a PEFT folder atomically; it loads in PEFT. Its bytes depend on the arguments alone.
/// @param provenance  goes into the metadata of the safetensors file
/// @param replace     whether a folder that stands at `folder` is replaced
/// @param dtype       of the tensors: F32, F16 or BF16, rounded to nearest, ties to even
/// @throws InputError when a finite value is infinite in F16 or BF16 (tensor and index named), when the adapter
/// contradicts itself (sizes, ranks or scalings that its settings do not give,
///         modules that they do not target), StorageError
void write_adapter(std::filesystem::path const& folder, Adapter const& adapter,
                   std::map<std::string, std::string> const& provenance = {}, bool replace = false,
                   Dtype dtype = Dtype::f32);

/// Whether the adapter can be applied to a model that runs: to the linear layers of its blocks.
/// @throws InputError naming the first module of the adapter that the model lacks or has in another shape
void check_fits(Adapter const& adapter, ModelConfig const& config);
void check_fits(AdapterFile const& adapter, ModelConfig const& config);  ///< likewise, without reading its values

/// Whether the adapter can be added to the model's weights: those layers and lm_head, unless that is tied to the
/// embedding. @throws InputError as check_fits
void check_folds(AdapterFile const& adapter, ModelConfig const& config);

/// Copies the two files of a PEFT folder into a new folder. @throws InputError when one is missing; StorageError
void copy_adapter(std::filesystem::path const& folder, std::filesystem::path const& to);

/// SHA-256 of the two files of a PEFT folder. @throws InputError when one cannot be read
std::string adapter_hash(std::filesystem::path const& folder, FileHash const& hash = sha256_file);

}  // namespace samner::weights
