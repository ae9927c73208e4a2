#include "weights/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <iterator>
#include <optional>
#include <set>

#include "core/error.h"
#include "core/hash.h"
#include "core/json.h"
#include "core/parallel.h"
#include "weights/architecture.h"
#include "weights/fields.h"
#include "weights/gguf.h"
#include "weights/safetensors.h"

namespace samner::weights {
namespace {

namespace fs = std::filesystem;

constexpr char const* single_file = "model.safetensors";
constexpr char const* index_file = "model.safetensors.index.json";

class SafetensorsSource : public Checkpoint::Source {
public:
    SafetensorsSource(TensorView const& tensor, fs::path const& file) : Source{tensor.bytes}, tensor_{tensor} {
        auto const type = tensor.dtype;
        if (type == Dtype::f32 || type == Dtype::f16 || type == Dtype::bf16 || type == Dtype::f64) return;
        throw InputError{fmt::format("tensor '{}' is of type {} ({})", shown(tensor.name), name(type), file.string()),
                         "supported are F32, F16, BF16 and F64"};
    }
    std::vector<std::int64_t> const& shape() const override { return tensor_.shape; }
    void read(std::span<float> out) const override { to_float(tensor_.dtype, bytes, out); }

private:
    TensorView const& tensor_;
};

class GgufSource : public Checkpoint::Source {
public:
    explicit GgufSource(GgufTensor const& tensor) : Source{tensor.bytes}, tensor_{tensor} {}
    std::vector<std::int64_t> const& shape() const override { return tensor_.shape; }
    void read(std::span<float> out) const override { dequantise(tensor_.type, bytes, out); }

private:
    GgufTensor const& tensor_;
};

/// Rows of q and k of a Llama in GGUF: within a head of d rows, file row 2 j + i is row i d/2 + j of Hugging Face's
/// layout (LlamaModel.permute in llama.cpp's convert_hf_to_gguf.py).
class PermutedGgufSource : public Checkpoint::Source {
public:
    PermutedGgufSource(GgufTensor const& tensor, std::int64_t head_dim)
        : Source{tensor.bytes}, tensor_{tensor}, head_dim_{head_dim} {}
    std::vector<std::int64_t> const& shape() const override { return tensor_.shape; }
    void read(std::span<float> out) const override;

private:
    GgufTensor const& tensor_;
    std::int64_t head_dim_;
};

void PermutedGgufSource::read(std::span<float> out) const {
    std::vector<float> file_order(out.size());
    dequantise(tensor_.type, bytes, file_order);
    auto const rows = tensor_.shape.front();
    auto const width = static_cast<std::int64_t>(out.size()) / rows;
    auto const half = head_dim_ / 2;
    parallel_for(0, rows, std::max<std::int64_t>(1, (1 << 16) / width), [&](std::int64_t begin, std::int64_t end) {
        for (auto row = begin; row < end; ++row) {
            auto const head = row / head_dim_;
            auto const within = row % head_dim_;
            auto const file_row = head * head_dim_ + 2 * (within % half) + within / half;
            std::copy_n(file_order.data() + file_row * width, width, out.data() + row * width);
        }
    });
}

/// A shard's file name: a name in the same folder and nothing else.
void check_shard_name(std::string const& name, fs::path const& index) {
    auto const plain = !name.empty() && name.find_first_of(std::string_view{"/\\\0", 3}) == std::string::npos &&
                       name.ends_with(".safetensors") && !name.starts_with('.');
    if (!plain) {
        throw InputError{
            fmt::format("shard name '{}' is no plain .safetensors file name ({})", shown(name), index.string()),
            "use the index that belongs to the model"};
    }
}

/// Tensor -> shard, as model.safetensors.index.json has it.
std::map<std::string, std::string> read_index(fs::path const& path) {
    auto const json = read_json(path);
    Fields const fields{json, path.string()};
    auto const* const weight_map = fields.find("weight_map");
    if (weight_map == nullptr || !weight_map->is_object()) {
        throw InputError{fmt::format("'weight_map' is missing ({})", path.string())};
    }
    std::map<std::string, std::string> shards;
    for (auto const& [tensor, shard] : weight_map->items()) {
        if (!shard.is_string()) {
            throw InputError{fmt::format("shard of '{}' is no string ({})", shown(tensor), path.string())};
        }
        check_shard_name(shard.get<std::string>(), path);
        shards.emplace(tensor, shard.get<std::string>());
    }
    return shards;
}

constexpr std::string_view prefix = "model.";
constexpr std::string_view embedding_name = "model.embed_tokens.weight";
constexpr std::string_view head_name = "lm_head.weight";

/// Whether names are those of a model without its head, as transformers' AutoModel saves it: without the prefix.
bool lacks_prefix(std::vector<Checkpoint::Stored> const& stored) {
    return std::ranges::none_of(stored, [](auto const& one) { return one.tensor->name.starts_with(prefix); });
}

/// Whether two tensors hold the same values, as numbers.
bool holds_same(Checkpoint::Stored const& one, Checkpoint::Stored const& other) {
    auto const& a = *one.tensor;
    auto const& b = *other.tensor;
    if (a.shape != b.shape) return false;
    constexpr std::int64_t block = 1 << 14;
    auto const elements = a.elements();
    std::atomic<bool> same = true;
    parallel_for(0, (elements + block - 1) / block, 1, [&](std::int64_t first, std::int64_t last) {
        std::vector<float> left;
        std::vector<float> right;
        for (auto i = first; i < last && same; ++i) {
            auto const count = static_cast<std::size_t>(std::min(block, elements - i * block));
            auto const read = [&](TensorView const& tensor, std::vector<float>& out) {
                auto const width = size_of(tensor.dtype);
                out.resize(count);
                to_float(tensor.dtype, tensor.bytes.subspan(static_cast<std::size_t>(i * block) * width, count * width),
                         out);
            };
            read(a, left);
            read(b, right);
            if (left != right) same = false;
        }
    });
    return same;
}

}  // namespace

struct Checkpoint::Files {
    std::map<std::string, SafetensorsFile> safetensors;  ///< by file name
    std::vector<Stored> stored;
    std::optional<GgufFile> gguf;
    std::vector<fs::path> others;       ///< configuration and index files that were read
    std::vector<std::string> readings;  ///< what versions before this read otherwise: part of the content hash
};

Checkpoint::Checkpoint(Checkpoint&&) noexcept = default;
Checkpoint& Checkpoint::operator=(Checkpoint&&) noexcept = default;
Checkpoint::~Checkpoint() = default;

Checkpoint Checkpoint::open(fs::path const& path) {
    Checkpoint checkpoint;
    checkpoint.path_ = path;
    checkpoint.files_ = std::make_unique<Files>();
    if (fs::is_directory(path)) {
        checkpoint.open_folder();
    } else if (path.extension() == ".gguf") {
        checkpoint.open_gguf();
    } else {
        throw InputError{fmt::format("'{}' is no model", path.string()),
                         "name a folder in Hugging Face layout or a .gguf file"};
    }
    checkpoint.check();
    return checkpoint;
}

void Checkpoint::open_folder() {
    config_ = read_config(path_);
    for (auto const* name : {"config.json", "generation_config.json"}) {
        if (fs::exists(path_ / name)) files_->others.push_back(path_ / name);
    }
    auto const add_file = [&](std::string const& name) -> SafetensorsFile const& {
        auto const found = files_->safetensors.find(name);
        if (found != files_->safetensors.end()) return found->second;
        return files_->safetensors.emplace(name, SafetensorsFile{path_ / name}).first->second;
    };
    auto const add_tensor = [&](TensorView const& tensor, SafetensorsFile const& file) {
        files_->stored.push_back({&file, &tensor, tensor.name});
    };
    if (fs::exists(path_ / single_file)) {
        auto const& file = add_file(single_file);
        for (auto const& tensor : file.tensors()) add_tensor(tensor, file);
    } else {
        if (!fs::exists(path_ / index_file)) {
            throw InputError{fmt::format("neither {} nor {} is in '{}'", single_file, index_file, path_.string()),
                             "name a folder with safetensors weights; convert other formats first"};
        }
        files_->others.push_back(path_ / index_file);
        auto const index = read_index(path_ / index_file);
        for (auto const& [name, shard] : index) {
            auto const& file = add_file(shard);
            add_tensor(file.at(name), file);
        }
        for (auto const& [shard, file] : files_->safetensors) {
            for (auto const& tensor : file.tensors()) {
                if (index.contains(tensor.name)) continue;
                throw InputError{fmt::format("{} does not list tensor '{}' of {} ({})", index_file, shown(tensor.name),
                                             shard, path_.string()),
                                 "use shards and index of the same model"};
            }
        }
        std::ranges::stable_sort(files_->stored, {}, [](Stored const& one) { return one.file->path(); });
    }
    take_stored();
}

/// Gives the stored tensors the names of the whole model, and finds the values of each.
void Checkpoint::take_stored() {
    bool const adds_prefix = lacks_prefix(files_->stored);
    for (auto& one : files_->stored) {
        if (one.name.ends_with(".rotary_emb.inv_freq")) one.name.clear();  // frequencies in old files
        bool const of_head = one.name == head_name;
        if (adds_prefix && !one.name.empty() && !of_head) one.name = fmt::format("{}{}", prefix, one.name);
    }
    if (config_.tie_word_embeddings) settle_head();
    if (config_.rope_replaced) files_->readings.emplace_back("rope_scaling in place of rope_parameters");
    for (auto const& one : files_->stored) {
        if (one.name.empty()) continue;
        sources_.emplace(one.name, std::make_unique<SafetensorsSource>(*one.tensor, one.file->path()));
    }
}

void Checkpoint::settle_head() {
    auto const find = [&](std::string_view name) { return std::ranges::find(files_->stored, name, &Stored::name); };
    auto const head = find(head_name);
    auto const embedding = find(embedding_name);
    if (head == files_->stored.end()) return;
    if (embedding == files_->stored.end()) {
        head->name = embedding_name;
    } else if (holds_same(*head, *embedding)) {
        head->name.clear();
    } else {
        config_.tie_word_embeddings = false;
        files_->readings.emplace_back("a head of its own");
    }
}

void Checkpoint::open_gguf() {
    files_->gguf = GgufFile::open_model(path_);
    auto const& file = *files_->gguf;
    config_ = read_config(file);
    auto const permuted = find_architecture(config_.architecture, path_.string()).permuted_in_gguf;
    std::set<std::string_view> known{"rope_freqs.weight"};
    for (auto const& expected : expected_tensors(config_)) {
        auto const* const tensor = file.find(gguf_tensor_name(expected.name));
        if (tensor == nullptr) continue;  // check() names it
        known.insert(tensor->name);
        auto const is_permuted = permuted && (expected.name.find(".q_proj.") != std::string::npos ||
                                              expected.name.find(".k_proj.") != std::string::npos);
        auto& source = sources_[expected.name];
        if (is_permuted) {
            source = std::make_unique<PermutedGgufSource>(*tensor, config_.head_dim);
        } else {
            source = std::make_unique<GgufSource>(*tensor);
        }
    }
    for (auto const& tensor : file.tensors()) {
        if (known.contains(tensor.name)) continue;
        throw InputError{fmt::format("tensor '{}' is not part of a {} model of this configuration ({})",
                                     shown(tensor.name), config_.architecture, path_.string()),
                         "use a file of a supported architecture"};
    }
}

void Checkpoint::check() const {
    std::set<std::string_view> expected_names;
    auto const expected = expected_tensors(config_);
    for (auto const& tensor : expected) {
        auto const found = sources_.find(tensor.name);
        if (found == sources_.end()) {
            throw InputError{fmt::format("tensor '{}' is missing ({})", tensor.name, path_.string()),
                             "the model is incomplete: copy or download it again"};
        }
        if (found->second->shape() != tensor.shape) {
            throw InputError{
                fmt::format("tensor '{}' has the shape [{}], the configuration asks for [{}] ({})", tensor.name,
                            fmt::join(found->second->shape(), ", "), fmt::join(tensor.shape, ", "), path_.string()),
                "use weights and config.json of the same model"};
        }
        expected_names.insert(tensor.name);
    }
    for (auto const& [name, source] : sources_) {
        if (expected_names.contains(name)) continue;
        throw InputError{fmt::format("tensor '{}' is not part of a {} model of this configuration ({})", shown(name),
                                     config_.architecture, path_.string()),
                         "use weights and config.json of the same model"};
    }
}

Checkpoint::Source const& Checkpoint::source(std::string_view name) const {
    auto const found = sources_.find(name);
    if (found != sources_.end()) return *found->second;
    throw InputError{fmt::format("there is no tensor '{}' ({})", shown(name), path_.string())};
}

std::vector<std::string> Checkpoint::names() const {
    std::vector<std::string> names;
    for (auto const& [name, source] : sources_) names.push_back(name);
    return names;
}

bool Checkpoint::has(std::string_view name) const {
    return sources_.find(name) != sources_.end();
}

std::vector<std::int64_t> const& Checkpoint::shape(std::string_view name) const {
    return source(name).shape();
}

void Checkpoint::read(std::string_view name, std::span<float> out) const {
    source(name).read(out);
}

std::vector<float> Checkpoint::read(std::string_view name) const {
    std::vector<float> values(static_cast<std::size_t>(*checked_product(shape(name))));
    read(name, values);
    return values;
}

std::span<std::byte const> Checkpoint::stored(std::string_view name) const {
    return source(name).bytes;
}

void Checkpoint::read_from(std::string_view name, std::span<std::byte const> copy) {
    auto const size = source(name).bytes.size();
    if (copy.size() != size) {
        throw InputError{fmt::format("a copy of {} bytes of tensor '{}', which has {} ({})", copy.size(), shown(name),
                                     size, path_.string())};
    }
    sources_.find(name)->second->bytes = copy;
}

std::vector<Checkpoint::Stored> const& Checkpoint::stored_tensors() const {
    return files_->stored;
}

std::string Checkpoint::content_hash(FileHash const& hash) const {
    std::map<std::string, std::string> hashes;
    auto const role = [&](fs::path const& path) {
        if (!files_->gguf) return path.filename().string();
        // Of a model in parts, each has its number.
        auto const parts = files_->gguf->paths();
        auto const part = std::ranges::find(parts, path) - parts.begin();
        return part == 0 ? std::string{"model.gguf"} : fmt::format("model.gguf, part {:05}", part + 1);
    };
    for (auto const& path : files()) hashes[role(path)] = hash(path);
    Sha256 all;
    for (auto const& [name, of_file] : hashes) all.update(of_file).update("  ").update(name).update("\n");
    for (auto const& reading : files_->readings) all.update(reading).update("\n");
    return all.hex();
}

std::vector<fs::path> Checkpoint::files() const {
    auto paths = files_->others;
    for (auto const& [name, file] : files_->safetensors) paths.push_back(file.path());
    if (files_->gguf) std::ranges::copy(files_->gguf->paths(), std::back_inserter(paths));
    return paths;
}

fs::path Checkpoint::tokenizer_path() const {
    return files_->gguf ? path_ : path_ / "tokenizer.json";
}

}  // namespace samner::weights
