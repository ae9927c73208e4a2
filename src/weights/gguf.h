#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/file.h"
#include "weights/quant.h"

namespace samner::weights {

/// A metadata value; integers of every width are int64 (uint64 only above 2^63 - 1), float32 is widened exactly.
/// Arrays of booleans are arrays of 0 and 1.
using GgufValue = std::variant<bool, std::int64_t, std::uint64_t, double, std::string, std::vector<std::int64_t>,
                               std::vector<double>, std::vector<std::string>>;

struct GgufTensor {
    std::string name;
    GgufType type = GgufType::f32;
    std::vector<std::int64_t> shape;  ///< row-major, slowest first: the file's dimensions reversed
    std::span<std::byte const> bytes;

    std::int64_t elements() const noexcept;
};

/// A GGUF file of version 2 or 3, mapped (ggml/docs/gguf.md). Everything is checked when it is opened: each count
/// against the bytes left, alignment, names, sizes, types, tensors within the file and apart from each other.
class GgufFile {
public:
    /// @throws InputError naming the file and what is wrong; unknown tensor types beside the supported ones
    explicit GgufFile(std::filesystem::path path);

    std::uint32_t version() const noexcept { return version_; }
    std::map<std::string, GgufValue, std::less<>> const& metadata() const noexcept { return metadata_; }

    /// A metadata value as a T (bool, int64_t, double, string, vectors); absent is nothing.
    /// @throws InputError naming key and file when it has another type
    template <class T>
    std::optional<T> get(std::string_view key) const;

    /// As get. @throws InputError also when it is absent
    template <class T>
    T require(std::string_view key) const;

    std::vector<GgufTensor> const& tensors() const noexcept { return tensors_; }  ///< in the order of the file
    GgufTensor const* find(std::string_view name) const;                          ///< nullptr when absent
    std::filesystem::path const& path() const noexcept { return file_.path(); }
    std::span<std::byte const> bytes() const noexcept { return file_.bytes(); }

private:
    MappedFile file_;
    std::uint32_t version_ = 0;
    std::map<std::string, GgufValue, std::less<>> metadata_;
    std::vector<GgufTensor> tensors_;
    std::map<std::string, std::size_t, std::less<>> index_;
};

}  // namespace samner::weights
