#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "corpus/dataset.h"
#include "score/score.h"

namespace samner::prompt {

/// How the instruction reads: `short_` names the types only; `full` also tells of the source and defines the types.
enum class Layout { short_, full };

/// How the answer reads. `json`: [["aspirin", "chemical"], ["pain", "disease"]] in the order of the text; `json_map`:
/// the paper's {"aspirin": "chemical", "pain": "disease"}; `enumeration`: chemical: aspirin, ibuprofen; disease: pain;
/// `sentences`: "aspirin" is a chemical. "pain" is a disease. (or: There are no entities.)
enum class Format { json, json_map, enumeration, sentences };

/// @throws InputError for an unknown name
Layout parse_layout(std::string_view name);
Format parse_format(std::string_view name);

struct Options {
    Layout layout = Layout::full;
    Format format = Format::json;
};

struct Prompt {
    std::string text;               ///< instruction, input and the word that asks for the answer
    std::string answer;             ///< the gold answer, from the space before it on; the end token is not part of it
    std::size_t instruction_bytes;  ///< of `text`: the same for all sentences of a data set
};

/// What the data set's types are called and a sentence's entities of those types, as a prompt and its answer.
Prompt render(corpus::Sentence const& sentence, corpus::Dataset const& dataset, Options const& options);

/// The gold mentions that are scored.
score::Mentions gold(corpus::Sentence const& sentence, corpus::Dataset const& dataset);

struct Parsed {
    score::Mentions mentions;           ///< that occur in the sentence
    score::Mentions not_in_sentence;    ///< the others
    std::vector<score::Mention> named;  ///< `mentions` in the order of the answer, with repeats
    bool unparsable = false;            ///< no answer could be made out
};

/// Reads the answer out of a completion, whatever a model made of the format.
///
/// The completion is cut at the first of `stops`; a code fence is taken off. JSON (both shapes read alike): the first
/// object or list, as objects {span: type}, {type: [spans]}, {type: span}, as lists of pairs or of objects such as
/// {"text": …, "type": …}; which side is the type is decided by the type names; of a truncated answer the complete
/// pairs count. Enumeration: `type: span, span; type: span`; of spans separated by commas the longest join that occurs
/// in the sentence is one. Sentences: exactly what render writes, a or an alike; other statements are passed over.
/// None, NA, [], {} and nothing are the empty set. Types compare case-folded, '_' and '-' as spaces. Never throws on
/// any bytes.
Parsed parse(std::string_view completion, std::span<std::string const> types, std::string_view sentence, Format format,
             std::span<std::string const> stops = {});

}  // namespace samner::prompt
