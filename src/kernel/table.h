#pragma once

#include <cstdint>

// Nothing but plain types here: this header is compiled for several instruction sets, and an inline function of the
// standard library that came out of such a file could be linked into code that has to run without them.

namespace samner::kernel {

constexpr std::int64_t lanes = 16;               ///< of the kernels' virtual vectors, on every instruction set
constexpr std::int64_t panel_width = 2 * lanes;  ///< columns of a packed panel

struct GemmArguments {
    std::int64_t rows, columns, depth;  ///< columns <= panel_width
    float const* a;
    std::int64_t lda;
    float const* panel;  ///< [depth][panel_width], zero beyond `columns`
    float* c;
    std::int64_t ldc;
    bool accumulate;
};

/// One row of an attention: a query for each head of a group.
struct AttentionQuery {
    std::int32_t const* blocks;
    std::int64_t length;  ///< positions attended to
    float const* q;       ///< [group][head_dim]
    float* out;           ///< [group][head_dim]
    float* stats;         ///< null, or for each head its largest score and 1 / sum, `stats_stride` apart
};

/// Attention of the `group` query heads that share a key/value head, for several rows.
struct AttentionArguments {
    std::int64_t group, head_dim;
    float scale;
    float const* keys;          ///< of this key/value head in block 0: [head_dim][lanes]
    float const* values;        ///< likewise [lanes][head_dim]
    std::int64_t block_stride;  ///< floats from a block to the next
    AttentionQuery const* rows;
    std::int64_t count;   ///< of rows; count * group <= 64
    std::int64_t shared;  ///< the rows' first blocks are the same up to here, and hold positions of each of them
    float* scratch;       ///< [count][group][longest length, rounded up to lanes, + 2 head_dim]
    std::int64_t stats_stride;
};

/// Backward pass of one row and one query head; see attention.cc.
struct AttentionBackwardArguments {
    std::int64_t head_dim;
    float scale;
    std::int64_t length;
    float const* keys_transposed;    ///< blocks [head_dim][lanes]
    float const* values_transposed;  ///< blocks [head_dim][lanes]
    float const* keys;               ///< [length][head_dim]
    float const* q;
    float const* out;
    float const* d_out;
    float largest, inverse_sum;
    float* dq;       ///< overwritten
    float* dk;       ///< [length][head_dim], added to
    float* dv;       ///< [length][head_dim], added to
    float* scratch;  ///< [2][length rounded up to lanes]
};

struct AdamWArguments {
    float decay, beta1, beta2, one_minus_beta1, one_minus_beta2, step_size, inverse_root_correction, eps;
};

/// Dropout of one row; see kernel::dropout.
struct DropoutArguments {
    std::uint32_t key[2];
    std::uint32_t counter[3];  ///< the last three words; the first one counts groups of eight elements
    std::uint32_t threshold;   ///< of 65536: below it an element is dropped
    float scale;
    bool accumulate;
};

/// The kernels of one instruction set.
struct Table {
    void (*gemm)(GemmArguments const&);
    void (*attention)(AttentionArguments const&);
    void (*attention_backward)(AttentionBackwardArguments const&);
    void (*rms_norm)(float const* x, float const* weight, float eps, std::int64_t n, float* y);
    void (*rms_norm_backward)(float const* x, float const* weight, float eps, float const* dy, std::int64_t n,
                              float* dx, bool accumulate);
    void (*layer_norm)(float const* x, float const* weight, float const* bias, float eps, std::int64_t n, float* y);
    void (*rope)(float* head, std::int64_t half, float const* cos, float const* sin, bool inverse);
    void (*swiglu)(float const* gate, float const* up, float* out, std::int64_t n);
    void (*swiglu_backward)(float const* gate, float const* up, float const* d_out, float* d_gate, float* d_up,
                            std::int64_t n);
    void (*gelu)(float const* x, float* y, std::int64_t n);
    void (*add)(float const* x, float* y, std::int64_t n);
    void (*scale)(float factor, float* x, std::int64_t n);
    float (*softmax)(float* x, std::int64_t n, float& largest);  ///< x becomes exp(x - largest); @return their sum
    std::int64_t (*argmax)(float const* x, std::int64_t n);      ///< n where one is NaN or all are minus infinity
    void (*adamw)(AdamWArguments const& settings, float const* gradients, float* parameters, float* first,
                  float* second, std::int64_t n);
    void (*dropout)(DropoutArguments const& settings, float const* x, float* y, std::int64_t n);
};

namespace generic {
Table const& table();
}
namespace avx2 {
Table const& table();
}
namespace avx512 {
Table const& table();
}

/// The table of the instruction set in use.
Table const& table();

}  // namespace samner::kernel
