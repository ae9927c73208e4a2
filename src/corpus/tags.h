#pragma once

#include <cstdint>
#include <functional>
#include <map>
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

/// How a corpus writes its tags.
struct TagLayout {
    std::map<std::string, std::string, std::less<>> names = {};  ///< what some tags stand for, such as 1: B-PER
    std::string label_until = {};  ///< a label ends before this, so that type-suv is type; empty: nowhere
    bool brackets = false;         ///< CoNLL-2012's (TYPE* opens, * goes on, *) closes, (TYPE) is one token
};

/// Reads the tags of one file in order.
class TagReader {
public:
    /// @param layout  must outlive the reader and the tags it gives
    explicit TagReader(TagLayout const& layout) : layout_{layout} {}

    /// @return a tag that lies in `tag`, in the layout or in this reader, until the next call; nothing when the tag has
    ///     another form
    std::optional<Tag> read(std::string_view tag);

    void end_sentence() { open_ = false; }

private:
    std::optional<Tag> read_bracket(std::string_view tag);

    TagLayout const& layout_;
    std::string type_;   ///< of the last bracket
    bool open_ = false;  ///< it is not closed yet
};

/// Sentences that were left out because a line of theirs could not be read.
struct Skipped {
    std::int64_t sentences = 0;
    std::string first;  ///< what was wrong with the first
};

/// What is to be mended in a file as upstream ships it.
enum class Repair {
    none,
    /// The converter took the -DOCSTART- tokens out but left the sentence breaks where they stood when those counted,
    /// so that after k documents each break is k tokens late (JNLPBA's training file in IOBES). All tokens are cut
    /// anew: by the lengths of the blocks in the file without those of length 1 (a -DOCSTART-), up to the last, and the
    /// rest after each . ? !
    shifted_breaks,
    /// The file's end cuts off its last sentence, which is left out.
    drop_last_sentence,
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

    /// @param drop_open  leave out the sentence that nothing has ended yet
    std::vector<Sentence> finish(bool drop_open = false);

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

/// Whether a tag can be read, wherever in an entity it stands.
bool is_tag(std::string_view tag, TagLayout const& layout);

/// The number of code points of a UTF-8 text, or nothing when it is not UTF-8.
std::optional<std::int64_t> code_points(std::string_view text);

/// The bytes of [begin, end) code points of valid UTF-8; shorter where the text is.
std::string_view cut(std::string_view text, Span span);

/// The first 80 bytes or so of a text, for messages; what is no printable UTF-8 as \xNN.
std::string excerpt(std::string_view text);

/// The text without the byte order mark that some editors put before it.
std::string_view without_bom(std::string_view text);

}  // namespace samner::corpus
