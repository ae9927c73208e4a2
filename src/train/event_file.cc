#include "train/event_file.h"

#include <fmt/format.h>

#include <bit>

#include "core/error.h"
#include "core/hash.h"

namespace samner::train {
namespace {

// Protocol buffers: a field is its number and wire type, then the value
// (https://protobuf.dev/programming-guides/encoding).
enum class Wire : std::uint8_t { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

template <class T>
std::string little_endian(T value) {
    std::string bytes;
    for (std::size_t i = 0; i < sizeof value; ++i) bytes += static_cast<char>(value >> (8 * i) & 0xFF);
    return bytes;
}

std::string varint(std::uint64_t value) {
    std::string bytes;
    for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(value | 0x80);
    return bytes + static_cast<char>(value);
}

std::string field(int number, Wire wire, std::string const& value) {
    return varint(static_cast<std::uint64_t>(number) << 3 | static_cast<std::uint64_t>(wire)) + value;
}
std::string field(int number, double value) {
    return field(number, Wire::fixed64, little_endian(std::bit_cast<std::uint64_t>(value)));
}
std::string field(int number, float value) {
    return field(number, Wire::fixed32, little_endian(std::bit_cast<std::uint32_t>(value)));
}
std::string field(int number, std::string_view bytes) {
    return field(number, Wire::bytes, varint(bytes.size()).append(bytes));
}

/// TFRecord's checksum: a rotated CRC-32C plus a constant.
std::string masked_crc(std::string_view bytes) {
    auto const crc = crc32c(bytes);
    return little_endian(static_cast<std::uint32_t>((crc >> 15 | crc << 17) + 0xA282EAD8U));
}

}  // namespace

EventFile::EventFile(std::filesystem::path path, double wall_time) : path_{std::move(path)} {
    std::error_code ignored;
    std::filesystem::create_directories(path_.parent_path(), ignored);
    file_.open(path_, std::ios::binary | std::ios::trunc);
    write(field(1, wall_time) + field(3, std::string_view{"brain.Event:2"}));
}

void EventFile::add(double wall_time, std::int64_t step,
                    std::vector<std::pair<std::string_view, double>> const& scalars) {
    std::string summary;
    for (auto const& [tag, value] : scalars)
        summary += field(1, std::string_view{field(1, tag) + field(2, static_cast<float>(value))});
    write(field(1, wall_time) + field(2, Wire::varint, varint(static_cast<std::uint64_t>(step))) +
          field(5, std::string_view{summary}));
}

void EventFile::write(std::string const& event) {
    auto const length = little_endian(static_cast<std::uint64_t>(event.size()));
    file_ << length << masked_crc(length) << event << masked_crc(event) << std::flush;
    if (!file_)
        throw StorageError{fmt::format("cannot write '{}'", path_.string()), "check free space and permissions"};
}

}  // namespace samner::train
