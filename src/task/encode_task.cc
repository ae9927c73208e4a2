#include "model/encoder.h"
#include "task/tasks.h"
#include "weights/safetensors.h"

namespace samner::task {
namespace {

std::vector<std::string> texts_of(work::Encode const& task, Context& context) {
    if (auto const* const recipe = std::get_if<work::Recipe>(&task.of))
        return work::training_texts(*recipe, context.texts(), context.labels());
    if (auto const* const types = std::get_if<work::Types>(&task.of)) return types->texts;
    std::vector<std::string> lines;
    for (auto const& text : context.texts().read(std::get<work::Texts>(task.of), context.labels()))
        lines.push_back(text.sentence->text);
    return lines;
}

}  // namespace

Done do_task(work::Encode const& task, std::string const& key, Context& context) {
    auto const texts = texts_of(task, context);
    auto const& encoder = context.encoder();
    auto const mean = model::centroid(encoder.encode(texts), encoder.dimension());
    auto const hash = context.artifacts().commit(key, [&](std::filesystem::path const& out) {
        std::vector<weights::TensorView> const tensors{
            {"mean", weights::Dtype::f32, {encoder.dimension()}, std::as_bytes(std::span{mean})}};
        weights::write_safetensors(out, tensors, {});
    });
    return {hash, work::Encoded{std::ssize(texts)}};
}

}  // namespace samner::task
