#include "app/text_options.h"

#include <fmt/format.h>

#include <algorithm>

#include "app/library.h"
#include "core/error.h"
#include "plan/run_file.h"
#include "token/utf8.h"

namespace samner::app {

void add_text_options(CLI::App& verb, TextOptions& options, std::string const& otherwise) {
    verb.add_option("--root", options.root, "data root; default SAMNER_DATA");
    verb.add_option("--configs", options.folders,
                    "folders of data set descriptions, beside those that come with samner");
    verb.add_option("--layout", options.layout, fmt::format("of prompts: short or full; default {}full", otherwise));
    verb.add_option("--format", options.format,
                    fmt::format("of answers: json, json_map, enumeration or sentences; default {}json", otherwise));
}

work::TextReader TextOptions::reader(bool described) const {
    std::vector<std::filesystem::path> descriptions;
    if (described) descriptions.assign(folders.begin(), folders.end());
    work::TextReader reader{descriptions, root, "give --root DIR"};
    reader.catalogue().warn_of_replaced();
    return reader;
}

prompt::Options TextOptions::prompt(std::vector<work::Card> const& cards) const {
    return prompt_of(layout, format, cards);
}

void TargetOptions::check(bool needs_types) const {
    if (data.empty() && in.empty())
        throw InputError{"neither --data nor --in is given (command line)",
                         "give --data DATASET[:SPLIT], or --in TEXTS.jsonl with --types"};
    if (!data.empty() && !in.empty())
        throw InputError{fmt::format("both --data {} and --in {} are given (command line)", data, in.string()),
                         "leave out one of them"};
    if (!data.empty() && !types.empty())
        throw InputError{"--types is given with --data, whose description says what its types are (command line)",
                         "leave --types out, or give the texts with --in"};
    for (auto const& type : types) {
        if (type.find_first_not_of(" \t") == std::string::npos || std::ranges::count(types, type) > 1)
            throw InputError{fmt::format("--types has '{}', which is empty or there twice", type),
                             "name each type once"};
        if (!token::is_valid_utf8(type)) throw InputError{"a type of --types is not valid UTF-8", "write it in UTF-8"};
    }
    if (needs_types && !in.empty() && types.empty())
        throw InputError{"--in is given without --types (command line)",
                         "name the entity types to find, separated by commas"};
}

work::Texts TargetOptions::texts(work::TextReader& reader) const {
    if (described()) return {{reader.hashed(work::parse_dataset_ref(data, "test", "command line: --data"))}};
    return {{work::TextReader::hashed(in, wanted_types())}};
}

std::vector<work::WantedType> TargetOptions::wanted_types() const {
    std::filesystem::path const file = types.size() == 1 ? types.front() : "";
    if (file.extension() == ".yaml" || file.extension() == ".yml") return plan::load_types(file);
    std::vector<work::WantedType> wanted;
    for (auto const& type : types) wanted.push_back({type});
    return wanted;
}

void add_target_options(CLI::App& verb, TargetOptions& options) {
    verb.add_option("--data", options.data, "DATASET[:SPLIT[+SPLIT]] of the described corpora; default split test");
    verb.add_option("--in", options.in, "TEXTS.jsonl: {\"id\", \"text\"} a line");
    verb.add_option("--types", options.types,
                    "entity types to find in --in, separated by commas, or a .yaml file of them with definitions")
        ->delimiter(',');
}

}  // namespace samner::app
