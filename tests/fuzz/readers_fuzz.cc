// Corpus readers. An input is a byte that picks the layout, one whose bits ask for repairs, skipping and Windows-1252,
// a line end, and the file.
#include <spdlog/spdlog.h>

#include <array>
#include <string>
#include <vector>

#include "core/error.h"
#include "corpus/dataset.h"
#include "fuzz/fuzz.h"

namespace samner::corpus {
namespace {

std::array<Layout, 10> const& layouts() {
    static std::array<Layout, 10> const all{
        ConllLayout{},
        ConllLayout{.separator = Separator::space, .token = 1, .tag = 2, .token_prefix = "de:", .comment_prefix = "# "},
        ConllLayout{.separator = Separator::last_space, .tags = {.names = {{"", "O"}}, .label_until = "-"}},
        ConllLayout{.separator = Separator::spaces, .token = 1, .tag = 2, .tags = {.brackets = true}},
        InlineLayout{},
        CsvLayout{
            .header = true, .token = "Word", .tag = "Tag", .sentence = "S", .document = "D", .sentence_ends = {"."}},
        JsonLayout{},
        JsonLayout{.records = "turns.*", .text = "u", .entities = "f.*.s", .type = "0", .start = "1", .end = "2"},
        JsonLayout{.tokens = "tokens", .tags = {.names = {{"0", "O"}, {"1", "B-X"}}}},
        DocumentLayout{}};
    return all;
}

std::vector<Sentence> read_as(Layout const& layout, std::string const& text, Repair repair, Skipped* skipped) {
    if (auto const* const conll = std::get_if<ConllLayout>(&layout))
        return read_conll(text, *conll, "f", skipped, repair);
    if (auto const* const csv = std::get_if<CsvLayout>(&layout))
        return read_csv(text, *csv, "f", skipped,
                        repair == Repair::shifted_breaks ? Repair::none : repair);  // which only CoNLL files can have
    if (auto const* const json = std::get_if<JsonLayout>(&layout)) return read_json_records(text, *json, "f", skipped);
    if (std::holds_alternative<InlineLayout>(layout)) return read_inline(text, "f", skipped);
    return read_documents(text, "f", skipped);
}

/// Byte of each code point of a UTF-8 text, and its end.
std::vector<std::size_t> starts_of(std::string const& text) {
    std::vector<std::size_t> starts;
    for (std::size_t i = 0; i < text.size(); ++i)
        if ((static_cast<unsigned char>(text[i]) & 0xC0U) != 0x80U) starts.push_back(i);
    starts.push_back(text.size());
    return starts;
}

void check(Sentence const& sentence) {
    promise(code_points(sentence.text).has_value(), "a text is UTF-8");
    auto const starts = starts_of(sentence.text);
    for (auto const& entity : sentence.entities) {
        if (!entity.span) continue;
        auto const [begin, end] = *entity.span;
        promise(begin >= 0 && begin <= end && end < std::ssize(starts), "offsets lie in the text");
        promise(sentence.text.substr(starts[begin], starts[end] - starts[begin]) == entity.text,
                "offsets cut the entity out of the text");
    }
    if (sentence.token_ends.empty()) return;
    std::string joined;
    for (auto const token : sentence.tokens()) joined += (joined.empty() ? "" : " ") + std::string{token};
    promise(joined == sentence.text, "the tokens are the text");
}

void read_one(std::string const& input) {
    if (input.size() < 3) return;
    auto const& layout = layouts()[static_cast<unsigned char>(input[0]) % layouts().size()];
    auto const bits = static_cast<unsigned char>(input[1]) - static_cast<unsigned>('0');
    auto text = input.substr(3);
    if (bits & 8U) text = from_windows_1252(text);
    Skipped skipped;
    try {
        auto const repair = static_cast<Repair>((bits & 3U) % 3);
        for (auto const& sentence : read_as(layout, text, repair, bits & 4U ? &skipped : nullptr)) check(sentence);
    } catch (InputError const& error) {
        promise(std::string{error.what()}.find('f') != std::string::npos, "an error names the file");
    }
    promise(skipped.sentences == 0 || !skipped.first.empty(), "what was skipped is told");
}

}  // namespace
}  // namespace samner::corpus

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    spdlog::set_level(spdlog::level::off);  // readers warn
    samner::corpus::read_one({reinterpret_cast<char const*>(data), size});
    return 0;
}
