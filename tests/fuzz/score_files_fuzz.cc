// Files for scoring. An input is a byte that picks the answer format, GOLD.jsonl, a line "%" and PREDICTIONS.jsonl.
#include <array>
#include <string_view>

#include "core/error.h"
#include "fuzz/folder.h"
#include "fuzz/fuzz.h"
#include "prompt/score_files.h"

/// Every gold line has its answers, as many as the others, or it is an InputError.
extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    using namespace samner;
    using namespace samner::prompt;
    if (size == 0) return 0;
    constexpr std::array formats{Format::json, Format::json_map, Format::enumeration, Format::sentences};
    std::string_view const text{reinterpret_cast<char const*>(data) + 1, size - 1};
    auto const middle = std::min(text.find("\n%\n"), text.size());
    auto const gold_file = put("gold.jsonl", text.substr(0, middle));
    auto const answer_file = put("predictions.jsonl", text.substr(std::min(middle + 3, text.size())));
    try {
        auto const gold = read_gold(gold_file, {"PER", "place"});
        auto const answers = read_answers(answer_file, gold, formats[*data % formats.size()]);
        promise(answers.size() == gold.size(), "every gold line has answers");
        for (auto const& samples : answers) {
            promise(samples.size() == answers.front().size(), "sentences have equally many samples");
        }
    } catch (InputError const&) {
    }
    return 0;
}
