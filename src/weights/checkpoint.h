#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/hash.h"
#include "weights/config.h"

namespace samner::weights {

class SafetensorsFile;
struct TensorView;

/// A base model's files: a Hugging Face folder (model.safetensors, or shards with model.safetensors.index.json) or a
/// .gguf file, or one in parts. Tensors have Hugging Face names and layout whatever the file, also where it leaves
/// `model.` out. The files are mapped: opening reads headers only, but for a head beside the embedding that it should
/// be tied to, and processes of a node share the pages.
class Checkpoint {
public:
    /// Opens and checks: every tensor that the configuration demands is there with its shape, and no other one that
    /// would be left out of the computation.
    /// Where the configuration ties head and embedding, as in transformers 5: a head that is there and differs is kept,
    /// and config() says that they are not tied; a head without an embedding is taken for it.
    /// @throws InputError naming the file, the tensor and what is wrong
    static Checkpoint open(std::filesystem::path const& path);

    Checkpoint(Checkpoint&&) noexcept;
    Checkpoint& operator=(Checkpoint&&) noexcept;
    ~Checkpoint();

    ModelConfig const& config() const noexcept { return config_; }
    std::filesystem::path const& path() const noexcept { return path_; }  ///< as given: the folder or a .gguf file

    std::vector<std::string> names() const;  ///< sorted
    bool has(std::string_view name) const;
    std::vector<std::int64_t> const& shape(std::string_view name) const;  ///< row-major

    /// A tensor as float32, dequantised, row-major; on up to num_threads() threads.
    /// @param out  as many values as the shape asks for
    /// @throws InputError for an unknown name or another size
    void read(std::string_view name, std::span<float> out) const;
    std::vector<float> read(std::string_view name) const;

    /// A tensor's bytes as the file has them.
    std::span<std::byte const> stored(std::string_view name) const;
    /// From now on the tensor is read from these bytes, a copy of those of the file, which the caller keeps.
    /// @throws InputError for an unknown name or another size
    void read_from(std::string_view name, std::span<std::byte const> copy);

    /// A tensor where it lies in a folder's files.
    struct Stored {
        SafetensorsFile const* file;
        TensorView const* tensor;
        std::string name;  ///< as names() has it; empty: the model does not use it
    };
    /// The tensors that open took from a folder, file by file; none of a .gguf file. A tensor of a shard that the index
    /// has in another one is not among them. Valid as long as this object (moves keep them).
    std::vector<Stored> const& stored_tensors() const;

    /// SHA-256 that identifies weights and configuration: of the SHA-256 of every file that open read, with their
    /// roles as names, so it does not depend on where the model lies, and of what versions before this read otherwise.
    /// Reads all bytes, unless `hash` knows better.
    std::string content_hash(FileHash const& hash = sha256_file) const;

    /// Every file that open read.
    std::vector<std::filesystem::path> files() const;

    /// Where the tokenizer is: tokenizer.json in the folder, or the .gguf file. Not checked to exist.
    std::filesystem::path tokenizer_path() const;

    /// A tensor wherever it is stored.
    class Source {
    public:
        explicit Source(std::span<std::byte const> stored) : bytes{stored} {}
        virtual ~Source() = default;
        virtual std::vector<std::int64_t> const& shape() const = 0;
        virtual void read(std::span<float> out) const = 0;

        std::span<std::byte const> bytes;  ///< as the file has them
    };

private:
    Checkpoint() = default;
    void open_folder();
    void take_stored();
    void settle_head();
    void open_gguf();
    void check() const;
    Source const& source(std::string_view name) const;

    struct Files;
    std::filesystem::path path_;
    ModelConfig config_;
    std::unique_ptr<Files> files_;
    std::map<std::string, std::unique_ptr<Source>, std::less<>> sources_;
};

}  // namespace samner::weights
