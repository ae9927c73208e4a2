#pragma once

#include <cstring>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/file.h"
#include "token/tokenizer.h"

namespace samner::token {

/// Reads the members tokenizer.ggml.* of a trusted GGUF file (version 3), so that these tests need no other module.
class GgufMembers {
public:
    explicit GgufMembers(std::filesystem::path const& path) : file_{path} {
        if (file_.text().substr(0, 4) != "GGUF") throw std::runtime_error{path.string() + " is no GGUF file"};
        at_ = 16;
        for (auto count = number<std::uint64_t>(); count > 0; --count) {
            auto const key = text();
            read(key, number<std::uint32_t>());
        }
    }

    GgufVocabulary vocabulary() const {
        GgufVocabulary result;
        auto const name = [](char const* key) { return std::string{"tokenizer.ggml."} + key; };
        auto const integer = [&](char const* key) -> std::optional<std::int32_t> {
            auto const found = integers_.find(name(key));
            return found == integers_.end() ? std::nullopt : std::optional{found->second.at(0)};
        };
        result.model = texts_.at(name("model")).at(0);
        result.pre = texts_.at(name("pre")).at(0);
        result.tokens = texts_.at(name("tokens"));
        result.merges = texts_.at(name("merges"));
        result.types = integers_.at(name("token_type"));
        result.bos = integer("bos_token_id");
        result.eos = integer("eos_token_id");
        result.add_bos = integer("add_bos_token").value_or(0) != 0;
        result.add_eos = integer("add_eos_token").value_or(0) != 0;
        result.place = file_.path().string();
        return result;
    }

private:
    template <class T>
    T number() {
        T value;
        std::memcpy(&value, file_.text().substr(at_, sizeof value).data(), sizeof value);
        at_ += sizeof value;
        return value;
    }
    std::string text() {
        auto const size = number<std::uint64_t>();
        at_ += size;
        return std::string{file_.text().substr(at_ - size, size)};
    }
    void read(std::string const& key, std::uint32_t type) {
        switch (type) {
            case 0:
            case 1:
            case 7:
                integers_[key].push_back(number<std::uint8_t>());
                break;
            case 2:
            case 3:
                at_ += 2;
                break;
            case 4:
            case 5:
                integers_[key].push_back(number<std::int32_t>());
                break;
            case 6:
                at_ += 4;
                break;
            case 8:
                texts_[key].push_back(text());
                break;
            case 9: {
                auto const element = number<std::uint32_t>();
                for (auto count = number<std::uint64_t>(); count > 0; --count) read(key, element);
                break;
            }
            default:
                at_ += 8;
                break;
        }
    }

    MappedFile file_;
    std::size_t at_ = 0;
    std::map<std::string, std::vector<std::string>> texts_;
    std::map<std::string, std::vector<std::int32_t>> integers_;
};

}  // namespace samner::token
