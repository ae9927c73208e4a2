#include "train/lora.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros_like.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/random.h"

namespace samner::train {

LoraParameters::LoraParameters(weights::Adapter adapter, weights::ModelConfig const& config, model::Ops const& ops)
    : adapter_{std::move(adapter)} {
    weights::check_fits(adapter_, config);
    std::int64_t total = 0;
    for (auto const& module : adapter_.modules) total += static_cast<std::int64_t>(module.a.size() + module.b.size());
    auto host = at::Tensor{at::empty({total}, at::TensorOptions{}.dtype(at::kFloat))};
    auto* out = host.mutable_data_ptr<float>();
    for (auto const& module : adapter_.modules) {
        out = std::ranges::copy(module.a, out).out;
        out = std::ranges::copy(module.b, out).out;
    }
    values = ops.floats({total});
    values.copy_(host);
    gradients = at::zeros_like(values);
    factors_ = ops.empty({total});
    if (factors_.scalar_type() == values.scalar_type()) factors_ = values;
    refresh();

    modules_.resize(static_cast<std::size_t>(config.num_layers) * model::num_projections);
    std::int64_t offset = 0;
    for (auto const& module : adapter_.modules) {
        auto views = std::make_unique<Module>();
        auto const take = [&](at::Tensor const& flat, std::int64_t rows, std::int64_t columns) {
            return flat.narrow(0, offset, rows * columns).view({rows, columns});
        };
        views->a = take(factors_, module.rank, module.in);
        views->da = take(gradients, module.rank, module.in);
        offset += module.rank * module.in;
        views->b = take(factors_, module.out, module.rank);
        views->db = take(gradients, module.out, module.rank);
        offset += module.out * module.rank;
        views->scaling = static_cast<float>(module.scaling);
        views->name = module.name;
        for (int layer = 0; layer < config.num_layers; ++layer) {
            for (int p = 0; p < model::num_projections; ++p) {
                if (!views || model::module_name(layer, static_cast<model::Projection>(p)) != module.name) continue;
                modules_[static_cast<std::size_t>(layer * model::num_projections + p)] = std::move(views);
            }
        }
    }
}

LoraParameters::Module* LoraParameters::find(int layer, model::Projection projection) {
    return modules_[static_cast<std::size_t>(layer * model::num_projections + projection)].get();
}

void LoraParameters::refresh() {
    if (!factors_.is_same(values)) factors_.copy_(values);
}

weights::Adapter LoraParameters::adapter() const {
    auto result = adapter_;
    auto const host = values.cpu();
    auto const* data = host.const_data_ptr<float>();
    for (auto& module : result.modules) {
        std::copy_n(data, module.a.size(), module.a.begin());
        data += module.a.size();
        std::copy_n(data, module.b.size(), module.b.begin());
        data += module.b.size();
    }
    return result;
}

weights::Adapter initial_adapter(weights::ModelConfig const& config, weights::LoraSettings settings,
                                 std::uint64_t seed) {
    weights::Adapter adapter;
    auto const heads = config.num_heads * config.head_dim;
    auto const kv_heads = config.num_kv_heads * config.head_dim;
    auto const hidden = config.hidden_size;
    auto const inner = config.intermediate_size;
    std::array<std::pair<std::int64_t, std::int64_t>, model::num_projections> const out_in{{{heads, hidden},
                                                                                            {kv_heads, hidden},
                                                                                            {kv_heads, hidden},
                                                                                            {hidden, heads},
                                                                                            {inner, hidden},
                                                                                            {inner, hidden},
                                                                                            {hidden, inner}}};
    std::vector<std::string> names;
    for (int layer = 0; layer < config.num_layers; ++layer) {
        for (int p = 0; p < model::num_projections; ++p)
            names.push_back(model::module_name(layer, static_cast<model::Projection>(p)));
    }
    auto const targets = weights::lora_targets(settings, names);
    auto const scales = weights::lora_scales(settings, names);
    for (std::size_t i = 0; i < names.size(); ++i) {
        if (!targets[i]) continue;
        auto const& [out, in] = out_in[i % model::num_projections];
        weights::LoraModule module;
        module.name = names[i];
        module.rank = scales[i].rank;
        module.scaling = scales[i].scaling;
        module.out = out;
        module.in = in;
        RandomStream const stream{seed, "lora_A/" + module.name};
        auto const bound = 1.0 / std::sqrt(static_cast<double>(module.in));
        module.a.resize(static_cast<std::size_t>(module.rank * module.in));
        for (std::size_t j = 0; j < module.a.size(); ++j)
            module.a[j] = static_cast<float>(bound * (2.0 * stream.uniform(j) - 1.0));
        module.b.assign(static_cast<std::size_t>(module.out * module.rank), 0.0F);
        adapter.modules.push_back(std::move(module));
    }
    constexpr auto* known = "name some of q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj";
    for (auto const& target : settings.target_modules) {
        auto alone = settings;
        alone.target_modules = {target};
        auto const matched = weights::lora_targets(alone, names);
        if (!settings.target_pattern.empty() || std::ranges::find(matched, true) != matched.end()) continue;
        throw InputError{fmt::format("train.target_modules names '{}', which the model does not have", target), known};
    }
    if (adapter.modules.empty()) {
        throw InputError{fmt::format("train.target_modules is '{}', which matches no module's whole name, such as '{}'",
                                     settings.target_pattern, names.front()),
                         known};
    }
    std::ranges::sort(adapter.modules, {}, &weights::LoraModule::name);
    adapter.settings = std::move(settings);
    return adapter;
}

}  // namespace samner::train
