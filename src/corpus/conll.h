#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "corpus/sentence.h"
#include "corpus/tags.h"

namespace samner::corpus {

/// What stands between the columns of a line. `spaces`: any run of spaces and TABs; `last_space`: the line's last
/// space, so that a token may hold spaces.
enum class Separator { tab, space, spaces, last_space };

/// How a file with one token a line is laid out. Sentences end at empty or white-space-only lines.
struct ConllLayout {
    Separator separator = Separator::tab;
    int token = 0;                  ///< column of the token, from 0
    int tag = -1;                   ///< column of the tag; -1: the last
    std::string token_prefix = {};  ///< removed from each token, once
    /// Lines that begin with it are skipped, unless they are tokens by their columns; empty: none.
    std::string comment_prefix = {};
    TagLayout tags = {};
};

/// Reads a UTF-8 text with one token a line (see SentenceBuilder for tags and empty tokens). Rows of -DOCSTART- only
/// end a sentence. A line that begins as a comment is a token where it has the columns of one: a tag that can be read
/// and as many columns as the file's first other row. A comment of which only one of both holds (of columns: between
/// TABs) is counted and warned of.
/// @param place    the file, for messages
/// @param skipped  null: a broken line is an error; else sentences with one are left out and counted there
/// @throws InputError with file, line and content for a row without the columns, with a tag of another form or with
///     bytes that are not UTF-8
std::vector<Sentence> read_conll(std::string_view text, ConllLayout const& layout, std::string_view place,
                                 Skipped* skipped = nullptr, Repair repair = Repair::none);

/// The layout of the MIT corpora, which has no choices.
struct InlineLayout {};

/// Reads the MIT corpora's layout, a sentence a line: `token:TAG token:TAG <=> <NULL>`; the last colon divides.
/// @throws InputError as read_conll
std::vector<Sentence> read_inline(std::string_view text, std::string_view place, Skipped* skipped = nullptr);

}  // namespace samner::corpus
