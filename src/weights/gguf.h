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

    /// A model's file, or, where it is one of the parts that gguf-split makes (…-00001-of-00003.gguf), all of them: the
    /// first one with the tensors of the others.
    /// @throws InputError as the constructor, and naming a part that is missing or of another model
    static GgufFile open_model(std::filesystem::path const& path);

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
    std::vector<std::filesystem::path> paths() const;  ///< of all parts
    std::span<std::byte const> bytes() const noexcept { return file_.bytes(); }

private:
    void add_part(GgufFile part);

    MappedFile file_;
    std::vector<GgufFile> parts_;  ///< the others, which keep the bytes of their tensors
    std::uint32_t version_ = 0;
    std::map<std::string, GgufValue, std::less<>> metadata_;
    std::vector<GgufTensor> tensors_;
    std::map<std::string, std::size_t, std::less<>> index_;
};

}  // namespace samner::weights
