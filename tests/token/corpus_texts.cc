/// Prints the texts of all corpora as upstream ships them, for tests/data/tokenizers/make_expected.py: one JSON object
/// {"split", "text"} a line.

#include <fmt/format.h>

#include <cstdio>

#include "core/error.h"
#include "core/json.h"
#include "corpus/dataset.h"

int main() try {
    using namespace samner;
    auto const root = corpus::default_root();
    if (!root) throw InputError{"SAMNER_DATA is not set", "let it name the full corpora"};
    corpus::Catalogue const catalogue{{std::filesystem::path{SAMNER_SOURCE_DIR} / "configs/data"}};
    for (auto const& [id, dataset] : catalogue.all()) {
        if (dataset.user_supplied) continue;
        for (auto const& [split, files] : dataset.splits) {
            for (auto const& sentence : corpus::read(dataset, split, *root)) {
                fmt::print("{}\n", Json{{"split", id + "/" + split}, {"text", sentence.text}}.dump());
            }
        }
    }
    return 0;
} catch (std::exception const& error) {
    fmt::print(stderr, "error: {}\n", samner::describe(error));
    return 2;
}
