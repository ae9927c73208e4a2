#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

namespace samner::model {

class Ops;

/// A sentence encoder: BERT, pooling by the mean of all tokens or by [CLS], and vectors of length 1 or as they are, as
/// the files of a sentence-transformers folder say, from version 2 on. A folder without modules.json is a plain BERT:
/// the mean, as it is.
class Encoder {
public:
    /// @throws InputError when the folder is not such an encoder (other modules and poolings are named), or a tensor is
    ///     missing or has another shape
    Encoder(std::filesystem::path const& folder, Ops const& ops);
    Encoder(Encoder&&) noexcept;
    ~Encoder();

    std::int64_t dimension() const;   ///< of an embedding
    std::int64_t max_length() const;  ///< tokens of a text, with [CLS] and [SEP]

    struct Embeddings {
        std::vector<float> pooled;   ///< [texts, dimension]
        std::vector<float> encoded;  ///< [texts, dimension]: what `encode` of sentence-transformers gives, pooled or,
                                     ///< where the folder has a Normalize module, of length 1 (zero stays zero)
    };
    /// @param texts  token ids with [CLS] and [SEP], each 1 … max_length() tokens
    /// Texts are packed behind each other without padding; an embedding does not depend on the other texts.
    Embeddings encode(std::span<std::vector<std::int32_t> const> texts) const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

/// The files of an encoder's folder, its tokenizer's with them, on which its embeddings depend: those that there are,
/// relative to the folder and sorted. @throws InputError when modules.json is not what it should be
std::vector<std::filesystem::path> encoder_files(std::filesystem::path const& folder);

/// The mean of embeddings [texts, dimension] (SaM, equation 2), summed in the order of the texts in double precision.
std::vector<float> centroid(std::span<float const> embeddings, std::int64_t dimension);

}  // namespace samner::model
