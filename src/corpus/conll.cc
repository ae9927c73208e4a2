#include "corpus/conll.h"

#include <fmt/format.h>

#include "core/error.h"
#include "core/file.h"

namespace samner::corpus {
namespace {

struct Tag {
    char position;  ///< B, I, E, S or O
    std::string_view type;
};

class Reader {
public:
    Reader(ConllLayout const& layout, std::string_view place) : layout_{layout}, place_{place} {}

    void line(std::string_view text, std::size_t number) {
        if (text.find_first_not_of(" \t\r") == std::string_view::npos) return end_sentence();
        if (!layout_.comment_prefix.empty() && text.starts_with(layout_.comment_prefix)) return;
        if (text.starts_with("-DOCSTART-")) return end_sentence();
        std::vector<std::string_view> columns;
        for (auto rest = text;;) {
            auto const end = rest.find(layout_.separator);
            columns.push_back(rest.substr(0, end));
            if (end == std::string_view::npos) break;
            rest.remove_prefix(end + 1);
        }
        auto const count = static_cast<int>(columns.size());
        auto const tag_column = layout_.tag < 0 ? count - 1 : layout_.tag;
        if (layout_.token >= count || tag_column >= count || tag_column == layout_.token)
            broken(text, number, "too few columns");
        auto token = columns[static_cast<std::size_t>(layout_.token)];
        if (!layout_.token_prefix.empty()) {
            if (!token.starts_with(layout_.token_prefix))
                broken(text, number, fmt::format("the token lacks the prefix '{}'", layout_.token_prefix));
            token.remove_prefix(layout_.token_prefix.size());
        }
        add(token, tag_of(columns[static_cast<std::size_t>(tag_column)], text, number));
    }

    std::vector<Sentence> finish() {
        end_sentence();
        return std::move(sentences_);
    }

private:
    [[noreturn]] void broken(std::string_view text, std::size_t number, std::string const& why) const {
        throw InputError{fmt::format("{} in '{}' ({}:{})", why, text.substr(0, 80), place_, number),
                         "mend the line, or the reader's settings of the data set"};
    }

    Tag tag_of(std::string_view tag, std::string_view text, std::size_t number) const {
        if (tag == "O") return {'O', {}};
        if (tag.size() < 3 || tag[1] != '-' || std::string_view{"BIES"}.find(tag[0]) == std::string_view::npos) {
            broken(text, number, fmt::format("tag '{}'", tag));
        }
        return {tag[0], tag.substr(2)};
    }

    void add(std::string_view token, Tag const& tag) {
        bool const goes_on =
            (tag.position == 'I' || tag.position == 'E') && open_ && sentence_.entities.back().type == tag.type;
        if (tag.position != 'O' && !goes_on) {
            sentence_.entities.push_back({"", std::string{tag.type}});
            entity_starts_ = true;
        }
        open_ = tag.position == 'B' || tag.position == 'I';
        in_sentence_ = true;
        if (token.empty()) return;
        if (!sentence_.text.empty()) sentence_.text += ' ';
        sentence_.text += token;
        if (tag.position == 'O') return;
        auto& entity = sentence_.entities.back().text;
        if (!entity_starts_) entity += ' ';
        entity += token;
        entity_starts_ = false;
    }

    void end_sentence() {
        if (in_sentence_) sentences_.push_back(std::move(sentence_));
        sentence_ = {};
        in_sentence_ = open_ = entity_starts_ = false;
    }

    ConllLayout const& layout_;
    std::string_view place_;
    std::vector<Sentence> sentences_;
    Sentence sentence_;
    bool in_sentence_ = false;
    bool open_ = false;           ///< the last token's entity may go on
    bool entity_starts_ = false;  ///< no token of the last entity is stored yet
};

}  // namespace

std::vector<Sentence> read_conll(std::string_view text, ConllLayout const& layout, std::string_view place) {
    Reader reader{layout, place};
    for_each_line(text, [&](std::string_view line, std::size_t number) { reader.line(line, number); });
    return reader.finish();
}

}  // namespace samner::corpus
