#include "core/hash.h"

#include <openssl/evp.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <vector>

#include "core/error.h"
#include "core/file.h"

namespace samner {

struct Sha256::Impl {
    struct Free {
        void operator()(EVP_MD_CTX* context) const noexcept { EVP_MD_CTX_free(context); }
    };
    std::unique_ptr<EVP_MD_CTX, Free> context{EVP_MD_CTX_new()};

    Impl() { start(); }
    void start() {
        if (!context || EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) != 1) {
            throw Error{"OpenSSL cannot start a SHA-256 digest", "check the installation of libcrypto"};
        }
    }
};

Sha256::Sha256() : impl_{std::make_unique<Impl>()} {}
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;
Sha256::~Sha256() = default;

Sha256& Sha256::update(std::span<std::byte const> bytes) {
    if (EVP_DigestUpdate(impl_->context.get(), bytes.data(), bytes.size()) != 1) throw Error{"SHA-256 update failed"};
    return *this;
}

Sha256& Sha256::update(std::string_view text) {
    return update(std::as_bytes(std::span{text}));
}

std::string Sha256::hex() {
    std::array<unsigned char, 32> digest{};
    if (EVP_DigestFinal_ex(impl_->context.get(), digest.data(), nullptr) != 1) throw Error{"SHA-256 final failed"};
    impl_->start();
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    text.reserve(2 * digest.size());
    for (auto byte : digest) {
        text += digits[byte >> 4];
        text += digits[byte & 15];
    }
    return text;
}

std::string sha256(std::string_view text) {
    return Sha256{}.update(text).hex();
}

std::string sha256_file(std::filesystem::path const& path) {
    constexpr std::size_t block = std::size_t{4} << 20;
    MappedFile const file{path};
    Sha256 hash;
    for (std::size_t begin = 0; begin < file.bytes().size(); begin += block) {
        auto const part = file.bytes().subspan(begin, std::min(block, file.bytes().size() - begin));
        hash.update(part);
        file.release(part);
    }
    return hash.hex();
}

namespace {

constexpr auto crc_table = [] {
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t byte = 0; byte < 256; ++byte) {
        auto value = byte;
        for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1U) ? 0x82F63B78U : 0U);
        table[byte] = value;
    }
    return table;
}();

}  // namespace

std::uint32_t crc32c(std::string_view bytes, std::uint32_t crc) noexcept {
    crc = ~crc;
    for (char const byte : bytes) crc = (crc >> 8) ^ crc_table[(crc ^ static_cast<unsigned char>(byte)) & 0xFFU];
    return ~crc;
}

}  // namespace samner
