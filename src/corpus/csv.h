#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "corpus/sentence.h"
#include "corpus/tags.h"

namespace samner::corpus {

/// How a comma-separated file with one token a row is laid out. A sentence ends at an empty line, at a row with an
/// empty token, at a -DOCSTART- row, and where `sentence`, `document` or `sentence_ends` say so. A column is named as
/// in the header line, or is a number from 0 where there is none.
struct CsvLayout {
    bool header = false;  ///< the first line names the columns
    std::string token = "0";
    std::string tag = "1";
    std::string sentence = {};  ///< column that is filled where a sentence begins; empty: none
    std::string document = {};  ///< column whose change ends a sentence; empty: none
    std::vector<std::string> sentence_ends =
        {};  ///< tokens that end a sentence unless the next row goes on with I- or E-
    TagLayout tags = {};
};

/// Reads a UTF-8 text of comma-separated rows; a field may stand in double quotes, which are doubled inside it (RFC
/// 4180, but for line breaks in fields). Tags as SentenceBuilder reads them.
/// @param repair  none or drop_last_sentence
/// @throws InputError with file, line and content for a column that is not there, a quote that is not closed, a tag of
///     another form or bytes that are not UTF-8; rows with such are left out and counted where `skipped` is given
std::vector<Sentence> read_csv(std::string_view text, CsvLayout const& layout, std::string_view place,
                               Skipped* skipped = nullptr, Repair repair = Repair::none);

}  // namespace samner::corpus
