#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "corpus/sentence.h"

namespace samner::corpus {

/// The entities as TYPE:text.
inline std::vector<std::string> entities(Sentence const& sentence) {
    std::vector<std::string> result;
    for (auto const& entity : sentence.entities) result.push_back(entity.type + ":" + entity.text);
    return result;
}

/// Expects that the text that an entity's offsets name and its own, and the tokens and the text, agree.
inline void check_offsets(Sentence const& sentence) {
    std::vector<std::size_t> starts;  // byte of each code point
    for (std::size_t i = 0; i <= sentence.text.size(); ++i) {
        if (i == sentence.text.size() || (static_cast<unsigned char>(sentence.text[i]) & 0xC0U) != 0x80U)
            starts.push_back(i);
    }
    for (auto const& entity : sentence.entities) {
        if (!entity.span) continue;
        auto const begin = starts.at(static_cast<std::size_t>(entity.span->begin));
        ASSERT_EQ(sentence.text.substr(begin, starts.at(static_cast<std::size_t>(entity.span->end)) - begin),
                  entity.text)
            << sentence.id;
    }
    if (sentence.token_ends.empty()) return;  // the source has no tokens
    std::string joined;
    for (auto const token : sentence.tokens()) joined += (joined.empty() ? "" : " ") + std::string{token};
    ASSERT_EQ(joined, sentence.text) << sentence.id;
}

}  // namespace samner::corpus
