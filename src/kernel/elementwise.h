#pragma once

#include <cstdint>
#include <span>

namespace samner::kernel {

// Matrices are row-major [rows, n] without gaps unless a row length is given. The bits of a row depend on that row
// alone, and element-wise results on their element alone: neither on the other rows nor on threads.

/// y = x / sqrt(mean(x²) + eps) · weight
void rms_norm(float const* x, float const* weight, float eps, std::int64_t rows, std::int64_t n, float* y);
/// dx (+)= the gradient with respect to x
void rms_norm_backward(float const* x, float const* weight, float eps, float const* dy, std::int64_t rows,
                       std::int64_t n, float* dx, bool accumulate);
void layer_norm(float const* x, float const* weight, float const* bias, float eps, std::int64_t rows, std::int64_t n,
                float* y);

/// Rotates the heads of each row in place, the first half of a head against the second (the layout of Hugging Face's
/// Llama).
/// @param x  rows of `ld` floats, of which heads * head_dim are rotated
/// @param cos, sin  [positions, head_dim / 2]
/// @param inverse  rotate back: the backward pass
void rope(float* x, std::int64_t ld, std::span<std::int32_t const> positions, int heads, int head_dim, float const* cos,
          float const* sin, bool inverse);

void swiglu(float const* gate, float const* up, float* out, std::int64_t count);  ///< silu(gate) · up; out may be gate
void swiglu_backward(float const* gate, float const* up, float const* d_out, float* d_gate, float* d_up,
                     std::int64_t count);
void gelu(float const* x, float* y, std::int64_t count);  ///< x Φ(x), by the error function
void add(float const* x, float* y, std::int64_t count);   ///< y += x
void add_bias(float const* bias, std::int64_t rows, std::int64_t n, float* y);
void scale(float factor, float* x, std::int64_t count);

/// Cross-entropy of each row with its target, in nats; the logits become its gradient, times `factor`.
/// @param loss  [rows]
/// @throws InputError for a target outside [0, vocabulary)
void cross_entropy(float* logits, std::span<std::int32_t const> targets, std::int64_t vocabulary, float factor,
                   float* loss);

/// x becomes exp(x - its largest element). @return their sum
float softmax(float* x, std::int64_t n);

/// The index of the largest element of each row; ties go to the lowest.
/// @throws Error when a row holds NaN or nothing above minus infinity
void argmax(float const* x, std::int64_t rows, std::int64_t n, std::int32_t* best);

/// Which random numbers drop the elements of one row: they depend on nothing else.
struct DropoutRow {
    std::uint64_t sequence;  ///< number of the training sequence
    std::int32_t position;
};
/// y (+)= x with each element dropped with probability p and divided by 1 - p otherwise. Element j of a row is dropped
/// when a 16-bit half of Philox-4x32-10 with `key` and the counter (j / 8, position, sequence) is below 65536 p: half
/// j mod 8, words in their order, low half first. So p is rounded to a multiple of 1/65536, at most 65535/65536.
/// @param y  may be x unless `accumulate`
void dropout(std::uint64_t key, std::span<DropoutRow const> rows, double p, float const* x, std::int64_t n, float* y,
             bool accumulate);

/// What p comes to there: a half below `threshold` drops its element, the others are multiplied by `scale`.
struct DropoutRule {
    std::uint32_t threshold;
    float scale;
};
DropoutRule dropout_rule(double p);

struct AdamW {
    double beta1 = 0.9;
    double beta2 = 0.999;
    double eps = 1e-8;
    double weight_decay = 0;
};
/// One step of torch.optim.AdamW (Loshchilov and Hutter, 2019). @param step  counts from 1
void adamw_step(AdamW const& settings, double learning_rate, std::int64_t step, std::int64_t count,
                float const* gradients, float* parameters, float* first_moment, float* second_moment);

/// The sum of squares in double precision, by one fixed tree over pieces of 4096 elements.
double sum_of_squares(float const* x, std::int64_t count);

}  // namespace samner::kernel
