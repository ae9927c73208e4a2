#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "corpus/sentence.h"
#include "corpus/tags.h"

namespace samner::corpus {

/// Where a JSON record keeps a sentence. A path names members and array positions with dots between (`pos.0`), `*`
/// stands for every member or element. The sentence is either a text with a list of entities, or, when `tokens` is
/// given, a list of tokens and one of their tags. The default is samner's own JSONL.
struct JsonLayout {
    std::string records = {};  ///< path to the list of a record's sentences; empty: the record is one sentence
    std::string text = "text";
    std::string entities = "entities";  ///< path to the list, with * to all lists
    std::string entity_text = "text";   ///< in an entity; may be missing there when offsets are given
    std::string type = "type";
    std::string start = "start";  ///< in code points; offsets may be missing where entity_text is there
    std::string end = "end";      ///< not included
    std::string tokens = {};      ///< path to a list of texts
    std::string tag = "tags";     ///< path to a list of texts or numbers
    TagLayout tags = {};          ///< label_until counts for entities too
};

/// Reads a JSON record a line (JSONL), or, when the text begins with `[`, one array of records. Members that no path
/// leads to are not looked at. Entities come in the order of the text where all have offsets. Offsets must cut the
/// entity's text out of the sentence's.
/// @throws InputError with file, line (in an array: position) and content, unless broken records are skipped; always
/// when
///     an array is no valid JSON
std::vector<Sentence> read_json_records(std::string_view text, JsonLayout const& layout, std::string_view place,
                                        Skipped* skipped = nullptr);

/// The layout of the DyGIE++ preprocessing (SciERC's), which has no choices.
struct DocumentLayout {};

/// Reads documents of `sentences` (lists of tokens) with `ner`, for each sentence a list of `[first, last, type]`,
/// where first and last count the document's tokens from 0, both included; mentions may overlap. JSONL or an array of
/// documents, as in read_json_records; a broken document is left out as a whole.
/// @throws InputError as read_json_records
std::vector<Sentence> read_documents(std::string_view text, std::string_view place, Skipped* skipped = nullptr);

}  // namespace samner::corpus
