#include "corpus/tags.h"

#include <fmt/format.h>
#include <utf8proc.h>

#include "core/error.h"

namespace samner::corpus {
namespace {

/// Bytes of the character that a text, which is not empty, begins with; 0 when that is no UTF-8.
std::size_t character_size(std::string_view text) {
    if (static_cast<unsigned char>(text[0]) < 0x80) return 1;
    utf8proc_int32_t character = 0;
    auto const size = utf8proc_iterate(reinterpret_cast<utf8proc_uint8_t const*>(text.data()),
                                       static_cast<utf8proc_ssize_t>(text.size()), &character);
    return size <= 0 ? 0 : static_cast<std::size_t>(size);
}

bool is_continuation(char byte) {
    return (static_cast<unsigned char>(byte) & 0xC0U) == 0x80U;
}

}  // namespace

std::vector<std::string_view> Sentence::tokens() const {
    std::vector<std::string_view> tokens;
    std::size_t begin = 0;
    for (auto const end : token_ends) {
        tokens.push_back(std::string_view{text}.substr(begin, end - begin));
        begin = std::size_t{end} + 1;  // the space between
    }
    return tokens;
}

std::optional<Tag> parse_tag(std::string_view tag) {
    if (tag == "O") return Tag{'O', {}};
    if (tag.size() < 3 || tag[1] != '-' || std::string_view{"BIES"}.find(tag[0]) == std::string_view::npos)
        return std::nullopt;
    return Tag{tag[0], tag.substr(2)};
}

std::optional<Tag> TagReader::read(std::string_view tag) {
    if (layout_.brackets) return read_bracket(tag);
    if (auto const named = layout_.names.find(tag); named != layout_.names.end()) tag = named->second;
    auto result = parse_tag(tag);
    if (result && !layout_.label_until.empty())
        result->type = result->type.substr(0, result->type.find(layout_.label_until));
    return result;
}

std::optional<Tag> TagReader::read_bracket(std::string_view tag) {
    if (tag == "*") return open_ ? Tag{'I', type_} : Tag{'O', {}};
    if (tag == "*)" && open_) {
        open_ = false;
        return Tag{'E', type_};
    }
    bool const closes = tag.ends_with(')');
    if (open_ || tag.size() < 3 || !tag.starts_with('(') || !(closes || tag.ends_with('*'))) return std::nullopt;
    auto const type = tag.substr(1, tag.size() - 2);
    if (type.find_first_of("()*") != std::string_view::npos) return std::nullopt;
    type_ = type;
    open_ = !closes;
    return Tag{closes ? 'S' : 'B', type_};
}

bool is_tag(std::string_view tag, TagLayout const& layout) {
    return (layout.brackets && tag == "*)") || TagReader{layout}.read(tag).has_value();
}

void SentenceBuilder::add(std::string_view token, Tag const& tag) {
    bool const goes_on =
        (tag.position == 'I' || tag.position == 'E') && open_ && sentence_.entities.back().type == tag.type;
    if (tag.position != 'O' && !goes_on) {
        sentence_.entities.push_back({"", std::string{tag.type}, Span{length_, length_}});
        entity_starts_ = true;
    }
    open_ = tag.position == 'B' || tag.position == 'I';
    in_sentence_ = true;
    if (token.empty()) return;
    if (!sentence_.text.empty()) {
        sentence_.text += ' ';
        ++length_;
    }
    auto const begin = length_;
    sentence_.text += token;
    sentence_.token_ends.push_back(static_cast<std::uint32_t>(sentence_.text.size()));
    length_ += code_points(token).value_or(0);
    if (tag.position == 'O') return;
    auto& entity = sentence_.entities.back();
    if (entity_starts_) {
        entity.span->begin = begin;
    } else {
        entity.text += ' ';
    }
    entity.text += token;
    entity.span->end = length_;
    entity_starts_ = false;
}

void SentenceBuilder::broken(std::string_view why, std::string_view line, std::string_view place, std::size_t number) {
    auto const what = fmt::format("{} in '{}' ({}:{})", why, excerpt(line), place, number);
    if (!skipped_)
        throw InputError{what, "mend the line or the reader's settings of the data set, or set reader.broken to skip"};
    if (skipped_->first.empty()) skipped_->first = what;
    in_sentence_ = broken_ = true;
}

void SentenceBuilder::end_sentence() {
    if (broken_) ++skipped_->sentences;
    if (in_sentence_ && !broken_) sentences_.push_back(std::move(sentence_));
    sentence_ = {};
    length_ = 0;
    in_sentence_ = broken_ = open_ = entity_starts_ = false;
}

std::vector<Sentence> SentenceBuilder::finish(bool drop_open) {
    if (!drop_open) end_sentence();
    return std::move(sentences_);
}

std::optional<std::int64_t> code_points(std::string_view text) {
    std::int64_t count = 0;
    for (std::size_t at = 0; at < text.size(); ++count) {
        auto const size = character_size(text.substr(at));
        if (size == 0) return std::nullopt;
        at += size;
    }
    return count;
}

std::string_view cut(std::string_view text, Span span) {
    std::size_t at = 0;
    auto const advance = [&](std::int64_t points) {
        for (; points > 0 && at < text.size(); --points) {
            do ++at;
            while (at < text.size() && is_continuation(text[at]));
        }
        return at;
    };
    auto const begin = advance(span.begin);
    return text.substr(begin, advance(span.end - span.begin) - begin);
}

std::string excerpt(std::string_view text) {
    constexpr std::size_t most = 80;
    std::string result;
    for (std::size_t at = 0; at < text.size() && result.size() < most;) {
        auto const size = character_size(text.substr(at));
        auto const byte = static_cast<unsigned char>(text[at]);
        if (size == 0 || (byte < 0x20 && byte != '\t') || byte == 0x7F) {
            result += fmt::format("\\x{:02X}", byte);
            ++at;
        } else {
            result += text.substr(at, size);
            at += size;
        }
    }
    return result;
}

std::string_view without_bom(std::string_view text) {
    if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
    return text;
}

}  // namespace samner::corpus
