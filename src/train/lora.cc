#include "train/lora.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>

#include "core/random.h"
#include "train/options.h"

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
    for (auto const& [name, out, in, scale] : adapted_modules(config, settings)) {
        weights::LoraModule module;
        module.name = name;
        module.rank = scale.rank;
        module.scaling = scale.scaling;
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
    std::ranges::sort(adapter.modules, {}, &weights::LoraModule::name);
    adapter.settings = std::move(settings);
    return adapter;
}

}  // namespace samner::train
