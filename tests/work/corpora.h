#pragma once

#include <fmt/format.h>

#include <string>
#include <vector>

#include "core/file.h"
#include "temporary_folder.h"
#include "work/texts.h"

namespace samner::work {

/// Two small data sets: `waters` with twelve test and four dev sentences on rivers, `tools` with seven on tools.
class Corpora {
public:
    Corpora() {
        describe("waters", {"river", "city"});
        describe("tools", {"tool", "city"});
        write("waters", "test", 12);
        write("waters", "dev", 4);
        write("tools", "test", 7);
        write("tools", "dev", 1);
    }
    /// Sentences `SPLIT 0`, `SPLIT 1` …, each of which names a city.
    void write(std::string const& dataset, std::string const& split, int sentences) const {
        std::string text;
        for (int i = 0; i < sentences; ++i) text += fmt::format("{}\tO\n{}\tO\nOslo\tB-city\n\n", split, i);
        std::filesystem::create_directories(root() / dataset);
        write_atomically(root() / dataset / (split + ".tsv"), text);
    }
    std::filesystem::path root() const { return folder_ / "data"; }
    std::filesystem::path file(std::string const& name) const { return folder_ / name; }
    TextReader reader() const { return {{folder_ / "descriptions"}, root()}; }

private:
    void describe(std::string const& dataset, std::vector<std::string> const& types) const {
        auto text = fmt::format(
            "id: {0}\ndomain: {0}\ndescription: Notes on {0}.\nlicence: none\nreader: {{format: conll, separator: "
            "tab}}\n"
            "splits:\n  test: [{{file: {0}/test.tsv}}]\n  dev: [{{file: {0}/dev.tsv}}]\ntypes:\n",
            dataset);
        for (auto const& type : types) text += fmt::format("  - {{label: {0}, name: {0}, definition: ''}}\n", type);
        std::filesystem::create_directories(folder_ / "descriptions");
        write_atomically(folder_ / "descriptions" / (dataset + ".yaml"), text);
    }
    TemporaryFolder folder_;
};

inline std::vector<std::string> ids_of(std::vector<Text> const& texts) {
    std::vector<std::string> ids;
    for (auto const& text : texts) ids.push_back(text.sentence->id);
    return ids;
}

}  // namespace samner::work
