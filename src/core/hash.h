#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace samner {

/// SHA-256 (FIPS 180-4), fed piece by piece.
class Sha256 {
public:
    Sha256();
    Sha256(Sha256&&) noexcept;
    Sha256& operator=(Sha256&&) noexcept;
    ~Sha256();

    Sha256& update(std::span<std::byte const> bytes);
    Sha256& update(std::string_view text);

    /// The digest as 64 lower-case hex digits; the object starts afresh.
    std::string hex();

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

/// SHA-256 of `text` as 64 lower-case hex digits.
std::string sha256(std::string_view text);

/// SHA-256 of a file's bytes.
/// @throws InputError when it cannot be read
std::string sha256_file(std::filesystem::path const& path);

/// A way to the SHA-256 of a file's bytes: sha256_file, which reads them, or one that remembers (core/hash_memory.h).
using FileHash = std::function<std::string(std::filesystem::path const&)>;

/// CRC-32C (Castagnoli polynomial, reflected, as in RFC 3720), continued from `crc` (0 at the start).
std::uint32_t crc32c(std::string_view bytes, std::uint32_t crc = 0) noexcept;

}  // namespace samner
