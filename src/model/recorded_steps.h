#pragma once

#include <map>
#include <memory>
#include <span>
#include <tuple>

#include "model/language_model.h"

namespace samner::model {

/// Decode steps, one token a sequence. A step of a number of rows is recorded once (Ops::record) and then repeated on
/// other tokens; numbers between those that are recorded are filled up by repeating the last row.
class RecordedSteps {
public:
    /// @param blocks  the most blocks that a sequence has
    RecordedSteps(LanguageModel const& model, Ops const& ops, KvCache& cache, std::int64_t blocks);

    struct Result {
        at::Tensor logits;  ///< [rows, vocabulary]; valid up to the next step
        at::Tensor best;    ///< [rows], as Ops::argmax leaves it
    };
    /// @param rows    not empty, all with one adapter
    /// @param common  first blocks that all of them share and have more than: the same number as often as can be
    Result run(std::span<Row const> rows, std::int64_t common);

private:
    struct Step {
        Pass pass;
        at::Tensor logits;
        at::Tensor best;
        std::unique_ptr<Recording> recording;
    };
    LanguageModel const& model_;
    Ops const& ops_;
    KvCache& cache_;
    std::int64_t blocks_;
    std::map<std::tuple<std::int64_t, std::int64_t, PreparedAdapter const*>, std::unique_ptr<Step>> steps_;
};

/// How many rows a step of `rows` is recorded with: 1, 2, 3, 4, 6, 8, 12, 16, 24 …
std::int64_t recorded_rows(std::int64_t rows);

}  // namespace samner::model
