#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "corpus/sentence.h"

namespace samner::corpus {

/// The tag of one token: `O`, or B, I, E or S and a type.
struct Tag {
    char position;
    std::string_view type;
};

/// @return nothing when the tag has another form
std::optional<Tag> parse_tag(std::string_view tag);

/// Sentences that were left out because a line of theirs could not be read.
struct Skipped {
    std::int64_t sentences = 0;
    std::string first;  ///< what was wrong with the first
};

/// Puts sentences together from tagged tokens, reading tags as conlleval does, which covers BIO, IOB1 and IOBES: B- and
/// S- begin an entity, so do I- and E- after O or another type; E- and S- end one. A token that is empty is left out of
/// the text, though its tag counts. Offsets of all entities are set.
class SentenceBuilder {
public:
    /// @param skipped  null: a broken line is an error; else sentences with one are left out and counted there
    explicit SentenceBuilder(Skipped* skipped) : skipped_{skipped} {}

    void add(std::string_view token, Tag const& tag);

    /// @throws InputError saying `why` with line and place, unless broken lines are skipped
    void broken(std::string_view why, std::string_view line, std::string_view place, std::size_t number);

    void end_sentence();
    std::vector<Sentence> finish();

private:
    Skipped* skipped_;
    std::vector<Sentence> sentences_;
    Sentence sentence_;
    std::int64_t length_ = 0;  ///< of the text, in code points
    bool in_sentence_ = false;
    bool broken_ = false;         ///< the sentence holds a line that could not be read
    bool open_ = false;           ///< the last token's entity may go on
    bool entity_starts_ = false;  ///< no token of the last entity is stored yet
};

/// The number of code points of a UTF-8 text, or nothing when it is not UTF-8.
std::optional<std::int64_t> code_points(std::string_view text);

/// The text without the byte order mark that some editors put before it.
std::string_view without_bom(std::string_view text);

}  // namespace samner::corpus
