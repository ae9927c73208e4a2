#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/file.h"
#include "weights/dtype.h"

namespace samner::weights {

/// A named tensor whose bytes (row-major, little-endian, of any alignment) belong to someone else.
struct TensorView {
    std::string name;
    Dtype dtype = Dtype::f32;
    std::vector<std::int64_t> shape;
    std::span<std::byte const> bytes;

    std::int64_t elements() const noexcept;  ///< product of the shape; 1 for a scalar
};

using Metadata = std::map<std::string, std::string>;

/// A safetensors file, mapped (https://huggingface.co/docs/safetensors). Everything is checked when it is opened:
/// header of at most 100 MB, no duplicate names, sizes that agree with shapes, data that covers the rest of the file
/// without gap or overlap.
class SafetensorsFile {
public:
    /// @throws InputError naming the file and what is wrong
    explicit SafetensorsFile(std::filesystem::path path);

    /// In the order of their data. The views live as long as this object (moves keep them).
    std::vector<TensorView> const& tensors() const noexcept { return tensors_; }
    TensorView const* find(std::string_view name) const;     ///< nullptr when absent
    TensorView const& at(std::string_view name) const;       ///< @throws InputError when absent
    std::vector<float> floats(std::string_view name) const;  ///< converted; @throws InputError
    Metadata const& metadata() const noexcept { return metadata_; }
    std::filesystem::path const& path() const noexcept { return file_.path(); }
    std::span<std::byte const> bytes() const noexcept { return file_.bytes(); }

    /// Starts to read the tensor's bytes.
    void prefetch(TensorView const& tensor) const noexcept { file_.prefetch(tensor.bytes); }

    /// Gives back the memory that reading the tensor's bytes took.
    void release(TensorView const& tensor) const noexcept { file_.release(tensor.bytes); }

private:
    MappedFile file_;
    std::vector<TensorView> tensors_;
    std::map<std::string, std::size_t, std::less<>> index_;
    Metadata metadata_;
};

/// Where everything of a safetensors file lies, known before its tensors are. It depends on the tensors alone, not on
/// their order: widest type first, then by name, header keys in that order, padded to a multiple of 8, which is what
/// the reference library writes.
struct SafetensorsLayout {
    std::string header;                      ///< the file's first bytes
    std::vector<TensorView const*> tensors;  ///< in file order; the views that were given
    std::vector<std::uint64_t> offsets;      ///< of each, in the file
    std::uint64_t size = 0;                  ///< of the file

    /// @param tensors  live as long as this object; their `bytes` are not used
    /// @throws InputError when a name stands twice
    SafetensorsLayout(std::span<TensorView const> tensors, Metadata const& metadata);
};

/// Writes a safetensors file atomically, as SafetensorsLayout has it.
/// @throws InputError when a name stands twice or bytes disagree with a shape, StorageError
void write_safetensors(std::filesystem::path const& path, std::span<TensorView const> tensors,
                       Metadata const& metadata = {});

/// The same for tensors that are not all in memory at once: `fill(tensor, append)` is called once a tensor, in file
/// order, and appends exactly the bytes that its shape asks for. `bytes` of the views is not used.
void write_safetensors(
    std::filesystem::path const& path, std::span<TensorView const> tensors, Metadata const& metadata,
    std::function<void(TensorView const&, std::function<void(std::span<std::byte const>)> const&)> const& fill);

}  // namespace samner::weights
