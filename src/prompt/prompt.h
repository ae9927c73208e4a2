#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/fields.h"
#include "corpus/dataset.h"
#include "score/score.h"

namespace samner::prompt {

/// How the instruction reads: `short_` names the types only; `full` also tells of the source and defines the types.
enum class Layout { short_, full };
constexpr auto enum_names(Layout const*) {
    return std::to_array<std::pair<std::string_view, Layout>>({{"short", Layout::short_}, {"full", Layout::full}});
}

/// How the answer reads. `json`: [["aspirin", "chemical"], ["pain", "disease"]] in the order of the text; `json_map`:
/// the paper's {"aspirin": "chemical", "pain": "disease"}; `enumeration`: chemical: aspirin, ibuprofen; disease: pain;
/// `sentences`: "aspirin" is a chemical. "pain" is a disease. (or: There are no entities.)
enum class Format { json, json_map, enumeration, sentences };
constexpr auto enum_names(Format const*) {
    return std::to_array<std::pair<std::string_view, Format>>({{"json", Format::json},
                                                               {"json_map", Format::json_map},
                                                               {"enumeration", Format::enumeration},
                                                               {"sentences", Format::sentences}});
}

/// @throws InputError for an unknown name
Layout parse_layout(std::string_view name);
Format parse_format(std::string_view name);
std::string_view name_of(Format format);
/// Nothing for `auto`: to be told apart by the answers.
std::optional<Format> parse_format_or_auto(std::string_view name);

struct Options {
    Layout layout = Layout::full;
    Format format = Format::json;

    friend bool operator==(Options const&, Options const&) = default;
    template <class Self, class Visit>
    static void fields(Self& self, Visit&& visit) {
        visit("layout", self.layout);
        visit("format", self.format);
    }
};

/// What one prompt is made of (SaM, section 3.1 and Figures 7 and 8), in the order in which it reads.
struct Parts {
    std::vector<std::string> types;  ///< names that are asked for; mentions of others are not in the answer
    bool masked = false;             ///< the types are called Type1, Type2 … instead
    bool source = false;             ///< where the data set comes from
    bool definitions = false;        ///< of the types
    bool answer_format = false;      ///< how to answer
    std::vector<corpus::Sentence const*> demonstrations = {};  ///< worked examples, which must outlive the parts
    Format format = Format::json;
};

/// The parts of every prompt of a layout: all types, and with `full` source, definitions and answer format.
Parts parts_of(corpus::Dataset const& dataset, Options const& options);

/// What a prompt calls its types, in their order: the list that its answer is parsed with.
std::vector<std::string> labels(Parts const& parts);

/// Mentions with the types' names where the prompt had placeholders.
score::Mentions unmasked(score::Mentions const& mentions, Parts const& parts);

struct Prompt {
    std::string text;               ///< instruction, input and the word that asks for the answer
    std::string answer;             ///< the gold answer, from the space before it on; the end token is not part of it
    std::size_t instruction_bytes;  ///< of `text`, before the input: the same for all sentences with the same parts
};

/// What the types are called and a sentence's entities of those types, as a prompt and its answer.
Prompt render(corpus::Sentence const& sentence, corpus::Dataset const& dataset, Parts const& parts);
Prompt render(corpus::Sentence const& sentence, corpus::Dataset const& dataset, Options const& options);

/// The gold mentions that are scored.
score::Mentions gold(corpus::Sentence const& sentence, corpus::Dataset const& dataset);

struct Parsed {
    score::Mentions mentions;           ///< that occur in the sentence
    score::Mentions not_in_sentence;    ///< the others
    std::vector<score::Mention> named;  ///< `mentions` in the order of the answer, with repeats
    bool unparsable = false;            ///< it says something, and no mention of a known type could be made out
};

/// Reads the answer out of a completion, whatever a model made of the format.
///
/// The completion is cut at the first of `stops`; a model's thoughts (<think>…</think>) and a code fence are taken off.
/// JSON (both shapes read alike): the first object or list from which mentions can be read, one with mentions of the
/// sentence before others, whatever else stands in brackets: objects {span: type}, {type: [spans]}, {type: span}; lists
/// of pairs or of objects such as {"text": …, "type": …}; these under names such as {"entities": […]} or under types.
/// Which side is the type is decided by the type names. Slips such as a comma too many, a missing bracket or quotes
/// inside a span cost at most the span they are in; quotes may be of any kind or missing (prompt/loose_json.h). Of a
/// truncated answer the complete pairs count. Enumeration: `type: span, span; type: span`; of spans separated by commas
/// the longest join that occurs in the sentence is one. Sentences: exactly what render writes, a or an alike; other
/// statements are passed over. None, NA, [], {}, {type: []} and nothing are the empty set; any other answer without a
/// mention is unparsable. Types compare case-folded, '_' and '-' as spaces. Never throws on any bytes; takes time in
/// proportion to them.
Parsed parse(std::string_view completion, std::span<std::string const> types, std::string_view sentence, Format format,
             std::span<std::string const> stops = {});

}  // namespace samner::prompt
