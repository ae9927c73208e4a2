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

/// A base model's files: a Hugging Face folder (model.safetensors, or shards with model.safetensors.index.json) or a
/// .gguf file. Tensors have Hugging Face names and layout whatever the file. The files are mapped: opening reads
/// headers only, and processes of a node share the pages.
class Checkpoint {
public:
    /// Opens and checks: every tensor that the configuration demands is there with its shape, and no other one that
    /// would be left out of the computation.
    /// @throws InputError naming the file, the tensor and what is wrong
    static Checkpoint open(std::filesystem::path const& path);

    Checkpoint(Checkpoint&&) noexcept;
    Checkpoint& operator=(Checkpoint&&) noexcept;
    ~Checkpoint();

    ModelConfig const& config() const noexcept { return config_; }
    std::filesystem::path const& path() const noexcept { return path_; }  ///< as given: the folder or the .gguf file

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

    /// SHA-256 that identifies weights and configuration: of the SHA-256 of every file that open read, with their
    /// roles as names, so it does not depend on where the model lies. Reads all bytes, unless `hash` knows better.
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
