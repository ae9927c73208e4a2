#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "corpus/sentence.h"

namespace samner::corpus {

/// How a file with one token a line is laid out. Sentences end at empty or white-space-only lines.
struct ConllLayout {
    char separator = '\t';       ///< between columns
    int token = 0;               ///< column of the token, from 0
    int tag = -1;                ///< column of the tag; -1: the last
    std::string token_prefix;    ///< removed from each token, once
    std::string comment_prefix;  ///< lines that begin with it are skipped; empty: none
};

/// Reads tags as conlleval does, which covers BIO, IOB1 and IOBES: B- and S- begin an entity, so do I- and E- after O
/// or another type; E- and S- end one. Rows of -DOCSTART- are dropped, tokens that are empty are left out.
/// @param place  the file, for messages
/// @throws InputError with file, line and content for a row without the columns or with a tag of another form
std::vector<Sentence> read_conll(std::string_view text, ConllLayout const& layout, std::string_view place);

}  // namespace samner::corpus
