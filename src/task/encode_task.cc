#include <fmt/format.h>

#include "core/error.h"
#include "model/encoder.h"
#include "task/tasks.h"
#include "weights/safetensors.h"
#include "work/card.h"

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

/// A mean, and of how many texts it is one.
struct Centroid {
    std::vector<float> mean;
    std::int64_t texts = 0;
};

Centroid of_card(work::Known const& known) {
    auto const card = work::read_card(known.folder);
    if (!card || !card->domain || card->domain->sha256() != known.sha256)
        throw InputError{fmt::format("the card of '{}' has changed since this run was planned", known.folder),
                         "run the same command again: it plans with what is there now"};
    return {card->domain->centroid, card->domain->texts};
}

Centroid encoded(work::Encode const& task, Context& context) {
    if (auto const* const known = std::get_if<work::Known>(&task.of)) return of_card(*known);
    auto const texts = texts_of(task, context);
    auto const& encoder = context.encoder();
    return {model::centroid(encoder.encode(texts), encoder.dimension()), std::ssize(texts)};
}

}  // namespace

Done do_task(work::Encode const& task, std::string const& key, Context& context) {
    auto const [mean, texts] = encoded(task, context);
    auto const hash = context.artifacts().commit(key, [&](std::filesystem::path const& out) {
        std::vector<weights::TensorView> const tensors{
            {"mean", weights::Dtype::f32, {std::ssize(mean)}, std::as_bytes(std::span{mean})}};
        weights::write_safetensors(out, tensors, {});
    });
    return {hash, work::Encoded{texts}};
}

}  // namespace samner::task
