#include "corpus/csv.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "core/error.h"
#include "core/file.h"

namespace samner::corpus {
namespace {

/// Takes one field off the front of `rest`, with its comma. @return false when its quotes are not closed as they should
bool take_field(std::string_view& rest, std::string& field, bool& last) {
    field.clear();
    std::size_t at = 0;
    if (rest.starts_with('"')) {
        for (at = 1;; ++at) {
            auto const quote = rest.find('"', at);
            if (quote == std::string_view::npos) return false;
            field += rest.substr(at, quote - at);
            at = quote + 1;
            if (at == rest.size() || rest[at] != '"') break;
            field += '"';
        }
        if (at < rest.size() && rest[at] != ',') return false;
    } else {
        at = std::min(rest.find(','), rest.size());
        field = rest.substr(0, at);
    }
    last = at == rest.size();
    rest.remove_prefix(last ? at : at + 1);
    return true;
}

/// The fields of a line. `fields` only grows, so that its strings are used again.
std::optional<std::size_t> split(std::string_view line, std::vector<std::string>& fields) {
    std::size_t count = 0;
    for (bool last = false; !last; ++count) {
        if (count == fields.size()) fields.emplace_back();
        if (!take_field(line, fields[count], last)) return std::nullopt;
    }
    return count;
}

/// The columns that a layout names, as numbers.
struct Columns {
    std::size_t token;
    std::size_t tag;
    std::optional<std::size_t> sentence;
    std::optional<std::size_t> document;

    std::size_t needed() const { return 1 + std::max({token, tag, sentence.value_or(0), document.value_or(0)}); }
};

std::size_t column(std::string const& name, CsvLayout const& layout, std::string_view header, std::string_view place) {
    if (layout.header) {
        std::vector<std::string> names;
        auto const count = split(header, names);
        auto const end = names.begin() + static_cast<std::ptrdiff_t>(count.value_or(0));
        auto const found = std::find(names.begin(), end, name);
        if (found != end) return static_cast<std::size_t>(found - names.begin());
        throw InputError{fmt::format("no column '{}' in '{}' ({}:1)", name, excerpt(header), place),
                         "name the reader's columns as in the file's first line"};
    }
    std::uint16_t number = 0;
    auto const* const end = name.data() + name.size();
    if (auto const [stop, code] = std::from_chars(name.data(), end, number); code != std::errc{} || stop != end) {
        throw InputError{fmt::format("column '{}' is no number ({})", name, place),
                         "number the columns from 0, or set reader.header to true"};
    }
    return number;
}

Columns columns_of(CsvLayout const& layout, std::string_view header, std::string_view place) {
    auto const number = [&](std::string const& name) { return column(name, layout, header, place); };
    auto const optional = [&](std::string const& name) {
        return name.empty() ? std::nullopt : std::optional{number(name)};
    };
    return {number(layout.token), number(layout.tag), optional(layout.sentence), optional(layout.document)};
}

class Reader {
public:
    Reader(CsvLayout const& layout, std::string_view place, Skipped* skipped)
        : layout_{layout}, place_{place}, tags_{layout.tags}, builder_{skipped} {}

    void add(std::string_view line, std::size_t number) {
        if (!columns_) {
            columns_ = columns_of(layout_, line, place_);
            if (layout_.header) return;
        }
        if (line.empty()) return end_sentence();
        auto const count = split(line, fields_);
        if (!count) return builder_.broken("a quote that is not closed", line, place_, number);
        if (*count < columns_->needed()) return builder_.broken("too few columns", line, place_, number);
        auto const& token = fields_[columns_->token];
        if (token.empty() || token == "-DOCSTART-") return end_sentence();
        if (begins_sentence()) end_sentence();
        if (!code_points(token))
            return builder_.broken("bytes that are not in the file's encoding", line, place_, number);
        auto const tag = tags_.read(fields_[columns_->tag]);
        if (!tag)
            return builder_.broken(fmt::format("tag '{}'", excerpt(fields_[columns_->tag])), line, place_, number);
        if (may_end_ && tag->position != 'I' && tag->position != 'E') end_sentence();
        builder_.add(token, *tag);
        may_end_ = std::ranges::find(layout_.sentence_ends, token) != layout_.sentence_ends.end();
    }

    std::vector<Sentence> finish(Repair repair) { return builder_.finish(repair == Repair::drop_last_sentence); }

private:
    bool begins_sentence() {
        if (columns_->sentence && !fields_[*columns_->sentence].empty()) return true;
        if (!columns_->document || fields_[*columns_->document] == document_) return false;
        document_ = fields_[*columns_->document];
        return true;
    }
    void end_sentence() {
        builder_.end_sentence();
        tags_.end_sentence();
        may_end_ = false;
    }

    CsvLayout const& layout_;
    std::string_view place_;
    std::optional<Columns> columns_;
    std::vector<std::string> fields_;
    std::string document_;  ///< of the last row
    bool may_end_ = false;  ///< the last token was one of sentence_ends
    TagReader tags_;
    SentenceBuilder builder_;
};

}  // namespace

std::vector<Sentence> read_csv(std::string_view text, CsvLayout const& layout, std::string_view place, Skipped* skipped,
                               Repair repair) {
    Reader reader{layout, place, skipped};
    for_each_line(without_bom(text), [&](std::string_view line, std::size_t number) { reader.add(line, number); });
    return reader.finish(repair);
}

}  // namespace samner::corpus
