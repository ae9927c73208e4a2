#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "corpus/conll.h"
#include "corpus/sentence.h"

namespace samner::corpus {

struct EntityType {
    std::string label;       ///< in the files
    std::string name;        ///< in prompts and scores
    std::string definition;  ///< one sentence
};

/// A file of a split, relative to the data root.
struct DataFile {
    std::string path;
    std::string sha256;  ///< of upstream's file; empty: not known
};

/// `conll`: a token a line; `inline_tags`: a sentence a line, token:TAG; `jsonl`: text with entities.
enum class Format { conll, inline_tags, jsonl };

/// A corpus as configs/data/<id>.yaml describes it.
struct Dataset {
    std::string id;
    std::string domain;
    std::string description;  ///< where the text comes from, in a sentence
    std::string licence;
    std::string source;  ///< upstream address
    Format format = Format::conll;
    ConllLayout layout;
    bool skip_broken = false;  ///< leave out sentences with broken lines, with a warning, instead of refusing the file
    std::map<std::string, std::vector<DataFile>> splits;
    std::vector<EntityType> types;        ///< in the order in which prompts name them
    std::vector<std::string> not_scored;  ///< labels that are neither asked for nor scored

    EntityType const* type(std::string const& label) const;  ///< null for an unknown label or one that is not scored
    std::vector<std::string> type_names() const;
};

/// All data sets that some folders describe, one YAML file each.
class Catalogue {
public:
    /// @throws InputError with file, line and column for a broken description, an id twice or a missing folder
    explicit Catalogue(std::vector<std::filesystem::path> const& folders);

    /// @throws InputError for an unknown id, with did-you-mean
    Dataset const& at(std::string const& id) const;
    std::map<std::string, Dataset> const& all() const { return datasets_; }

private:
    std::map<std::string, Dataset> datasets_;
};

/// A split's sentences in the order of its files.
/// @param root  the folder that the files' paths are relative to
/// @throws InputError for an unknown split, a missing file, a broken line (unless the data set skips them), or an
/// entity
///     of a type that is not described
std::vector<Sentence> read(Dataset const& dataset, std::string const& split, std::filesystem::path const& root);

/// SHA-256 over a split's files and what the description says of reading them.
/// @throws InputError as read
std::string split_hash(Dataset const& dataset, std::string const& split, std::filesystem::path const& root);

}  // namespace samner::corpus
