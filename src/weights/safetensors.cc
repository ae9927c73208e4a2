#include "weights/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <tuple>

#include "core/error.h"
#include "core/json.h"
#include "weights/fields.h"

namespace samner::weights {
namespace {

constexpr std::uint64_t longest_header = 100'000'000;
constexpr std::size_t prefix = sizeof(std::uint64_t);
constexpr char const* metadata_key = "__metadata__";

[[noreturn]] void refuse(std::filesystem::path const& path, std::string const& what) {
    throw InputError{fmt::format("{} ({})", what, path.string()),
                     "the file is damaged or incomplete: copy or download it again"};
}

/// The JSON header. @throws InputError when the file is too short for it
std::string_view header_of(MappedFile const& file) {
    auto const text = file.text();
    if (text.size() < prefix) refuse(file.path(), fmt::format("{} bytes are no safetensors file", text.size()));
    std::uint64_t length = 0;
    std::memcpy(&length, text.data(), prefix);
    if (length > longest_header) {
        refuse(file.path(), fmt::format("safetensors header of {} bytes, more than {}", length, longest_header));
    }
    if (length > text.size() - prefix) {
        refuse(file.path(), fmt::format("safetensors header of {} bytes in a file of {}", length, text.size()));
    }
    auto const header = text.substr(prefix, length);
    if (!header.starts_with('{')) refuse(file.path(), "safetensors header does not start with '{'");
    return header;
}

std::int64_t unsigned_integer(Json const& value, std::filesystem::path const& path, std::string const& tensor) {
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() > std::uint64_t{INT64_MAX}) {
        refuse(path, fmt::format("tensor '{}' has the size or offset {}", shown(tensor), shown(value.dump())));
    }
    return value.get<std::int64_t>();
}

Metadata read_metadata(Json const& value, std::filesystem::path const& path) {
    if (!value.is_object()) refuse(path, "__metadata__ is not an object");
    Metadata metadata;
    for (auto const& [key, entry] : value.items()) {
        if (!entry.is_string()) refuse(path, fmt::format("__metadata__ '{}' is not a string", shown(key)));
        metadata.emplace(key, entry.get<std::string>());
    }
    return metadata;
}

/// One entry of the header; its offsets are checked against `data`, not yet against other tensors.
TensorView read_entry(std::string const& name, Json const& entry, std::span<std::byte const> data,
                      std::filesystem::path const& path) {
    auto const wrong = [&](std::string_view what) { refuse(path, fmt::format("tensor '{}' {}", shown(name), what)); };
    if (!entry.is_object() || entry.size() != 3 || !entry.contains("dtype") || !entry.contains("shape") ||
        !entry.contains("data_offsets")) {
        wrong("has not just dtype, shape and data_offsets");
    }
    if (!entry["dtype"].is_string() || !entry["shape"].is_array()) wrong("has a broken dtype or shape");
    auto const type_name = entry["dtype"].get<std::string>();
    auto const type = dtype_named(type_name);
    if (!type) wrong(fmt::format("has the unknown type '{}'", shown(type_name)));

    TensorView tensor{name, *type, {}, {}};
    for (auto const& size : entry["shape"]) tensor.shape.push_back(unsigned_integer(size, path, name));
    auto const& offsets = entry["data_offsets"];
    if (!offsets.is_array() || offsets.size() != 2) wrong("has data_offsets that are not two numbers");
    auto const begin = unsigned_integer(offsets[0], path, name);
    auto const end = unsigned_integer(offsets[1], path, name);
    if (begin > end || end > static_cast<std::int64_t>(data.size())) {
        wrong(fmt::format("lies at bytes {} to {} of {}", begin, end, data.size()));
    }
    auto sizes = tensor.shape;
    sizes.push_back(static_cast<std::int64_t>(size_of(*type)));
    if (checked_product(sizes) != end - begin) {
        wrong(fmt::format("has {} bytes, which is not its shape [{}] of {}", end - begin, fmt::join(tensor.shape, ", "),
                          type_name));
    }
    tensor.bytes = data.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin));
    return tensor;
}

void check_coverage(std::vector<TensorView> const& tensors, std::span<std::byte const> data,
                    std::filesystem::path const& path) {
    auto const* next = data.data();
    for (auto const& tensor : tensors) {
        if (tensor.bytes.data() != next) {
            refuse(path, fmt::format("tensor '{}' starts at byte {} of the data, expected {}: gap or overlap",
                                     shown(tensor.name), tensor.bytes.data() - data.data(), next - data.data()));
        }
        next += tensor.bytes.size();
    }
    auto const covered = static_cast<std::size_t>(next - data.data());
    if (covered != data.size()) {
        refuse(path, fmt::format("tensors cover {} of {} bytes of data", covered, data.size()));
    }
}

/// Header text without its length, padded with spaces so that the data starts at a multiple of 8.
std::string make_header(std::vector<TensorView const*> const& tensors, Metadata const& metadata) {
    nlohmann::ordered_json header = nlohmann::ordered_json::object();
    if (!metadata.empty()) header[metadata_key] = metadata;
    std::int64_t offset = 0;
    for (auto const* tensor : tensors) {
        auto const size = tensor->elements() * static_cast<std::int64_t>(size_of(tensor->dtype));
        nlohmann::ordered_json entry;
        entry["dtype"] = name(tensor->dtype);
        entry["shape"] = tensor->shape;
        entry["data_offsets"] = {offset, offset + size};
        if (tensor->name == metadata_key || header.contains(tensor->name)) {
            throw InputError{fmt::format("tensor name '{}' stands twice or is reserved", shown(tensor->name))};
        }
        header.push_back({tensor->name, std::move(entry)});
        offset += size;
    }
    auto text = header.dump();
    text.append((8 - text.size() % 8) % 8, ' ');
    return text;
}

std::string_view as_text(std::span<std::byte const> bytes) {
    return {reinterpret_cast<char const*>(bytes.data()), bytes.size()};
}

}  // namespace

std::int64_t TensorView::elements() const noexcept {
    std::int64_t product = 1;
    for (auto const size : shape) product *= size;
    return product;
}

SafetensorsFile::SafetensorsFile(std::filesystem::path path) : file_{std::move(path)} {
    auto const header = header_of(file_);
    auto const data = file_.bytes().subspan(prefix + header.size());
    auto const parsed = parse_json(header, this->path().string());
    for (auto const& [name, entry] : parsed.items()) {
        if (name == metadata_key) {
            metadata_ = read_metadata(entry, this->path());
        } else {
            tensors_.push_back(read_entry(name, entry, data, this->path()));
        }
    }
    std::sort(tensors_.begin(), tensors_.end(), [](TensorView const& a, TensorView const& b) {
        return std::tuple{a.bytes.data(), a.bytes.size(), std::string_view{a.name}} <
               std::tuple{b.bytes.data(), b.bytes.size(), std::string_view{b.name}};
    });
    check_coverage(tensors_, data, this->path());
    for (std::size_t i = 0; i < tensors_.size(); ++i) index_.emplace(tensors_[i].name, i);
}

TensorView const* SafetensorsFile::find(std::string_view name) const {
    auto const found = index_.find(name);
    return found == index_.end() ? nullptr : &tensors_[found->second];
}

TensorView const& SafetensorsFile::at(std::string_view name) const {
    if (auto const* tensor = find(name)) return *tensor;
    throw InputError{fmt::format("there is no tensor '{}' ({})", name, path().string())};
}

std::vector<float> SafetensorsFile::floats(std::string_view name) const {
    auto const& tensor = at(name);
    std::vector<float> values(static_cast<std::size_t>(tensor.elements()));
    to_float(tensor.dtype, tensor.bytes, values);
    return values;
}

SafetensorsLayout::SafetensorsLayout(std::span<TensorView const> given, Metadata const& metadata) {
    for (auto const& tensor : given) tensors.push_back(&tensor);
    std::sort(tensors.begin(), tensors.end(), [](TensorView const* a, TensorView const* b) {
        return a->dtype != b->dtype ? a->dtype > b->dtype : a->name < b->name;
    });
    auto const text = make_header(tensors, metadata);
    std::uint64_t const length = text.size();
    header = std::string{as_text(std::as_bytes(std::span{&length, 1}))} + text;
    size = header.size();
    for (auto const* tensor : tensors) {
        offsets.push_back(size);
        size += static_cast<std::uint64_t>(tensor->elements()) * size_of(tensor->dtype);
    }
}

void write_safetensors(std::filesystem::path const& path, std::span<TensorView const> tensors,
                       Metadata const& metadata) {
    for (auto const& tensor : tensors) {
        auto const size = static_cast<std::size_t>(tensor.elements()) * size_of(tensor.dtype);
        if (tensor.bytes.size() != size) {
            throw InputError{fmt::format("tensor '{}' has {} bytes, its shape asks for {}", shown(tensor.name),
                                         tensor.bytes.size(), size)};
        }
    }
    write_safetensors(path, tensors, metadata,
                      [](TensorView const& tensor, auto const& append) { append(tensor.bytes); });
}

void write_safetensors(
    std::filesystem::path const& path, std::span<TensorView const> tensors, Metadata const& metadata,
    std::function<void(TensorView const&, std::function<void(std::span<std::byte const>)> const&)> const& fill) {
    SafetensorsLayout const layout{tensors, metadata};
    write_atomically(path, [&](auto const& append) {
        append(layout.header);
        for (auto const* tensor : layout.tensors) {
            auto left = static_cast<std::size_t>(tensor->elements()) * size_of(tensor->dtype);
            fill(*tensor, [&](std::span<std::byte const> bytes) {
                if (bytes.size() > left) throw Error{fmt::format("too many bytes for tensor '{}'", tensor->name)};
                left -= bytes.size();
                append(as_text(bytes));
            });
            if (left != 0) throw Error{fmt::format("tensor '{}' lacks {} bytes", tensor->name, left)};
        }
    });
}

}  // namespace samner::weights
