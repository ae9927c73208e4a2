#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

namespace samner::model {

class Ops;

/// A sentence encoder: BERT with mean pooling over all tokens and vectors of length 1, as a sentence-transformers
/// folder describes it (config.json, sentence_bert_config.json, model.safetensors, 1_Pooling).
class Encoder {
public:
    /// @throws InputError when the folder is not such an encoder, or a tensor is missing or has another shape
    Encoder(std::filesystem::path const& folder, Ops const& ops);
    Encoder(Encoder&&) noexcept;
    ~Encoder();

    std::int64_t dimension() const;   ///< of an embedding
    std::int64_t max_length() const;  ///< tokens of a text, with [CLS] and [SEP]

    struct Embeddings {
        std::vector<float> mean_pooled;  ///< [texts, dimension]
        std::vector<float> normalised;   ///< [texts, dimension], length 1 (zero stays zero): what `encode` of
                                         ///< sentence-transformers gives
    };
    /// @param texts  token ids with [CLS] and [SEP], each 1 … max_length() tokens
    /// An embedding does not depend on the other texts.
    Embeddings encode(std::span<std::vector<std::int32_t> const> texts) const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

/// The mean of embeddings [texts, dimension] (SaM, equation 2), summed in the order of the texts in double precision.
std::vector<float> centroid(std::span<float const> embeddings, std::int64_t dimension);

}  // namespace samner::model
