#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "comm/comm.h"
#include "prompt/training_prompts.h"
#include "task/agreement.h"
#include "task/tasks.h"
#include "train/examples.h"
#include "train/trainer.h"
#include "weights/adapter.h"

namespace samner::task {
namespace {

/// The prompts of all samples, as tokens of which the answers are learnt (SaM, section 3.1).
std::vector<Engine::Tokens> all_examples(work::Train const& task, Context& context) {
    std::vector<Engine::Tokens> examples;
    work::for_each_prompt(task.recipe, task.prompt, context.texts(), context.labels(),
                          [&](prompt::TrainingPrompts const& prompts, std::size_t i) {
                              auto const rendered = prompts.at(i);
                              examples.push_back(context.engine().tokenize({rendered.text, rendered.answer}));
                          });
    return examples;
}

}  // namespace

Done do_task(work::Train const& task, std::string const& key, Context& context, comm::Comm const* team) {
    auto options = task.options;
    options.seed += task.recipe.seed;
    std::vector<Engine::Tokens> examples;
    train::Cuts cuts;
    on_all(team, [&] {
        examples = all_examples(task, context);
        cuts = train::leave_out_cut(options, examples);
    });
    auto const warning = cuts.warning(options);
    if (!warning.empty() && (!team || team->rank() == 0)) spdlog::warn("{}: {}", task.label(), warning);

    work::Trained trained{std::ssize(examples), {}, cuts.left_out(), cuts.keeps_part ? cuts.part : 0};
    Engine::Training training;
    training.checkpoint = context.workplace().checkpoints / key;
    training.writer = context.artifacts().writer().unique_suffix();
    training.guard = [&context] { context.artifacts().check_fence(); };
    std::optional<train::Team> ranks;
    if (team) training.team = &ranks.emplace(team_of(*team));
    auto const steps = train::count_steps(options, examples.size());
    training.on_step = [&](train::Step const& step) {
        trained.steps.push_back(step);
        context.tell(key, {step.step, steps, fmt::format("loss {:.2f}", step.loss)});
    };
    if (!context.engine().is_loaded(true)) context.tell(key, {0, steps, "loading the base model"});
    auto const adapter = context.engine().train(options, examples, training);
    if (team && team->rank() > 0) return {};
    auto const hash = context.artifacts().commit(
        key, [&](std::filesystem::path const& out) { weights::write_adapter(out, adapter); });
    return {hash, std::move(trained)};
}

}  // namespace samner::task
