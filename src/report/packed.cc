#include "report/packed.h"

#include <zlib.h>

#include "core/error.h"

namespace samner::report {
namespace {

std::string deflated(std::string_view bytes) {
    auto size = compressBound(static_cast<uLong>(bytes.size()));
    std::string result(size, '\0');
    auto const code =
        compress2(reinterpret_cast<Bytef*>(result.data()), &size, reinterpret_cast<Bytef const*>(bytes.data()),
                  static_cast<uLong>(bytes.size()), Z_DEFAULT_COMPRESSION);
    if (code != Z_OK) throw Error{"zlib cannot pack the sentences of the report"};
    result.resize(size);
    return result;
}

std::string base64(std::string_view bytes) {
    constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string text;
    text.reserve((bytes.size() + 2) / 3 * 4);
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        auto const byte = [&](std::size_t at) {
            return at < bytes.size() ? static_cast<unsigned>(static_cast<unsigned char>(bytes[at])) : 0U;
        };
        auto const group = byte(i) << 16U | byte(i + 1) << 8U | byte(i + 2);
        for (unsigned place = 0; place < 4; ++place) text += digits[group >> (18U - 6U * place) & 63U];
    }
    for (auto missing = (3 - bytes.size() % 3) % 3; missing > 0; --missing) text[text.size() - missing] = '=';
    return text;
}

}  // namespace

std::string packed(std::string_view bytes) {
    return base64(deflated(bytes));
}

}  // namespace samner::report
