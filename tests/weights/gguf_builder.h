#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

namespace samner::weights {

/// Writes small GGUF files, also wrong ones.
class GgufBuilder {
public:
    GgufBuilder& version(std::uint32_t version) { return version_ = version, *this; }
    GgufBuilder& alignment(std::size_t alignment) { return alignment_ = alignment, *this; }
    GgufBuilder& claim_tensors(std::uint64_t count) { return claimed_tensors_ = count, *this; }
    GgufBuilder& claim_entries(std::uint64_t count) { return claimed_entries_ = count, *this; }

    /// A metadata entry: key, type, then the bytes of `values`.
    template <class... Values>
    GgufBuilder& add_value(std::string const& key, std::uint32_t type, Values... values) {
        entries_ += text(key) + raw(type) + (raw(values) + ...);
        ++num_entries_;
        return *this;
    }
    GgufBuilder& add_text(std::string const& key, std::string const& value) {
        entries_ += text(key) + raw(std::uint32_t{8}) + text(value);
        ++num_entries_;
        return *this;
    }
    template <class T>
    GgufBuilder& add_array(std::string const& key, std::uint32_t type, std::vector<T> const& values) {
        entries_ += text(key) + raw(std::uint32_t{9}) + raw(type) + raw(std::uint64_t{values.size()});
        for (auto const& value : values) entries_ += raw(value);
        ++num_entries_;
        return *this;
    }
    GgufBuilder& add_texts(std::string const& key, std::vector<std::string> const& values) {
        entries_ += text(key) + raw(std::uint32_t{9}) + raw(std::uint32_t{8}) + raw(std::uint64_t{values.size()});
        for (auto const& value : values) entries_ += text(value);
        ++num_entries_;
        return *this;
    }

    /// A tensor; its data is appended, and its offset is where that is unless told otherwise.
    GgufBuilder& add_tensor(std::string const& name, std::vector<std::uint64_t> const& dimensions, std::uint32_t type,
                            std::string const& data, std::optional<std::uint64_t> offset = std::nullopt) {
        pad(data_);
        infos_ += text(name) + raw(static_cast<std::uint32_t>(dimensions.size()));
        for (auto const dimension : dimensions) infos_ += raw(dimension);
        infos_ += raw(type) + raw(offset.value_or(data_.size()));
        data_ += data;
        ++num_tensors_;
        return *this;
    }

    std::string build() const {
        auto bytes = "GGUF" + raw(version_) + raw(claimed_tensors_.value_or(num_tensors_)) +
                     raw(claimed_entries_.value_or(num_entries_)) + entries_ + infos_;
        pad(bytes);
        return bytes + data_;
    }

private:
    template <class T>
    static std::string raw(T value) {
        std::string bytes(sizeof value, '\0');
        std::memcpy(bytes.data(), &value, sizeof value);
        return bytes;
    }
    static std::string text(std::string const& value) { return raw(std::uint64_t{value.size()}) + value; }
    void pad(std::string& bytes) const { bytes.append((alignment_ - bytes.size() % alignment_) % alignment_, '\0'); }

    std::uint32_t version_ = 3;
    std::size_t alignment_ = 32;
    std::uint64_t num_tensors_ = 0;
    std::uint64_t num_entries_ = 0;
    std::optional<std::uint64_t> claimed_tensors_;
    std::optional<std::uint64_t> claimed_entries_;
    std::string entries_;
    std::string infos_;
    std::string data_;
};

}  // namespace samner::weights
