#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/hash.h"
#include "core/json.h"
#include "core/key.h"
#include "corpus/conll.h"
#include "corpus/csv.h"
#include "corpus/encoding.h"
#include "corpus/json_records.h"
#include "corpus/sentence.h"

namespace samner::corpus {

struct EntityType {
    std::string label;       ///< in the files
    std::string name;        ///< in prompts and scores
    std::string definition;  ///< one sentence
};

/// A file of a split, or all files of a folder and the folders in it, relative to the data root.
struct DataFile {
    std::string path;
    std::string sha256 = {};  ///< of upstream's file; empty: not known
    std::string from = {};    ///< upstream address of the file, or of an archive that holds it; empty: none
    std::string member = {};  ///< not empty: from is an archive; the file is its members of this pattern, joined
    std::string suffix = {};  ///< not empty: path is a folder, whose files end with it; in byte order of their paths
    Repair repair = Repair::none;  ///< conll: any; csv: drop_last_sentence
};

/// How files are laid out; in descriptions conll, inline, csv, json (or jsonl) and documents.
using Layout = std::variant<ConllLayout, InlineLayout, CsvLayout, JsonLayout, DocumentLayout>;

/// A corpus as configs/data/<id>.yaml describes it.
struct Dataset {
    std::string id;
    std::string domain;
    std::string description;  ///< where the text comes from, in a sentence
    std::string licence;
    std::string source;                    ///< page of the corpus, for people
    bool user_supplied = false;            ///< nothing that can be passed on: users bring the files
    std::vector<std::string> substitutes;  ///< ids of the paper's corpora that this one stands in for
    Layout layout;
    Encoding encoding = Encoding::utf8;
    Json reader = Json::object();  ///< what the description says of reading, for split_hash
    bool skip_broken = false;  ///< leave out sentences with broken lines, with a warning, instead of refusing the file
    std::map<std::string, std::vector<DataFile>> splits;
    std::vector<EntityType> types;        ///< in the order in which prompts name them
    std::vector<std::string> not_scored;  ///< labels that are neither asked for nor scored

    EntityType const* type(std::string const& label) const;  ///< null for an unknown label or one that is not scored
    std::vector<std::string> type_names() const;             ///< each once: labels may share a name
    /// `name: definition` of each type that is scored, or its name where it is not defined; each once.
    std::vector<std::string> type_texts() const;
};

/// The keys of a part of a description: `` (all of it), `reader` (of every format), `reader.FORMAT`, `file` and
/// `folder` (in a split) and `type`. @throws Error for another part
std::span<Key const> description_keys(std::string_view part);
/// The words that the value of a key may be, such as those of `format` of `reader`; empty: it is no such word.
std::vector<std::string> description_words(std::string_view key);

/// All data sets that some folders describe, one YAML file each: a user's, and those that come with samner. Not for
/// several threads at once.
class Catalogue {
public:
    /// The folders of a user, and configs/data of the home (core/home.h). Where there is no home, the former alone.
    /// @throws InputError as below
    static Catalogue with_shipped(std::vector<std::filesystem::path> const& folders);

    /// @param folders  are read at once
    /// @param shipped  folder of descriptions that count where `folders` have none of that id, and are read when they
    ///     are asked for; empty: none
    /// @throws InputError with file, line and column for a broken description, an id twice in `folders` or a missing
    ///     folder
    explicit Catalogue(std::vector<std::filesystem::path> const& folders, std::filesystem::path const& shipped = {});

    /// @throws InputError for an unknown id, with did-you-mean
    Dataset const& at(std::string const& id) const;
    std::map<std::string, Dataset> const& all() const;

    /// Ids of `folders` that `shipped` describes, too.
    std::vector<std::string> const& replaced() const { return replaced_; }
    /// Warns of them, where there are some.
    void warn_of_replaced() const;

private:
    mutable std::map<std::string, Dataset> datasets_;
    mutable std::map<std::string, std::filesystem::path> unread_;  ///< shipped files by id
    std::vector<std::string> replaced_;
    bool without_home_ = false;
};

/// A split's sentences in the order of its files.
/// @param split  its name, or a part of it as corpus/slice.h has it
/// @param root  the folder that the files' paths are relative to
/// @throws InputError for an unknown split, a missing file, a broken line (unless the data set skips them), or an
///     entity of a type that is not described
std::vector<Sentence> read(Dataset const& dataset, std::string const& split, std::filesystem::path const& root);

/// The data root that SAMNER_DATA names; nothing when it is unset or empty.
std::optional<std::filesystem::path> default_root();

/// `root`, or where it is empty the default.
/// @param how_to_name  one, for the message: what the caller's user can do
/// @throws InputError when there is neither
std::filesystem::path root_or_default(std::filesystem::path const& root, std::string_view how_to_name);

/// SHA-256 over a split's files and what the description says of reading them.
/// @throws InputError as read
std::string split_hash(Dataset const& dataset, std::string const& split, std::filesystem::path const& root,
                       FileHash const& hash = sha256_file);

}  // namespace samner::corpus
