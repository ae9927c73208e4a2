#include "model/ops_aten.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <torch/csrc/api/include/torch/version.h>

#include <cmath>

#include "core/error.h"

namespace samner::model {
namespace {

struct AtenWeight : Weight {
    using Weight::Weight;
    at::Tensor value;  ///< [out, in]
};

/// In fp32; itself where it is.
at::Tensor wide(at::Tensor const& x) {
    return x.to(at::kFloat);
}

void assign(at::Tensor& target, at::Tensor const& value, bool accumulate) {
    if (accumulate) {
        target.add_(value);
    } else {
        target.copy_(value);
    }
}

at::Tensor const& value(Weight const& weight) {
    return static_cast<AtenWeight const&>(weight).value;
}

at::Tensor inverse_norm(at::Tensor const& x, float eps) {
    return at::rsqrt(x.square().mean(-1, true) + static_cast<double>(eps));
}

template <class Body>
void for_each_sequence(Sequences const& sequences, Body const& body) {
    auto const& offsets = sequences.offsets;
    for (std::size_t i = 0; i + 1 < offsets.size(); ++i) body(offsets[i], offsets[i + 1] - offsets[i]);
}

/// [heads, length, dim] of one sequence, in fp32.
at::Tensor per_head(at::Tensor const& x, std::int64_t begin, std::int64_t length, std::int64_t heads,
                    std::int64_t dim) {
    return wide(x.narrow(0, begin, length)).view({length, heads, dim}).transpose(0, 1);
}

at::Tensor repeated(at::Tensor const& x, kernel::AttentionShape const& shape) {
    return x.repeat_interleave(shape.heads / shape.kv_heads, 0);
}

at::Tensor masked_scores(kernel::AttentionShape const& shape, at::Tensor const& q, at::Tensor const& k, bool causal) {
    auto scores = at::matmul(q, k.transpose(1, 2)) * static_cast<double>(shape.scale);
    if (causal) {
        auto const mask = at::ones({q.size(1), q.size(1)}, scores.options().dtype(at::kBool)).triu(1);
        scores.masked_fill_(mask, -INFINITY);
    }
    return scores;
}

/// Where a row's position is kept.
std::int32_t position_in_cache(kernel::AttentionRow const& row, std::int32_t position) {
    return row.blocks[position / kernel::kv_block] * kernel::kv_block + position % kernel::kv_block;
}

/// The rows from `begin` on that go together: their end, and how many first positions (whole blocks, and fewer than
/// any of them has) they all share. Rows that share nothing go together too, padded.
std::pair<std::size_t, std::int32_t> sharing(std::span<kernel::AttentionRow const> rows, std::size_t begin) {
    auto end = begin + 1;
    auto const common = [&](std::size_t row) {
        return std::min(rows[row].shared, (rows[row].length - 1) / kernel::kv_block);
    };
    if (end == rows.size()) return {end, 0};
    auto shared = std::min(common(end), (rows[begin].length - 1) / kernel::kv_block);
    for (++end; end < rows.size() && (common(end) > 0) == (shared > 0); ++end) shared = std::min(shared, common(end));
    return {end, shared * kernel::kv_block};
}

}  // namespace

AtenOps::AtenOps(at::Device device, Precision precision)
    : device_{device}, precision_{precision}, type_{precision == Precision::bf16 ? at::kBFloat16 : at::kFloat} {}

at::Tensor AtenOps::empty(at::IntArrayRef shape) const {
    return at::empty(shape, options(type_));
}
at::Tensor AtenOps::floats(at::IntArrayRef shape) const {
    return at::empty(shape, options(at::kFloat));
}

at::Tensor AtenOps::indices(std::span<std::int32_t const> values) const {
    auto const host = at::from_blob(const_cast<std::int32_t*>(values.data()), {std::ssize(values)}, at::kInt);
    return host.to(options(at::kInt), false, true);
}

std::unique_ptr<Weight> AtenOps::prepare(Values const& weight, bool, Placement& placement) const {
    auto result = std::make_unique<AtenWeight>(weight.shape[0], weight.shape[1]);
    result->value = place(weight, false, placement);
    return result;
}

at::Tensor AtenOps::place(Values const& values, bool in_fp32, Placement& placement) const {
    auto tensor = in_fp32 ? floats(values.shape) : empty(values.shape);
    placement.device(tensor.mutable_data_ptr(), tensor.nbytes(), [&] { tensor.copy_(values.read()); });
    return tensor;
}

void AtenOps::linear(Weight const& weight, at::Tensor const& x, at::Tensor& y, bool accumulate) const {
    y.addmm_(x, value(weight).t(), accumulate ? 1 : 0);
}

void AtenOps::linear_backward(Weight const& weight, at::Tensor const& dy, at::Tensor& dx, bool accumulate) const {
    dx.addmm_(dy, value(weight), accumulate ? 1 : 0);
}

void AtenOps::matmul(Side side_a, at::Tensor const& a, Side side_b, at::Tensor const& b, float alpha, at::Tensor& c,
                     bool accumulate) const {
    auto const view = [](Side side, at::Tensor const& x) { return side == Side::plain ? x : x.t(); };
    if (c.scalar_type() == a.scalar_type()) {
        c.addmm_(view(side_a, a), view(side_b, b), accumulate ? 1 : 0, alpha);
    } else {
        assign(c, wide(at::mm(view(side_a, a), view(side_b, b))).mul_(alpha), accumulate);
    }
}

void AtenOps::embed(at::Tensor const& table, at::Tensor const& ids, at::Tensor& y) const {
    gather(table, ids, y);
}
void AtenOps::gather(at::Tensor const& x, at::Tensor const& rows, at::Tensor& y) const {
    y.copy_(x.index_select(0, rows));
}
void AtenOps::scatter_add(at::Tensor const& x, at::Tensor const& rows, at::Tensor& y) const {
    y.index_add_(0, rows, x);
}

void AtenOps::add(at::Tensor const& x, at::Tensor& y) const {
    y.add_(x);
}
void AtenOps::add_bias(at::Tensor const& bias, at::Tensor& y) const {
    y.add_(bias);
}

void AtenOps::rms_norm(at::Tensor const& x, at::Tensor const& weight, float eps, at::Tensor& y) const {
    auto const exact = wide(x);
    y.copy_((exact * inverse_norm(exact, eps)).to(type_) * weight);
}
void AtenOps::rms_norm_backward(at::Tensor const& x, at::Tensor const& weight, float eps, at::Tensor const& dy,
                                at::Tensor& dx, bool accumulate) const {
    auto const exact = wide(x);
    auto const scale = inverse_norm(exact, eps);
    auto const unit = exact * scale;
    auto const scaled = wide(dy) * wide(weight);
    assign(dx, scale * (scaled - unit * (scaled * unit).mean(-1, true)), accumulate);
}

void AtenOps::layer_norm(at::Tensor const& x, at::Tensor const& weight, at::Tensor const& bias, float eps,
                         at::Tensor& y) const {
    y.copy_(at::layer_norm(x, {x.size(1)}, weight, bias, static_cast<double>(eps)));
}
void AtenOps::gelu(at::Tensor const& x, at::Tensor& y) const {
    y.copy_(at::gelu(x));
}

void AtenOps::rope(at::Tensor& x, at::Tensor const& positions, int heads, at::Tensor const& cos, at::Tensor const& sin,
                   bool inverse) const {
    auto const half = cos.size(1);
    auto const c = cos.index_select(0, positions).unsqueeze(1);
    auto const s = sin.index_select(0, positions).unsqueeze(1) * (inverse ? -1.0 : 1.0);
    auto const split = wide(x).view({x.size(0), heads, 2, half});
    auto const first = split.select(2, 0);
    auto const second = split.select(2, 1);
    auto const rotated = at::stack({first * c - second * s, second * c + first * s}, 2);
    x.copy_(rotated.reshape(x.sizes()));
}

void AtenOps::swiglu(at::Tensor const& gate, at::Tensor const& up, at::Tensor& y) const {
    y.copy_(at::silu(wide(gate)) * wide(up));
}
void AtenOps::swiglu_backward(at::Tensor const& gate, at::Tensor const& up, at::Tensor const& d_out, at::Tensor& d_gate,
                              at::Tensor& d_up) const {
    auto const x = wide(gate);
    auto const sigmoid = at::sigmoid(x);
    auto const gate_gradient = wide(d_out) * wide(up) * sigmoid * (1 + x * (1 - sigmoid));
    auto const up_gradient = wide(d_out) * x * sigmoid;
    d_gate.copy_(gate_gradient);
    d_up.copy_(up_gradient);
}

std::unique_ptr<KvCache> AtenOps::make_cache(kernel::AttentionShape const& shape, int layers,
                                             std::int64_t blocks) const {
    auto cache = std::make_unique<AtenCache>();
    cache->shape = shape;
    cache->keys = at::zeros({layers, blocks * kernel::kv_block, shape.kv_heads, shape.head_dim}, options(type_));
    cache->values = at::zeros_like(cache->keys);
    return cache;
}

void AtenOps::store_kv(KvCache& cache, int layer, KvRows const& rows, at::Tensor const& k, at::Tensor const& v) const {
    auto& ours = static_cast<AtenCache&>(cache);
    std::vector<std::int32_t> places;
    for (auto const& slot : rows.slots) places.push_back(slot.block * kernel::kv_block + slot.slot);
    auto const index = indices(places).to(at::kLong);
    auto const shape = std::vector<std::int64_t>{k.size(0), ours.shape.kv_heads, ours.shape.head_dim};
    ours.keys.select(0, layer).index_copy_(0, index, k.view(shape));
    ours.values.select(0, layer).index_copy_(0, index, v.view(shape));
}

void AtenOps::copy_kv(KvCache const& from, std::span<std::int32_t const> from_blocks, KvCache& to,
                      std::span<std::int32_t const> to_blocks) const {
    auto const copy = [&](at::Tensor const& source, at::Tensor const& target) {
        auto const blocks = [](at::Tensor const& x) { return x.unflatten(1, {-1, kernel::kv_block}); };
        blocks(target).index_copy_(1, indices(to_blocks).to(at::kLong),
                                   blocks(source).index_select(1, indices(from_blocks)));
    };
    copy(static_cast<AtenCache const&>(from).keys, static_cast<AtenCache&>(to).keys);
    copy(static_cast<AtenCache const&>(from).values, static_cast<AtenCache&>(to).values);
}

/// Rows that share blocks attend to them by one product for all, and to their own positions by padded ones; the two
/// parts are joined by their log-sum-exp. So the last bits of a row depend on its neighbours.
void AtenOps::attend(KvCache const& cache, int layer, KvRows const& rows, at::Tensor const& q, at::Tensor& y) const {
    auto const& ours = static_cast<AtenCache const&>(cache);
    auto const& shape = ours.shape;
    auto const kept = [&](at::Tensor const& all, std::vector<std::int32_t> const& places) {
        return wide(all.select(0, layer).index_select(0, indices(places)));
    };
    auto const group = shape.heads / shape.kv_heads;
    for (std::size_t begin = 0; begin < rows.attention.size();) {
        auto const [end, shared] = sharing(rows.attention, begin);
        auto const members = std::span{rows.attention}.subspan(begin, end - begin);
        auto const count = std::ssize(members);
        std::int32_t longest = 0;
        for (auto const& row : members) longest = std::max(longest, row.length);
        // Own positions of every row, padded by its last one; the padding is masked out.
        std::vector<std::int32_t> places;
        std::vector<std::int32_t> lengths;
        for (auto const& row : members) {
            for (auto p = shared; p < longest; ++p)
                places.push_back(position_in_cache(row, std::min(p, row.length - 1)));
            lengths.push_back(row.length - shared);
        }
        auto const own = std::int64_t{longest} - shared;
        auto const k = kept(ours.keys, places).view({count, own, shape.kv_heads, shape.head_dim});
        auto const v = kept(ours.values, places).view({count, own, shape.kv_heads, shape.head_dim});
        auto const queries = wide(q.narrow(0, static_cast<std::int64_t>(begin), count))
                                 .view({count, shape.kv_heads, group, shape.head_dim})
                                 .mul(static_cast<double>(shape.scale));
        auto scores = at::matmul(queries, k.permute({0, 2, 3, 1}));  // [rows, kv_heads, group, positions]
        auto const mask = at::arange(own, options(at::kLong)).unsqueeze(0) >= indices(lengths).unsqueeze(1);
        scores.masked_fill_(mask.unsqueeze(1).unsqueeze(1), -INFINITY);
        auto result = at::matmul(at::softmax(scores, -1), v.permute({0, 2, 1, 3}));
        if (shared > 0) {
            std::vector<std::int32_t> common;
            for (std::int32_t p = 0; p < shared; ++p) common.push_back(position_in_cache(members[0], p));
            auto const together = queries.transpose(0, 1).reshape({shape.kv_heads, count * group, shape.head_dim});
            auto const common_scores = at::matmul(together, kept(ours.keys, common).permute({1, 2, 0}));
            auto const common_result =
                at::matmul(at::softmax(common_scores, -1), kept(ours.values, common).transpose(0, 1));
            auto const by_row = [&](at::Tensor const& x) {
                return x.view({shape.kv_heads, count, group, -1}).transpose(0, 1);
            };
            // The common part's share of the whole sum is e^a / (e^a + e^b).
            auto const a = by_row(at::logsumexp(common_scores, {-1}, true));
            auto const share = at::sigmoid(a - at::logsumexp(scores, {-1}, true));
            result = result + share * (by_row(common_result) - result);
        }
        y.narrow(0, static_cast<std::int64_t>(begin), count).copy_(result.reshape({count, -1}));
        begin = end;
    }
}

void AtenOps::attention(kernel::AttentionShape const& shape, Sequences const& sequences, bool causal,
                        at::Tensor const& q, at::Tensor const& k, at::Tensor const& v, at::Tensor& y,
                        at::Tensor& stats) const {
    stats = floats({q.size(0), shape.heads});  // the logarithm of the summed exponentials
    for_each_sequence(sequences, [&](std::int64_t begin, std::int64_t length) {
        auto const part = [&](at::Tensor const& x, std::int64_t heads) {
            return per_head(x, begin, length, heads, shape.head_dim);
        };
        auto const scores =
            masked_scores(shape, part(q, shape.heads), repeated(part(k, shape.kv_heads), shape), causal);
        stats.narrow(0, begin, length).copy_(at::logsumexp(scores, {-1}).t());
        auto const result = at::matmul(at::softmax(scores, -1), repeated(part(v, shape.kv_heads), shape));
        y.narrow(0, begin, length).copy_(result.transpose(0, 1).reshape({length, -1}));
    });
}

void AtenOps::attention_backward(kernel::AttentionShape const& shape, Sequences const& sequences, bool causal,
                                 at::Tensor const& q, at::Tensor const& k, at::Tensor const& v, at::Tensor const& y,
                                 at::Tensor const& stats, at::Tensor const& d_out, at::Tensor& dq, at::Tensor& dk,
                                 at::Tensor& dv) const {
    for_each_sequence(sequences, [&](std::int64_t begin, std::int64_t length) {
        auto const part = [&](at::Tensor const& x, std::int64_t heads) {
            return per_head(x, begin, length, heads, shape.head_dim);
        };
        auto const queries = part(q, shape.heads);
        auto const keys = repeated(part(k, shape.kv_heads), shape);
        auto const values = repeated(part(v, shape.kv_heads), shape);
        auto const gradient = part(d_out, shape.heads);
        auto const log_sum = stats.narrow(0, begin, length).t().unsqueeze(-1);
        auto const weights = at::exp(masked_scores(shape, queries, keys, causal) - log_sum);
        auto const delta = (gradient * part(y, shape.heads)).sum(-1, true);
        auto const d_scores =
            weights * (at::matmul(gradient, values.transpose(1, 2)) - delta) * static_cast<double>(shape.scale);
        auto const store = [&](at::Tensor& target, at::Tensor const& value) {
            target.narrow(0, begin, length).copy_(value.transpose(0, 1).reshape({length, -1}));
        };
        auto const grouped = [&](at::Tensor const& x) {
            return x.view({shape.kv_heads, shape.heads / shape.kv_heads, length, shape.head_dim}).sum(1);
        };
        store(dq, at::matmul(d_scores, keys));
        store(dk, grouped(at::matmul(d_scores.transpose(1, 2), queries)));
        store(dv, grouped(at::matmul(weights.transpose(1, 2), gradient)));
    });
}

void AtenOps::dropout(std::uint64_t key, std::span<kernel::DropoutRow const> rows, double p, at::Tensor const& x,
                      at::Tensor& y, bool accumulate) const {
    auto const ones = at::ones(x.sizes(), at::kFloat);
    auto factors = at::Tensor{at::empty(x.sizes(), at::kFloat)};
    kernel::dropout(key, rows, p, ones.const_data_ptr<float>(), x.size(1), factors.mutable_data_ptr<float>(), false);
    assign(y, x * factors.to(device_), accumulate);
}

std::vector<float> AtenOps::cross_entropy(at::Tensor& logits, at::Tensor const& targets) const {
    auto const target = targets.to(at::kLong).unsqueeze(1);
    auto const log_probability = at::log_softmax(wide(logits), -1);
    auto const loss = log_probability.gather(1, target).neg().squeeze(1).cpu();
    auto gradient = at::exp(log_probability);
    gradient.scatter_add_(1, target, at::full({logits.size(0), 1}, -1.0, options(at::kFloat)));
    logits.copy_(gradient);
    auto const* data = loss.const_data_ptr<float>();
    return {data, data + loss.numel()};
}

void AtenOps::adamw(at::Tensor& parameters, at::Tensor const& gradients, at::Tensor& first_moment,
                    at::Tensor& second_moment, kernel::AdamW const& settings, double learning_rate,
                    std::int64_t step) const {
    parameters.mul_(1.0 - learning_rate * settings.weight_decay);
    first_moment.mul_(settings.beta1).add_(gradients, 1.0 - settings.beta1);
    second_moment.mul_(settings.beta2).addcmul_(gradients, gradients, 1.0 - settings.beta2);
    auto const first_correction = 1.0 - std::pow(settings.beta1, static_cast<double>(step));
    auto const second_correction = 1.0 - std::pow(settings.beta2, static_cast<double>(step));
    auto const denominator = second_moment.sqrt().div_(std::sqrt(second_correction)).add_(settings.eps);
    parameters.addcdiv_(first_moment, denominator, -learning_rate / first_correction);
}

void AtenOps::scale(float factor, at::Tensor& x) const {
    x.mul_(factor);
}
double AtenOps::sum_of_squares(at::Tensor const& x) const {
    return x.to(at::kDouble).square_().sum().item<double>();
}

void AtenOps::argmax(at::Tensor const& logits, at::Tensor& best) const {
    // The lowest index of the largest value; at::argmax does not promise which one it takes. Nothing equals NaN.
    auto const is_best = logits == std::get<0>(logits.max(-1, true));
    auto const index = at::arange(logits.size(1), options(at::kInt)).expand_as(logits);
    best.copy_(at::where(is_best, index, logits.size(1)).amin(-1));
}

std::string libtorch_version() {
    return TORCH_VERSION;
}

std::unique_ptr<Ops> make_aten_ops(std::string const& device, Precision precision) {
    at::Device parsed{at::kCPU};
    try {
        parsed = at::Device{device};
    } catch (c10::Error const&) {
        throw InputError{fmt::format("device is '{}'", device), "use cpu, cuda or cuda:INDEX"};
    }
    if (!parsed.is_cpu() && !parsed.is_cuda())
        throw InputError{fmt::format("device is '{}'", device), "use cpu, cuda or cuda:INDEX"};
    if (parsed.is_cuda() && !at::hasCUDA()) {
        throw InputError{fmt::format("device is '{}', but this build or machine has no CUDA device", device),
                         "use device: cpu, or build with --cuda on a machine with a GPU"};
    }
    if (parsed.is_cuda()) return make_cuda_ops(parsed, precision);
    return std::make_unique<AtenOps>(parsed, precision);
}

}  // namespace samner::model
