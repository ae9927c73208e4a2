// Completion parsers. An input is the first byte, which picks the format, type names up to the end of the line, with
// commas between, a line with the sentence, and the completion.
#include <algorithm>
#include <array>
#include <sstream>
#include <string>
#include <vector>

#include "fuzz/fuzz.h"
#include "prompt/prompt.h"

namespace samner::prompt {
namespace {

void parse_one(std::string const& input) {
    if (input.empty()) return;
    constexpr std::array formats{Format::json, Format::json_map, Format::enumeration, Format::sentences};
    auto const format = formats[static_cast<unsigned char>(input[0]) % formats.size()];
    std::istringstream stream{input.substr(1)};
    std::string line;
    std::getline(stream, line);
    std::vector<std::string> types;
    std::istringstream names{line};
    for (std::string name; std::getline(names, name, ',');) types.push_back(name);
    std::string sentence;
    std::getline(stream, sentence);
    auto const head = stream.tellg();
    auto const completion = head < 0 ? std::string{} : input.substr(1 + static_cast<std::size_t>(head));

    auto const parsed = parse(completion, types, sentence, format);
    auto const text = score::normalise(sentence);
    for (auto const& mention : parsed.mentions) {
        promise(text.find(mention.text) != std::string::npos, "a mention occurs in the sentence");
        promise(!mention.text.empty(), "a mention has a text");
        promise(std::ranges::find(types, mention.type) != types.end(), "a mention's type is one of the types");
    }
    for (auto const& mention : parsed.not_in_sentence)
        promise(text.find(mention.text) == std::string::npos, "what is set apart does not occur in the sentence");
    for (auto const& mention : parsed.named)
        promise(parsed.mentions.contains(mention), "what is named in order is among the mentions");
    promise(parsed.named.size() >= parsed.mentions.size(), "every mention is named");
    promise(!parsed.unparsable || parsed.mentions.empty(), "an answer that cannot be parsed has no mentions");
    std::vector<std::string> const stops{"\n\n", "Text:"};
    auto const cut = parse(completion, types, sentence, format, stops);
    promise(cut.mentions == parse(completion.substr(0, std::min(completion.find(stops[0]), completion.find(stops[1]))),
                                  types, sentence, format)
                                .mentions,
            "a stop cuts");
}

}  // namespace
}  // namespace samner::prompt

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    samner::prompt::parse_one({reinterpret_cast<char const*>(data), size});
    return 0;
}
