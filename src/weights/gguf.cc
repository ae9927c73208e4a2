#include "weights/gguf.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <type_traits>

#include "core/error.h"
#include "weights/fields.h"

namespace samner::weights {
namespace {

constexpr std::size_t most_dimensions = 4;
constexpr std::int64_t default_alignment = 32;

/// Types of metadata values (gguf.md, enum gguf_metadata_value_type).
enum class ValueType : std::uint32_t { u8, i8, u16, i16, u32, i32, f32, boolean, string, array, u64, i64, f64 };

/// Reads little-endian values from the start of a file and refuses to go beyond its end.
class Cursor {
public:
    explicit Cursor(MappedFile const& file) : file_{file} {}

    [[noreturn]] void refuse(std::string const& what) const {
        throw InputError{fmt::format("{} at byte {} ({})", what, position_, file_.path().string()),
                         "the file is damaged or incomplete: copy or download it again"};
    }

    template <class T>
    T number() {
        if (left() < sizeof(T)) refuse(fmt::format("file of {} bytes ends", file_.bytes().size()));
        T value;
        std::memcpy(&value, file_.bytes().data() + position_, sizeof value);
        position_ += sizeof value;
        return value;
    }

    std::string text() {
        auto const length = count(1, "characters");
        std::string value{file_.text().substr(position_, length)};
        position_ += length;
        return value;
    }

    /// A count of things that take at least `smallest` bytes each, so that memory is only taken for what is there.
    std::size_t count(std::size_t smallest, std::string_view what) {
        auto const value = number<std::uint64_t>();
        if (value > left() / smallest) refuse(fmt::format("{} {} in the {} bytes left", value, what, left()));
        return static_cast<std::size_t>(value);
    }

    std::size_t left() const { return file_.bytes().size() - position_; }
    std::size_t position() const { return position_; }

private:
    MappedFile const& file_;
    std::size_t position_ = 0;
};

template <class T>
GgufValue read_scalar(Cursor& cursor) {
    auto const value = cursor.number<T>();
    if constexpr (std::is_floating_point_v<T>) {
        return static_cast<double>(value);
    } else {
        if (!std::in_range<std::int64_t>(value)) return static_cast<std::uint64_t>(value);
        return static_cast<std::int64_t>(value);
    }
}

template <class T>
GgufValue read_numbers(Cursor& cursor, std::size_t count) {
    using Element = std::conditional_t<std::is_floating_point_v<T>, double, std::int64_t>;
    std::vector<Element> values(count);
    for (auto& value : values) {
        auto const read = cursor.number<T>();
        if constexpr (std::is_same_v<T, std::uint64_t>) {
            if (!std::in_range<std::int64_t>(read)) cursor.refuse("array element above 2^63 - 1");
        }
        value = static_cast<Element>(read);
    }
    return values;
}

/// Calls `visit` with a value of the C++ type of a numeric value type.
template <class Visit>
GgufValue for_number_type(Cursor& cursor, ValueType type, Visit const& visit) {
    switch (type) {
        case ValueType::u8:
            return visit(std::uint8_t{});
        case ValueType::i8:
            return visit(std::int8_t{});
        case ValueType::u16:
            return visit(std::uint16_t{});
        case ValueType::i16:
            return visit(std::int16_t{});
        case ValueType::u32:
            return visit(std::uint32_t{});
        case ValueType::i32:
            return visit(std::int32_t{});
        case ValueType::f32:
            return visit(float{});
        case ValueType::u64:
            return visit(std::uint64_t{});
        case ValueType::i64:
            return visit(std::int64_t{});
        case ValueType::f64:
            return visit(double{});
        default:
            cursor.refuse(fmt::format("metadata of type {}", static_cast<std::uint32_t>(type)));
    }
}

GgufValue read_array(Cursor& cursor) {
    auto const type = static_cast<ValueType>(cursor.number<std::uint32_t>());
    if (type == ValueType::array) cursor.refuse("array of arrays, which is not supported,");
    if (type == ValueType::string) {
        std::vector<std::string> texts(cursor.count(sizeof(std::uint64_t), "strings"));
        for (auto& text : texts) text = cursor.text();
        return texts;
    }
    auto const numeric = type == ValueType::boolean ? ValueType::u8 : type;
    return for_number_type(cursor, numeric, [&](auto example) {
        using T = decltype(example);
        return read_numbers<T>(cursor, cursor.count(sizeof(T), "numbers"));
    });
}

GgufValue read_value(Cursor& cursor) {
    auto const type = static_cast<ValueType>(cursor.number<std::uint32_t>());
    if (type == ValueType::boolean) return cursor.number<std::uint8_t>() != 0;
    if (type == ValueType::string) return cursor.text();
    if (type == ValueType::array) return read_array(cursor);
    return for_number_type(cursor, type, [&](auto example) { return read_scalar<decltype(example)>(cursor); });
}

std::uint32_t read_version(Cursor& cursor) {
    if (cursor.left() < 4 || cursor.number<std::uint32_t>() != 0x46554747U) cursor.refuse("no GGUF magic");
    auto const version = cursor.number<std::uint32_t>();
    if (version != 2 && version != 3) {
        auto const swapped = version >> 24;
        cursor.refuse(swapped == 2 || swapped == 3 ? "big-endian GGUF, which is not supported,"
                                                   : fmt::format("GGUF version {}, not 2 or 3,", version));
    }
    return version;
}

/// A tensor as the file lists it: its data lies at `offset` of the data section.
struct Listed {
    GgufTensor tensor;
    std::uint64_t offset;
    std::int64_t size;  ///< bytes
};

Listed read_tensor_info(Cursor& cursor, std::filesystem::path const& path) {
    GgufTensor tensor;
    tensor.name = cursor.text();
    auto const dimensions = cursor.number<std::uint32_t>();
    if (dimensions < 1 || dimensions > most_dimensions) {
        cursor.refuse(fmt::format("tensor '{}' with {} dimensions", shown(tensor.name), dimensions));
    }
    for (std::uint32_t i = 0; i < dimensions; ++i) {
        auto const size = cursor.number<std::uint64_t>();
        if (size == 0 || !std::in_range<std::int64_t>(size)) {
            cursor.refuse(fmt::format("tensor '{}' with a dimension of {}", shown(tensor.name), size));
        }
        tensor.shape.push_back(static_cast<std::int64_t>(size));
    }
    auto const& facts = gguf_type_facts(cursor.number<std::uint32_t>(),
                                        fmt::format("tensor '{}', {}", shown(tensor.name), path.string()));
    tensor.type = facts.type;
    auto const row = tensor.shape.front();
    if (row % facts.block_values != 0) {
        cursor.refuse(fmt::format("tensor '{}' with rows of {} values, no multiple of {}'s {}", shown(tensor.name), row,
                                  facts.name, facts.block_values));
    }
    auto blocks = tensor.shape;
    blocks.front() = row / facts.block_values;
    blocks.push_back(facts.block_bytes);
    auto const size = checked_product(blocks);
    if (!size || !checked_product(tensor.shape)) {
        cursor.refuse(fmt::format("tensor '{}' of impossible size", shown(tensor.name)));
    }
    std::reverse(tensor.shape.begin(), tensor.shape.end());
    auto const offset = cursor.number<std::uint64_t>();
    return {std::move(tensor), offset, *size};
}

std::int64_t alignment_of(std::map<std::string, GgufValue, std::less<>> const& metadata, Cursor const& cursor) {
    auto const found = metadata.find("general.alignment");
    if (found == metadata.end()) return default_alignment;
    auto const* const value = std::get_if<std::int64_t>(&found->second);
    if (value == nullptr || *value <= 0 || !std::has_single_bit(static_cast<std::uint64_t>(*value))) {
        cursor.refuse("general.alignment that is no power of two");
    }
    return *value;
}

/// Points each tensor at its bytes. @throws InputError when one lies outside the data, askew or over another
void place_tensors(std::vector<Listed>& listed, std::span<std::byte const> data, std::int64_t alignment,
                   Cursor const& cursor) {
    std::vector<Listed*> order;
    for (auto& entry : listed) order.push_back(&entry);
    std::sort(order.begin(), order.end(), [](Listed const* a, Listed const* b) { return a->offset < b->offset; });
    std::uint64_t end = 0;
    for (auto* entry : order) {
        auto const size = static_cast<std::uint64_t>(entry->size);
        if (entry->offset % static_cast<std::uint64_t>(alignment) != 0 || entry->offset < end) {
            cursor.refuse(fmt::format("tensor '{}' at offset {} is not aligned to {} or overlaps another, seen",
                                      shown(entry->tensor.name), entry->offset, alignment));
        }
        if (entry->offset > data.size() || size > data.size() - entry->offset) {
            cursor.refuse(fmt::format("tensor '{}' needs {} bytes at offset {} of {} bytes of data, seen",
                                      shown(entry->tensor.name), size, entry->offset, data.size()));
        }
        end = entry->offset + size;
        entry->tensor.bytes = data.subspan(static_cast<std::size_t>(entry->offset), static_cast<std::size_t>(size));
    }
}

/// The path of a part, counted from 1, of `count`: the same name with another number.
std::filesystem::path part_path(std::filesystem::path const& path, std::int64_t part, std::int64_t count) {
    auto const name = path.filename().string();
    constexpr std::string_view example = "-00001-of-00002.gguf";
    auto const end = fmt::format("-of-{:05}.gguf", count);
    bool const named = name.size() > example.size() && name.ends_with(end) && name[name.size() - example.size()] == '-';
    if (!named) {
        throw InputError{fmt::format("'{}' is part of a model in {} files and not named as such", path.string(), count),
                         "name the parts as llama.cpp's gguf-split does (model-00001-of-00002.gguf), or join them with "
                         "gguf-split --merge"};
    }
    return path.parent_path() / fmt::format("{}-{:05}{}", name.substr(0, name.size() - example.size()), part, end);
}

/// How many files the model has that a file belongs to.
std::int64_t count_parts(GgufFile const& file) {
    return std::max<std::int64_t>(1, file.get<std::int64_t>("split.count").value_or(1));
}

}  // namespace

std::int64_t GgufTensor::elements() const noexcept {
    std::int64_t product = 1;
    for (auto const size : shape) product *= size;
    return product;
}

GgufFile::GgufFile(std::filesystem::path path) : file_{std::move(path)} {
    constexpr std::size_t smallest_info = 8 + 4 + 8 + 4 + 8;
    constexpr std::size_t smallest_entry = 8 + 4 + 1;
    Cursor cursor{file_};
    version_ = read_version(cursor);
    auto const num_tensors = cursor.count(smallest_info, "tensors");
    auto const num_entries = cursor.count(smallest_entry, "metadata entries");
    for (std::size_t i = 0; i < num_entries; ++i) {
        auto key = cursor.text();
        auto value = read_value(cursor);
        auto const [entry, inserted] = metadata_.emplace(std::move(key), std::move(value));
        if (!inserted) cursor.refuse(fmt::format("metadata '{}' stands twice, seen", shown(entry->first)));
    }
    std::vector<Listed> listed;
    for (std::size_t i = 0; i < num_tensors; ++i) {
        listed.push_back(read_tensor_info(cursor, this->path()));
        if (!index_.emplace(listed.back().tensor.name, i).second) {
            cursor.refuse(fmt::format("tensor '{}' stands twice, seen", shown(listed.back().tensor.name)));
        }
    }
    auto const alignment = alignment_of(metadata_, cursor);
    auto const unaligned = static_cast<std::int64_t>(cursor.position()) & (alignment - 1);
    auto const padding = static_cast<std::uint64_t>(unaligned == 0 ? 0 : alignment - unaligned);
    if (padding > cursor.left() && num_tensors > 0) cursor.refuse("file ends before its tensors");
    auto const start = cursor.position() + std::min<std::uint64_t>(padding, cursor.left());
    place_tensors(listed, file_.bytes().subspan(start), alignment, cursor);
    for (auto& entry : listed) tensors_.push_back(std::move(entry.tensor));
}

GgufFile GgufFile::open_model(std::filesystem::path const& path) {
    GgufFile given{path};
    auto const count = count_parts(given);
    if (count == 1) return given;
    auto const open_part = [&](std::int64_t part) {
        auto const part_at = part_path(path, part, count);
        if (!std::filesystem::exists(part_at)) {
            throw InputError{
                fmt::format("'{}' is missing: the model has {} parts ({})", part_at.string(), count, path.string()),
                "put all parts into one folder"};
        }
        GgufFile file{part_at};
        if (count_parts(file) != count || file.get<std::int64_t>("split.no") != part - 1) {
            throw InputError{fmt::format("'{}' is not part {} of {}", part_at.string(), part, count),
                             "use parts of the same model under the names that gguf-split gave them"};
        }
        return file;
    };
    auto first = open_part(1);
    for (std::int64_t part = 2; part <= count; ++part) first.add_part(open_part(part));
    auto const tensors = first.get<std::int64_t>("split.tensors.count");
    if (tensors && *tensors != std::ssize(first.tensors_)) {
        throw InputError{fmt::format("the parts have {} tensors, and their first says {} ({})", first.tensors_.size(),
                                     *tensors, first.path().string()),
                         "use parts of the same model"};
    }
    return first;
}

void GgufFile::add_part(GgufFile part) {
    for (auto& tensor : part.tensors_) {
        if (!index_.emplace(tensor.name, tensors_.size()).second) {
            throw InputError{
                fmt::format("tensor '{}' stands in two parts ({})", shown(tensor.name), part.path().string()),
                "use parts of the same model"};
        }
        tensors_.push_back(std::move(tensor));
    }
    part.tensors_.clear();
    part.index_.clear();
    parts_.push_back(std::move(part));
}

std::vector<std::filesystem::path> GgufFile::paths() const {
    std::vector<std::filesystem::path> all{path()};
    for (auto const& part : parts_) all.push_back(part.path());
    return all;
}

GgufTensor const* GgufFile::find(std::string_view name) const {
    auto const found = index_.find(name);
    return found == index_.end() ? nullptr : &tensors_[found->second];
}

template <class T>
std::optional<T> GgufFile::get(std::string_view key) const {
    auto const found = metadata_.find(key);
    if (found == metadata_.end()) return std::nullopt;
    if (auto const* value = std::get_if<T>(&found->second)) return *value;
    throw InputError{fmt::format("metadata '{}' has another type than expected ({})", shown(key), path().string()),
                     "use a file that llama.cpp's converter wrote"};
}

template <class T>
T GgufFile::require(std::string_view key) const {
    if (auto value = get<T>(key)) return *std::move(value);
    throw InputError{fmt::format("metadata '{}' is missing ({})", shown(key), path().string()),
                     "use a file that llama.cpp's converter wrote"};
}

#define SAMNER_GGUF_GETTERS(T)                                          \
    template std::optional<T> GgufFile::get<T>(std::string_view) const; \
    template T GgufFile::require<T>(std::string_view) const
SAMNER_GGUF_GETTERS(bool);
SAMNER_GGUF_GETTERS(std::int64_t);
SAMNER_GGUF_GETTERS(double);
SAMNER_GGUF_GETTERS(std::string);
SAMNER_GGUF_GETTERS(std::vector<std::int64_t>);
SAMNER_GGUF_GETTERS(std::vector<double>);
SAMNER_GGUF_GETTERS(std::vector<std::string>);
#undef SAMNER_GGUF_GETTERS

}  // namespace samner::weights
