#include "model/recorded_steps.h"

#include <bit>
#include <vector>

namespace samner::model {

std::int64_t recorded_rows(std::int64_t rows) {
    auto const unit = std::bit_ceil(static_cast<std::uint64_t>(rows)) / 4;
    auto const step = unit == 0 ? 1 : static_cast<std::int64_t>(unit);
    return (rows + step - 1) / step * step;
}

RecordedSteps::RecordedSteps(LanguageModel const& model, Ops const& ops, KvCache& cache, std::int64_t blocks)
    : model_{model}, ops_{ops}, cache_{cache}, blocks_{blocks} {}

RecordedSteps::Result RecordedSteps::run(std::span<Row const> rows, std::int64_t common) {
    auto const* const adapter = rows.front().adapter;
    auto const count = recorded_rows(std::ssize(rows));
    std::vector<Row> padded{rows.begin(), rows.end()};
    padded.resize(static_cast<std::size_t>(count), rows.back());
    if (count == 1) common = 0;
    auto& kept = steps_[{count, common, adapter}];
    if (!kept) {
        kept =
            std::make_unique<Step>(Pass{ops_, count, blocks_}, ops_.empty({count, model_.head->out()}),
                                   ops_.indices(std::vector<std::int32_t>(static_cast<std::size_t>(count))), nullptr);
    }
    auto& step = *kept;
    step.pass.set(ops_, padded, common);
    if (step.recording) {
        step.recording->replay();
    } else {
        step.recording = ops_.record([this, &step] {
            logits(model_, ops_, forward(model_, ops_, cache_, step.pass), step.logits);
            ops_.argmax(step.logits, step.best);
        });
    }
    return {step.logits.narrow(0, 0, std::ssize(rows)), step.best.narrow(0, 0, std::ssize(rows))};
}

}  // namespace samner::model
