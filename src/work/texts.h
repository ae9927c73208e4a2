#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/fields.h"
#include "core/hash.h"
#include "corpus/dataset.h"

namespace samner::work {

/// The key of a task whose artifact another one reads: 64 lower-case hex digits. A task waits for every Input among its
/// fields.
struct Input {
    std::string key;

    friend auto operator<=>(Input const&, Input const&) = default;
    Json to_json() const { return key; }
    static Input from_json(Json const& value, std::string_view place);
};

/// A data set as users name it: `bc5cdr` (its default split), `gmb-news:all[:80%]`, `ncbi:train+dev`.
struct DatasetRef {
    std::string id;
    std::vector<std::string> splits;  ///< each a name, or a part as corpus::parse_slice reads it
};

/// @param default_split  where the text names none
/// @param place          what to name in messages
/// @throws InputError for an empty id or split, a split twice, or one that is no slice
DatasetRef parse_dataset_ref(std::string const& text, std::string const& default_split, std::string_view place);

/// One split of a data set. Its hash covers the files and what the description says of reading them
/// (corpus::split_hash).
struct Split {
    std::string name;
    std::string sha256;

    friend bool operator==(Split const&, Split const&) = default;
    template <class Self, class Visit>
    static void fields(Self& self, Visit&& visit) {
        visit("name", self.name, no_influence);  // its hash says what is in it
        visit("sha256", self.sha256);
    }
};

/// Splits of a data set that is described, one after the other.
struct DatasetSource {
    static constexpr std::string_view kind = "dataset";
    std::string dataset;
    std::vector<Split> splits;

    friend bool operator==(DatasetSource const&, DatasetSource const&) = default;
    template <class Self, class Visit>
    static void fields(Self& self, Visit&& visit) {
        visit("dataset", self.dataset);
        visit("splits", self.splits);
    }
    Json key() const;  ///< [id, SHA-256 of each split]
};

/// A type to find in a user's texts.
struct WantedType {
    std::string name;
    std::string definition = {};  ///< one sentence; empty: the name says it

    friend bool operator==(WantedType const&, WantedType const&) = default;
    template <class Self, class Visit>
    static void fields(Self& self, Visit&& visit) {
        visit("name", self.name);
        visit("definition", self.definition);
    }
    /// The name alone, or [name, definition].
    Json to_json() const;
    /// Takes {name: definition}, too. @throws InputError for anything else, or an empty name
    static WantedType from_json(Json const& value, std::string_view place);
};

/// @throws InputError for a name that stands twice, or none at all
void check_types(std::vector<WantedType> const& types, std::string_view place);

/// A user's file of {"id", "text"} lines, with the types to find in it.
struct FileSource {
    static constexpr std::string_view kind = "file";
    std::string path;
    std::string sha256;
    std::vector<WantedType> types;
    std::string gold = {};  ///< a file with the texts' entities, {"id", "text", "entities"} a line; empty: none

    friend bool operator==(FileSource const&, FileSource const&) = default;
    template <class Self, class Visit>
    static void fields(Self& self, Visit&& visit) {
        visit("path", self.path, no_influence);
        visit("sha256", self.sha256);
        visit("types", self.types);
        visit("gold", self.gold, no_influence);  // no task looks at it
    }
};

using Source = std::variant<DatasetSource, FileSource>;

/// The first so many texts: of each source where it is the first view, of all that is left otherwise.
struct First {
    static constexpr std::string_view kind = "first";
    std::int64_t n = 0;

    friend bool operator==(First const&, First const&) = default;
    template <class Self, class Visit>
    static void fields(Self& self, Visit&& visit) {
        visit("n", self.n);
    }
};

/// `k` texts drawn at random without repetition, in their order; all where there are fewer.
struct Sample {
    static constexpr std::string_view kind = "sample";
    std::int64_t k = 0;
    std::uint64_t seed = 0;

    friend bool operator==(Sample const&, Sample const&) = default;
    template <class Self, class Visit>
    static void fields(Self& self, Visit&& visit) {
        visit("k", self.k);
        visit("seed", self.seed);
    }
};

/// One text drawn at random: all that is seen of a target in the one-sentence setting (SaM, section 4.7).
struct OneSentence {
    static constexpr std::string_view kind = "one_sentence";
    std::uint64_t trial = 0;

    friend bool operator==(OneSentence const&, OneSentence const&) = default;
    template <class Self, class Visit>
    static void fields(Self& self, Visit&& visit) {
        visit("trial", self.trial);
    }
};

/// The texts of one cluster, of those that a cluster task has labelled.
struct OfCluster {
    static constexpr std::string_view kind = "cluster";
    Input labels;
    std::int64_t index = 0;  ///< from 0

    friend bool operator==(OfCluster const&, OfCluster const&) = default;
    template <class Self, class Visit>
    static void fields(Self& self, Visit&& visit) {
        visit("labels", self.labels);
        visit("index", self.index);
    }
};

/// Texts index * size to (index + 1) * size - 1.
struct Shard {
    static constexpr std::string_view kind = "shard";
    std::int64_t size = 0;
    std::int64_t index = 0;  ///< from 0

    friend bool operator==(Shard const&, Shard const&) = default;
    template <class Self, class Visit>
    static void fields(Self& self, Visit&& visit) {
        visit("size", self.size);
        visit("index", self.index);
    }
};

using View = std::variant<First, Sample, OneSentence, OfCluster, Shard>;

/// What is encoded, predicted or trained on: sources one after the other, and views of them, each of what the one
/// before it leaves. A target, a pool of seven targets, a cluster of one and a user's file are all such texts.
struct Texts {
    static constexpr std::string_view kind = "texts";
    std::vector<Source> sources;
    std::vector<View> views = {};

    friend bool operator==(Texts const&, Texts const&) = default;
    template <class Self, class Visit>
    static void fields(Self& self, Visit&& visit) {
        visit("sources", self.sources);
        visit("views", self.views, !self.views.empty());
    }

    bool has_gold() const;     ///< whether answers can be scored: all but users' texts without a gold file
    std::string name() const;  ///< the sources' ids and what the views leave of them, for people
    Texts with(View view) const;

    /// Whether it is one split of one data set, from its beginning: what a target of revision 1 could be.
    struct WholeSplit {
        Split const& split;
        std::int64_t first;  ///< 0: all
    };
    std::optional<WholeSplit> whole_split() const;
};

/// A text with the data set that its types and its prompt come from.
struct Text {
    corpus::Sentence const* sentence;
    corpus::Dataset const* dataset;
};

/// The labels that a cluster task has given to texts, by its key.
using Labels = std::function<std::vector<std::int64_t>(Input const&)>;

/// Reads texts. Sources are read once and kept; what is read is what was hashed, or an error.
class TextReader {
public:
    /// @param descriptions  folders of data set descriptions, beside those that come with samner
    /// @param root          data root; empty: the environment variable SAMNER_DATA, looked at when a data set is read
    /// @param how_to_name_root  for who has named none
    TextReader(std::vector<std::filesystem::path> const& descriptions, std::filesystem::path root,
               std::string how_to_name_root = "set `data` in the run file");

    corpus::Catalogue const& catalogue() const { return catalogue_; }
    /// @throws InputError when there is none
    std::filesystem::path root() const;

    /// A data set's splits with their hashes. @throws InputError as corpus::split_hash
    DatasetSource hashed(DatasetRef const& ref, FileHash const& hash = sha256_file);
    /// A user's file with its hash. @throws InputError when it cannot be read
    static FileSource hashed(std::filesystem::path const& file, std::vector<WantedType> types,
                             FileHash const& hash = sha256_file);

    /// All sentences of a source; kept as long as the reader.
    /// @throws InputError as corpus::read; for a line without id or text, an id that stands twice, and gold of other
    /// texts
    std::vector<corpus::Sentence> const& sentences(Source const& source);
    corpus::Dataset const& dataset(Source const& source);

    /// The texts that the views leave.
    /// @param labels  of clusters; needed where a view is one
    /// @throws InputError also when labels are not those of these texts
    std::vector<Text> read(Texts const& texts, Labels const& labels = {});

    /// The names of all types of the texts' sources, each once, in the order of the sources.
    std::vector<std::string> type_names(Texts const& texts);

private:
    std::vector<corpus::Sentence> load(Source const& source);

    corpus::Catalogue catalogue_;
    std::filesystem::path root_;
    std::string how_to_name_root_;
    std::map<std::string, std::vector<corpus::Sentence>> kept_;  ///< by a source's key
    std::map<std::string, corpus::Dataset> file_datasets_;       ///< of user's files, by the same
    std::map<std::string, std::string> hashes_;                  ///< of data sets' splits, by "id/split"
};

}  // namespace samner::work
