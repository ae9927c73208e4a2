#include "token/wordpiece.h"

#include <algorithm>
#include <array>
#include <utility>

namespace samner::token {

namespace {

bool starts_character(char c) noexcept {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
}

void replace_all(std::string& text, std::string_view from, std::string_view to) {
    for (auto at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
        text.replace(at, from.size(), to);
    }
}

}  // namespace

WordPiece::WordPiece(Options options) : options_{std::move(options)} {
    for (auto const* tokens : {&options_.first, &options_.following}) {
        for (auto const& [token, id] : *tokens) longest_ = std::max(longest_, token.size());
    }
}

void WordPiece::encode(std::string_view word, std::vector<std::int32_t>& ids) const {
    auto const begin = ids.size();
    auto const unknown = [&] {
        ids.resize(begin);
        ids.push_back(options_.unknown);
    };
    auto const characters = static_cast<std::size_t>(std::count_if(word.begin(), word.end(), starts_character));
    if (characters > options_.max_characters) return unknown();
    for (std::size_t at = 0; at < word.size();) {
        auto const& tokens = at == 0 ? options_.first : options_.following;
        auto length = std::min(word.size() - at, longest_);
        auto found = tokens.end();
        for (; length > 0; --length) {
            if (at + length < word.size() && !starts_character(word[at + length])) continue;
            found = tokens.find(word.substr(at, length));
            if (found != tokens.end()) break;
        }
        if (length == 0) return unknown();
        ids.push_back(found->second);
        at += length;
    }
}

std::string WordPieceDecoder::text(std::string_view token, bool first) const {
    auto const joined = !first && token.starts_with(prefix);
    std::string text(first || joined ? 0U : 1U, ' ');
    text += joined ? token.substr(prefix.size()) : token;
    if (!clean_up) return text;
    constexpr auto replacements = std::to_array<std::pair<std::string_view, std::string_view>>({{" .", "."},
                                                                                                {" ?", "?"},
                                                                                                {" !", "!"},
                                                                                                {" ,", ","},
                                                                                                {" ' ", "'"},
                                                                                                {" n't", "n't"},
                                                                                                {" 'm", "'m"},
                                                                                                {" do not", " don't"},
                                                                                                {" 's", "'s"},
                                                                                                {" 've", "'ve"},
                                                                                                {" 're", "'re"}});
    for (auto const& [from, to] : replacements) replace_all(text, from, to);
    return text;
}

}  // namespace samner::token
