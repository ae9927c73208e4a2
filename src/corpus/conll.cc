#include "corpus/conll.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "core/file.h"

namespace samner::corpus {
namespace {

void split(std::string_view line, Separator separator, std::vector<std::string_view>& columns) {
    columns.clear();
    if (separator == Separator::last_space) {
        auto const space = line.rfind(' ');
        columns.push_back(line.substr(0, space));
        if (space != std::string_view::npos) columns.push_back(line.substr(space + 1));
        return;
    }
    if (separator == Separator::spaces) {
        for (std::size_t at = 0; (at = line.find_first_not_of(" \t", at)) != std::string_view::npos;) {
            auto const end = std::min(line.find_first_of(" \t", at), line.size());
            columns.push_back(line.substr(at, end - at));
            at = end;
        }
        return;
    }
    for (char const between = separator == Separator::tab ? '\t' : ' ';;) {
        auto const end = line.find(between);
        columns.push_back(line.substr(0, end));
        if (end == std::string_view::npos) return;
        line.remove_prefix(end + 1);
    }
}

struct Row {
    std::string_view token;
    Tag tag{'O', {}};
    std::string wrong = {};  ///< why the row cannot be read; empty when it can
};

/// The columns of a row that are read.
struct Columns {
    std::string_view token;
    std::string_view tag;
};

/// @return nothing where there are too few
std::optional<Columns> columns_of(std::vector<std::string_view> const& columns, ConllLayout const& layout) {
    auto const count = static_cast<int>(columns.size());
    auto const tag_column = layout.tag < 0 ? count - 1 : layout.tag;
    if (layout.token >= count || tag_column >= count || tag_column == layout.token) return std::nullopt;
    return Columns{columns[static_cast<std::size_t>(layout.token)], columns[static_cast<std::size_t>(tag_column)]};
}

Row parse_row(std::vector<std::string_view> const& columns, ConllLayout const& layout, TagReader& tags) {
    auto const found = columns_of(columns, layout);
    if (!found) return {.token = {}, .wrong = "too few columns"};
    auto [token, tag] = *found;
    if (!token.starts_with(layout.token_prefix))
        return {.token = {}, .wrong = fmt::format("the token lacks the prefix '{}'", layout.token_prefix)};
    token.remove_prefix(layout.token_prefix.size());
    if (!code_points(token)) return {.token = {}, .wrong = "bytes that are not in the file's encoding"};
    auto const parsed = tags.read(tag);
    if (!parsed) return {.token = {}, .wrong = fmt::format("tag '{}'", excerpt(tag))};
    return {token, *parsed};
}

/// Tells comments from tokens that begin like one, such as the hashtags of tweets.
class Comments {
public:
    Comments(std::string_view text, ConllLayout const& layout, std::string_view place)
        : layout_{layout}, place_{place}, columns_of_rows_{layout.comment_prefix.empty() ? 0 : find_columns(text)} {}

    bool is_one(std::string_view line, std::size_t number) {
        if (!may_be_one(line)) return false;
        bool const tagged = is_row(line);
        bool const complete = columns_of_rows_ == 0 || columns_.size() == columns_of_rows_;
        if (tagged && complete) return false;
        bool const doubtful = tagged || (complete && columns_.size() > 1 && layout_.separator == Separator::tab);
        if (doubtful && doubtful_++ == 0) first_ = fmt::format("'{}' ({}:{})", excerpt(line), place_, number);
        return true;
    }

    void warn() const {
        if (doubtful_ == 0) return;
        spdlog::warn(
            "{} lines that begin with '{}' could be tokens and are taken for comments, the first: {} — give them the "
            "columns and a tag of the others, or change the data set's reader.comment_prefix",
            doubtful_, layout_.comment_prefix, first_);
    }

private:
    bool may_be_one(std::string_view line) const {
        return !layout_.comment_prefix.empty() && line.starts_with(layout_.comment_prefix);
    }
    /// Whether a line can be read as a row; leaves its columns behind.
    bool is_row(std::string_view line) {
        split(line, layout_.separator, columns_);
        auto const found = columns_of(columns_, layout_);
        return found && found->token.starts_with(layout_.token_prefix) && is_tag(found->tag, layout_.tags);
    }
    /// Of the first row that is no comment; 0: there is none.
    std::size_t find_columns(std::string_view text) {
        std::size_t columns = 0;
        for_each_line(without_bom(text), [&](std::string_view line, std::size_t) {
            if (columns == 0 && !may_be_one(line) && is_row(line)) columns = columns_.size();
        });
        return columns;
    }

    ConllLayout const& layout_;
    std::string_view place_;
    std::vector<std::string_view> columns_;
    std::size_t columns_of_rows_;
    std::int64_t doubtful_ = 0;
    std::string first_;
};

/// Reads row after row into sentences.
class RowReader {
public:
    RowReader(ConllLayout const& layout, std::string_view place, Skipped* skipped)
        : layout_{layout}, place_{place}, tags_{layout.tags}, builder_{skipped} {}

    /// @return the row's token
    std::string_view add(std::string_view line, std::size_t number) {
        split(line, layout_.separator, columns_);
        auto row = parse_row(columns_, layout_, tags_);
        // A token that holds the separator would lose a part of itself. Only columns of any width may end ragged.
        if (count_ == 0 && row.wrong.empty()) count_ = columns_.size();
        bool const strict = layout_.separator == Separator::tab || layout_.separator == Separator::space;
        if (strict && row.wrong.empty() && columns_.size() != count_)
            row.wrong = fmt::format("{} columns where the rows before have {}", columns_.size(), count_);
        if (row.wrong.empty()) {
            builder_.add(row.token, row.tag);
        } else {
            builder_.broken(row.wrong, line, place_, number);
        }
        return row.token;
    }
    void end_sentence() {
        builder_.end_sentence();
        tags_.end_sentence();
    }
    std::vector<Sentence> finish(bool drop_open = false) { return builder_.finish(drop_open); }

private:
    ConllLayout const& layout_;
    std::string_view place_;
    TagReader tags_;
    SentenceBuilder builder_;
    std::vector<std::string_view> columns_;
    std::size_t count_ = 0;  ///< columns of the first row that could be read
};

/// Calls `row(line, number)` for each line with a token, and `sentence_end()` between sentences.
void for_each_row(std::string_view text, Comments& comments, auto const& row, auto const& sentence_end) {
    for_each_line(without_bom(text), [&](std::string_view line, std::size_t number) {
        if (line.find_first_not_of(" \t\r") == std::string_view::npos || line.starts_with("-DOCSTART-")) {
            sentence_end();
        } else if (!comments.is_one(line, number)) {
            row(line, number);
        }
    });
    comments.warn();
}

/// Reads a file whose breaks are shifted (see Repair).
std::vector<Sentence> read_shifted(std::string_view text, Comments& comments, RowReader& reader) {
    std::vector<std::pair<std::string_view, std::size_t>> rows;
    std::vector<std::size_t> lengths;
    std::size_t begin = 0;
    auto const end_block = [&] {
        if (rows.size() - begin > 1) lengths.push_back(rows.size() - begin);
        begin = rows.size();
    };
    for_each_row(
        text, comments, [&](std::string_view line, std::size_t number) { rows.emplace_back(line, number); }, end_block);
    end_block();
    if (!lengths.empty()) lengths.pop_back();
    std::size_t at = 0;
    for (auto const length : lengths) {
        for (auto const end = at + length; at < end; ++at) reader.add(rows[at].first, rows[at].second);
        reader.end_sentence();
    }
    for (; at < rows.size(); ++at) {
        auto const token = reader.add(rows[at].first, rows[at].second);
        if (token == "." || token == "?" || token == "!") reader.end_sentence();
    }
    return reader.finish();
}

}  // namespace

std::vector<Sentence> read_conll(std::string_view text, ConllLayout const& layout, std::string_view place,
                                 Skipped* skipped, Repair repair) {
    RowReader reader{layout, place, skipped};
    Comments comments{text, layout, place};
    if (repair == Repair::shifted_breaks) return read_shifted(text, comments, reader);
    for_each_row(
        text, comments, [&](std::string_view line, std::size_t number) { reader.add(line, number); },
        [&] { reader.end_sentence(); });
    return reader.finish(repair == Repair::drop_last_sentence);
}

std::vector<Sentence> read_inline(std::string_view text, std::string_view place, Skipped* skipped) {
    constexpr std::string_view end_mark = " <=> <NULL>";
    SentenceBuilder builder{skipped};
    for_each_line(without_bom(text), [&](std::string_view line, std::size_t number) {
        if (line.find_first_not_of(" \t\r") == std::string_view::npos) return;
        auto rest = line;
        if (rest.ends_with(end_mark)) {
            rest.remove_suffix(end_mark.size());
        } else {
            builder.broken("the mark '<=> <NULL>' is missing at the end", line, place, number);
        }
        for (bool more = true; more;) {
            auto const end = rest.find(' ');
            auto const piece = rest.substr(0, end);
            auto const colon = piece.rfind(':');
            auto const tag = colon == std::string_view::npos ? std::nullopt : parse_tag(piece.substr(colon + 1));
            if (!tag || !code_points(piece)) {
                builder.broken(fmt::format("'{}' is not token:TAG", excerpt(piece)), line, place, number);
                break;
            }
            builder.add(piece.substr(0, colon), *tag);
            more = end != std::string_view::npos;
            if (more) rest.remove_prefix(end + 1);
        }
        builder.end_sentence();
    });
    return builder.finish();
}

}  // namespace samner::corpus
