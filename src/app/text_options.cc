#include "app/text_options.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/error.h"
#include "token/utf8.h"

namespace samner::app {

void add_text_options(CLI::App& verb, TextOptions& options) {
    verb.add_option("--root", options.root, "data root; default SAMNER_DATA");
    verb.add_option("--configs", options.folders, "folders of data set descriptions")->capture_default_str();
    verb.add_option("--layout", options.layout, "prompt of data sets: short or full")->capture_default_str();
    verb.add_option("--format", options.format, "json, json_map, enumeration or sentences")->capture_default_str();
}

work::Texts TargetOptions::texts(work::TextReader& reader) const {
    if (data.empty() == in.empty()) throw InputError{"one of --data and --in has to be given"};
    if (!data.empty()) return {{reader.hashed(work::parse_dataset_ref(data, "test", "--data"))}};
    for (auto const& type : types) {
        if (type.find_first_not_of(" \t") == std::string::npos || std::ranges::count(types, type) > 1)
            throw InputError{fmt::format("--types has '{}', which is empty or there twice", type),
                             "name each type once"};
        if (!token::is_valid_utf8(type)) throw InputError{"a type of --types is not valid UTF-8", "write it in UTF-8"};
    }
    if (types.empty()) throw InputError{"--in needs --types", "name the entity types to find, separated by commas"};
    return {{work::TextReader::hashed(in, types)}};
}

void add_target_options(CLI::App& verb, TargetOptions& options) {
    verb.add_option("--data", options.data, "DATASET[:SPLIT[+SPLIT]] of the described corpora; default split test");
    verb.add_option("--in", options.in, "TEXTS.jsonl: {\"id\", \"text\"} a line");
    verb.add_option("--types", options.types, "entity types to find in --in")->delimiter(',');
}

}  // namespace samner::app
