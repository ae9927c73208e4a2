#pragma once

#include <string>
#include <vector>

namespace samner::corpus {

struct Entity {
    std::string text;  ///< its tokens, joined as in the sentence
    std::string type;  ///< label as in the file
};

struct Sentence {
    std::string id;                ///< `bc5cdr/test/17`, counted from 0 over the split's files
    std::string text;              ///< tokens joined by single spaces
    std::vector<Entity> entities;  ///< in the order of the text
};

}  // namespace samner::corpus
