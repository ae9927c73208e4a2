#include "corpus/conll.h"

#include <fmt/format.h>

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
    for (char const between = separator == Separator::tab ? '\t' : ' ';;) {
        auto const end = line.find(between);
        columns.push_back(line.substr(0, end));
        if (end == std::string_view::npos) return;
        line.remove_prefix(end + 1);
    }
}

/// Adds a row's token. @return what is wrong with the row, empty when nothing is
std::string add_row(std::vector<std::string_view> const& columns, ConllLayout const& layout, SentenceBuilder& builder) {
    auto const count = static_cast<int>(columns.size());
    auto const tag_column = layout.tag < 0 ? count - 1 : layout.tag;
    if (layout.token >= count || tag_column >= count || tag_column == layout.token) return "too few columns";
    auto token = columns[static_cast<std::size_t>(layout.token)];
    if (!token.starts_with(layout.token_prefix))
        return fmt::format("the token lacks the prefix '{}'", layout.token_prefix);
    token.remove_prefix(layout.token_prefix.size());
    if (!code_points(token)) return "bytes that are not UTF-8";
    auto tag = columns[static_cast<std::size_t>(tag_column)];
    if (tag.empty() && layout.empty_tag_is_o) tag = "O";
    auto const parsed = parse_tag(tag);
    if (!parsed) return fmt::format("tag '{}'", tag);
    builder.add(token, *parsed);
    return {};
}

}  // namespace

std::vector<Sentence> read_conll(std::string_view text, ConllLayout const& layout, std::string_view place,
                                 Skipped* skipped) {
    SentenceBuilder builder{skipped};
    std::vector<std::string_view> columns;
    for_each_line(without_bom(text), [&](std::string_view line, std::size_t number) {
        if (line.find_first_not_of(" \t\r") == std::string_view::npos || line.starts_with("-DOCSTART-"))
            return builder.end_sentence();
        if (!layout.comment_prefix.empty() && line.starts_with(layout.comment_prefix)) return;
        split(line, layout.separator, columns);
        auto const wrong = add_row(columns, layout, builder);
        if (!wrong.empty()) builder.broken(wrong, line, place, number);
    });
    return builder.finish();
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
                builder.broken(fmt::format("'{}' is not token:TAG", piece), line, place, number);
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
