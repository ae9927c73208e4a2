// The kernels, written once over the sixteen-lane Vec of an instruction set. Included by kernels_<isa>.cc inside that
// instruction set's namespace.
//
// Why the bits are the same everywhere: every output is one fixed sequence of IEEE operations. Matrix products are one fma
// chain over the depth for each output element. Reductions keep sixteen partial results, element i going to lane i mod 16,
// and join them by one fixed tree. Exponentials are polynomials made of the same operations.

namespace {

constexpr float infinity = __builtin_inff();

inline std::int64_t round_up(std::int64_t n) { return (n + lanes - 1) / lanes * lanes; }

/// Joins the lanes: 8 apart, then 4, 2, 1.
template <class Function>
inline float join(Vec a, Function const& function) {
    float x[16];
    store(x, a);
    for (int width = 8; width > 0; width /= 2) {
        for (int i = 0; i < width; ++i) x[i] = function(x[i], x[i + width]);
    }
    return x[0];
}
inline float sum(Vec a) {
    return join(a, [](float x, float y) { return x + y; });
}
inline float largest_of(Vec a) {
    return join(a, [](float x, float y) { return x > y ? x : y; });
}

/// e^x to about 1 unit in the last place for x in [-87.3, 88]; 0 below, e^88 above. NaN stays NaN: min and max give their
/// second operand where one is NaN.
inline Vec exponential(Vec x) {
    auto const low = splat(-87.3F);
    auto const clamped = max(low, min(splat(88.0F), x));
    // x = n ln 2 + r with |r| <= ln 2 / 2; adding 1.5 * 2^23 rounds to a whole number.
    auto const magic = splat(12582912.0F);
    auto const n = fma(clamped, splat(1.44269504F), magic) - magic;
    auto r = fma(n, splat(-0.693359375F), clamped);  // ln 2 in two parts, the first of few bits
    r = fma(n, splat(2.12194440e-4F), r);
    auto p = splat(1.0F / 5040.0F);  // Taylor series: the next term is below 2^-28
    p = fma(p, r, splat(1.0F / 720.0F));
    p = fma(p, r, splat(1.0F / 120.0F));
    p = fma(p, r, splat(1.0F / 24.0F));
    p = fma(p, r, splat(1.0F / 6.0F));
    p = fma(p, r, splat(0.5F));
    p = fma(p, r, splat(1.0F));
    p = fma(p, r, splat(1.0F));
    return where_less(x, low, splat(0.0F), p * exp2_whole(n));
}

/// The error function to 3e-7: x p(x²) up to 1, beyond 1 - exp(q(x)); both fitted by Chebyshev interpolation.
inline Vec error_function(Vec x) {
    auto const t = min(splat(4.0F), absolute(x));
    auto const s = t * t;
    auto p = splat(-9.673591194e-06F);
    p = fma(p, s, splat(1.126825373e-04F));
    p = fma(p, s, splat(-8.484396385e-04F));
    p = fma(p, s, splat(5.221053492e-03F));
    p = fma(p, s, splat(-2.686543763e-02F));
    p = fma(p, s, splat(1.128378287e-01F));
    p = fma(p, s, splat(-3.761263788e-01F));
    p = fma(p, s, splat(1.128379226e+00F));
    auto q = splat(-6.582857282e-08F);
    q = fma(q, t, splat(3.095204420e-06F));
    q = fma(q, t, splat(-6.006879266e-05F));
    q = fma(q, t, splat(6.733375485e-04F));
    q = fma(q, t, splat(-5.021044519e-03F));
    q = fma(q, t, splat(2.699949779e-02F));
    q = fma(q, t, splat(-1.109074205e-01F));
    q = fma(q, t, splat(-6.310888529e-01F));
    q = fma(q, t, splat(-1.130604506e+00F));
    q = fma(q, t, splat(4.005004885e-04F));
    auto const magnitude = where_less(t, splat(1.0F), p * t, splat(1.0F) - exponential(q));
    return with_sign(magnitude, x);
}

inline Vec sigmoid(Vec x) { return splat(1.0F) / (splat(1.0F) + exponential(splat(0.0F) - x)); }

/// Calls body(offset, count) for the pieces of sixteen, the last one short.
template <class Body>
inline void for_pieces(std::int64_t n, Body const& body) {
    for (std::int64_t i = 0; i < n; i += lanes) body(i, n - i < lanes ? n - i : lanes);
}
inline Vec take(float const* p, std::int64_t count) { return count == lanes ? load(p) : load_part(p, count); }
inline void put(float* p, Vec a, std::int64_t count) {
    if (count == lanes) {
        store(p, a);
    } else {
        store_part(p, a, count);
    }
}

alignas(64) constexpr float lane_numbers[lanes] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

/// `fill` in place of the lanes from `count` on.
inline Vec with_beyond(Vec a, std::int64_t count, float fill) {
    return where_less(load(lane_numbers), splat(static_cast<float>(count)), a, splat(fill));
}

/// A tile of Rows x (Vectors * 16) of C: the fma chains go on from C, or from zero.
template <int Rows, int Vectors>
inline void tile(float const* a, std::int64_t lda, float const* panel, std::int64_t depth, float* c, std::int64_t ldc,
                 std::int64_t columns, bool accumulate) {
    Vec chain[Rows][Vectors];
    bool const whole = columns == Vectors * lanes;
    auto const width = [&](int j) { return columns - j * lanes; };
    for (int i = 0; i < Rows; ++i) {
        for (int j = 0; j < Vectors; ++j) {
            if (!accumulate) {
                chain[i][j] = splat(0.0F);
            } else {
                chain[i][j] = whole ? load(c + i * ldc + j * lanes) : load_part(c + i * ldc + j * lanes, width(j) > 0 ? width(j) : 0);
            }
        }
    }
    for (std::int64_t k = 0; k < depth; ++k) {
        Vec b[Vectors];
        for (int j = 0; j < Vectors; ++j) b[j] = load(panel + k * panel_width + j * lanes);
        for (int i = 0; i < Rows; ++i) {
            auto const x = splat(a[i * lda + k]);
            for (int j = 0; j < Vectors; ++j) chain[i][j] = fma(x, b[j], chain[i][j]);
        }
    }
    for (int i = 0; i < Rows; ++i) {
        for (int j = 0; j < Vectors; ++j) {
            if (whole) {
                store(c + i * ldc + j * lanes, chain[i][j]);
            } else if (width(j) > 0) {
                store_part(c + i * ldc + j * lanes, chain[i][j], width(j) < lanes ? width(j) : lanes);
            }
        }
    }
}

template <int Rows, int Vectors>
inline void rows_of_tile(std::int64_t rows, float const* a, std::int64_t lda, float const* panel, std::int64_t depth, float* c,
                         std::int64_t ldc, std::int64_t columns, bool accumulate) {
    if constexpr (Rows > 0) {
        if (rows == Rows) {
            tile<Rows, Vectors>(a, lda, panel, depth, c, ldc, columns, accumulate);
        } else {
            rows_of_tile<Rows - 1, Vectors>(rows, a, lda, panel, depth, c, ldc, columns, accumulate);
        }
    }
}

void gemm(GemmArguments const& g) {
    constexpr std::int64_t depth_block = 512;  // a panel's slice (64 KB) and a tile's rows of A (at most 24 KB) stay in cache
    for (std::int64_t k = 0; k == 0 || k < g.depth; k += depth_block) {
        auto const depth = g.depth - k < depth_block ? g.depth - k : depth_block;
        bool const accumulate = g.accumulate || k > 0;
        for (std::int64_t row = 0; row < g.rows; row += tile_rows) {
            auto const rows = g.rows - row < tile_rows ? g.rows - row : tile_rows;
            auto const* const a = g.a + row * g.lda + k;
            auto* const c = g.c + row * g.ldc;
            for (std::int64_t column = 0; column < g.columns; column += tile_vectors * lanes) {
                auto const left = g.columns - column;
                auto const columns = left < tile_vectors * lanes ? left : tile_vectors * lanes;
                rows_of_tile<tile_rows, tile_vectors>(rows, a, g.lda, g.panel + k * panel_width + column, depth, c + column, g.ldc, columns, accumulate);
            }
        }
    }
}

/// Calls body.operator()<count>() for a count from 1 to Most.
template <int Most, class Body>
inline void with_count(std::int64_t count, Body const& body) {
    if constexpr (Most > 0) {
        if (count == Most) {
            body.template operator()<Most>();
        } else {
            with_count<Most - 1>(count, body);
        }
    }
}

/// Queries of a register tile with two vectors beside each other.
constexpr int tile_queries = tile_rows * tile_vectors / 2;

/// Scores [Queries][lds] of queries [Queries][head_dim] against Blocks blocks of keys: one chain over the head's
/// dimensions each.
template <int Queries, int Blocks>
inline void scores(AttentionArguments const& t, std::int32_t const* blocks, float const* q, float* s, std::int64_t lds) {
    Vec chain[Queries][Blocks];
    float const* keys[Blocks];
    for (int b = 0; b < Blocks; ++b) keys[b] = t.keys + blocks[b] * t.block_stride;
    for (int i = 0; i < Queries; ++i) {
        for (int b = 0; b < Blocks; ++b) chain[i][b] = splat(0.0F);
    }
    for (std::int64_t d = 0; d < t.head_dim; ++d) {
        Vec k[Blocks];
        for (int b = 0; b < Blocks; ++b) k[b] = load(keys[b] + d * lanes);
        for (int i = 0; i < Queries; ++i) {
            auto const x = splat(q[i * t.head_dim + d]);
            for (int b = 0; b < Blocks; ++b) chain[i][b] = fma(x, k[b], chain[i][b]);
        }
    }
    for (int i = 0; i < Queries; ++i) {
        for (int b = 0; b < Blocks; ++b) store(s + i * lds + b * lanes, chain[i][b] * splat(t.scale));
    }
}

/// Adds the weighted values of the positions from `first` to `last` to Vectors * 16 dimensions (or, with Part, the last
/// `count`) of mixed [Queries][head_dim]: one chain over the positions each, which starts from zero at position 0.
template <int Queries, int Vectors, bool Part>
inline void mix(AttentionArguments const& t, std::int32_t const* blocks, std::int64_t first, std::int64_t last, float const* weights,
                std::int64_t ldw, float* mixed, std::int64_t dimension, std::int64_t count) {
    Vec chain[Queries][Vectors];
    auto const read = [&](float const* p) { return Part ? load_part(p, count) : load(p); };
    for (int i = 0; i < Queries; ++i) {
        for (int j = 0; j < Vectors; ++j) chain[i][j] = first == 0 ? splat(0.0F) : read(mixed + i * t.head_dim + dimension + j * lanes);
    }
    while (first < last) {
        auto const* const values = t.values + blocks[first / lanes] * t.block_stride + first % lanes * t.head_dim + dimension;
        auto const in_block = lanes - first % lanes;
        auto const positions = last - first < in_block ? last - first : in_block;
        for (std::int64_t p = 0; p < positions; ++p) {
            Vec v[Vectors];
            for (int j = 0; j < Vectors; ++j) v[j] = read(values + p * t.head_dim + j * lanes);
            for (int i = 0; i < Queries; ++i) {
                auto const x = splat(weights[i * ldw + first + p]);
                for (int j = 0; j < Vectors; ++j) chain[i][j] = fma(x, v[j], chain[i][j]);
            }
        }
        first += positions;
    }
    for (int i = 0; i < Queries; ++i) {
        for (int j = 0; j < Vectors; ++j) {
            auto* const to = mixed + i * t.head_dim + dimension + j * lanes;
            if (Part) {
                store_part(to, chain[i][j], count);
            } else {
                store(to, chain[i][j]);
            }
        }
    }
}

/// x becomes e^(x - largest).
float softmax(float* x, std::int64_t n, float& largest) {
    auto top = splat(-infinity);
    for_pieces(n, [&](std::int64_t i, std::int64_t count) {
        auto const part = take(x + i, count);
        top = max(count == lanes ? part : with_beyond(part, count, -infinity), top);
    });
    largest = largest_of(top);
    auto total = splat(0.0F);
    for_pieces(n, [&](std::int64_t i, std::int64_t count) {
        put(x + i, exponential(take(x + i, count) - splat(largest)), count);
        total = total + take(x + i, count);  // read again: lanes beyond the end are zero
    });
    return sum(total);
}

/// Index of the first largest element; n where one is NaN or all are minus infinity.
std::int64_t argmax(float const* x, std::int64_t n) {
    auto top = splat(-infinity);
    auto invalid = splat(0.0F);
    for_pieces(n, [&](std::int64_t i, std::int64_t count) {
        auto part = take(x + i, count);
        if (count < lanes) part = with_beyond(part, count, -infinity);
        top = max(part, top);
        invalid = where_nan(part, splat(1.0F), invalid);
    });
    if (largest_of(invalid) > 0.0F) return n;
    auto const largest = largest_of(top);
    std::int64_t i = 0;
    auto const below = [&](std::int64_t first) {
        return largest_of(where_less(load(x + first), splat(largest), splat(0.0F), splat(1.0F))) == 0.0F;
    };
    while (i + lanes <= n && below(i)) i += lanes;
    while (i < n && x[i] != largest) ++i;
    return largest > -infinity ? i : n;
}

/// Rows that share blocks go through them together, a register tile of queries at a time, so that keys and values are
/// read once for all; then each through its own. A chain that is left and taken up again has the bits of one that is not.
void attention(AttentionArguments const& t) {
    auto const queries = t.count * t.group;
    std::int64_t longest = 0;
    auto shortest = t.rows[0].length;
    for (std::int64_t r = 0; r < t.count; ++r) {
        longest = t.rows[r].length > longest ? t.rows[r].length : longest;
        shortest = t.rows[r].length < shortest ? t.rows[r].length : shortest;
    }
    auto const padded = round_up(longest);
    auto* const weights = t.scratch;
    auto* const q = weights + queries * padded;
    auto* const mixed = q + queries * t.head_dim;
    for (std::int64_t r = 0; r < t.count; ++r) {
        for (std::int64_t i = 0; i < t.group * t.head_dim; ++i) q[r * t.group * t.head_dim + i] = t.rows[r].q[i];
    }

    auto const in_tiles = [](std::int64_t first, std::int64_t count, auto const& body) {
        for (auto tiles = (count + tile_queries - 1) / tile_queries; tiles > 0; --tiles) {
            auto const size = (count + tiles - 1) / tiles;  // about equal ones
            with_count<tile_queries>(size, [&]<int Queries>() { body.template operator()<Queries>(first); });
            first += size;
            count -= size;
        }
    };
    auto const score = [&](std::int64_t row, std::int64_t rows, std::int64_t first, std::int64_t last) {
        auto const* const blocks = t.rows[row].blocks;
        auto const against = [&]<int Blocks>(std::int64_t block) {
            in_tiles(row * t.group, rows * t.group, [&]<int Queries>(std::int64_t query) {
                scores<Queries, Blocks>(t, blocks + block, q + query * t.head_dim, weights + query * padded + block * lanes, padded);
            });
        };
        for (; first + 2 <= last; first += 2) against.template operator()<2>(first);
        if (first < last) against.template operator()<1>(first);
    };
    auto const blend = [&](std::int64_t row, std::int64_t rows, std::int64_t first, std::int64_t last) {
        auto const* const blocks = t.rows[row].blocks;
        in_tiles(row * t.group, rows * t.group, [&]<int Queries>(std::int64_t query) {
            auto const* const w = weights + query * padded;
            auto* const to = mixed + query * t.head_dim;
            std::int64_t d = 0;
            for (; d + 2 * lanes <= t.head_dim; d += 2 * lanes) mix<Queries, 2, false>(t, blocks, first, last, w, padded, to, d, lanes);
            for (; d + lanes <= t.head_dim; d += lanes) mix<Queries, 1, false>(t, blocks, first, last, w, padded, to, d, lanes);
            if (d < t.head_dim) mix<Queries, 1, true>(t, blocks, first, last, w, padded, to, d, t.head_dim - d);
        });
    };

    score(0, t.count, 0, t.shared);
    for (std::int64_t r = 0; r < t.count; ++r) score(r, 1, t.shared, round_up(t.rows[r].length) / lanes);
    float inverse[64];
    for (std::int64_t i = 0; i < queries; ++i) {
        auto const& row = t.rows[i / t.group];
        float largest = 0;
        inverse[i] = 1.0F / softmax(weights + i * padded, row.length, largest);
        if (row.stats) {
            row.stats[i % t.group] = largest;
            row.stats[i % t.group + t.stats_stride] = inverse[i];
        }
    }
    auto const together = t.shared * lanes < shortest ? t.shared * lanes : shortest;
    if (together > 0) blend(0, t.count, 0, together);
    for (std::int64_t r = 0; r < t.count; ++r) {
        if (together < t.rows[r].length) blend(r, 1, together, t.rows[r].length);
    }
    for (std::int64_t i = 0; i < queries; ++i) {
        auto* const out = t.rows[i / t.group].out + i % t.group * t.head_dim;
        for_pieces(t.head_dim, [&](std::int64_t d, std::int64_t count) {
            put(out + d, take(mixed + i * t.head_dim + d, count) * splat(inverse[i]), count);
        });
    }
}

void attention_backward(AttentionBackwardArguments const& t) {
    auto const padded = round_up(t.length);
    auto* const weights = t.scratch;
    auto* const d_scores = t.scratch + padded;
    auto delta_lanes = splat(0.0F);
    for_pieces(t.head_dim, [&](std::int64_t d, std::int64_t count) {
        delta_lanes = fma(take(t.d_out + d, count), take(t.out + d, count), delta_lanes);
    });
    auto const delta = splat(sum(delta_lanes));
    for (std::int64_t first = 0; first < padded; first += lanes) {
        auto score = splat(0.0F);
        auto d_weight = splat(0.0F);
        auto const* const keys = t.keys_transposed + first * t.head_dim;
        auto const* const values = t.values_transposed + first * t.head_dim;
        for (int d = 0; d < t.head_dim; ++d) {
            score = fma(splat(t.q[d]), load(keys + d * lanes), score);
            d_weight = fma(splat(t.d_out[d]), load(values + d * lanes), d_weight);
        }
        auto const weight = exponential(score * splat(t.scale) - splat(t.largest)) * splat(t.inverse_sum);
        store(weights + first, weight);
        store(d_scores + first, weight * (d_weight - delta) * splat(t.scale));
    }
    for_pieces(t.head_dim, [&](std::int64_t d, std::int64_t count) {
        auto dq = splat(0.0F);
        auto const q = take(t.q + d, count);
        auto const d_out = take(t.d_out + d, count);
        for (std::int64_t p = 0; p < t.length; ++p) {
            auto const offset = p * t.head_dim + d;
            auto const d_score = splat(d_scores[p]);
            dq = fma(d_score, take(t.keys + offset, count), dq);
            put(t.dk + offset, fma(d_score, q, take(t.dk + offset, count)), count);
            put(t.dv + offset, fma(splat(weights[p]), d_out, take(t.dv + offset, count)), count);
        }
        put(t.dq + d, dq, count);
    });
}

/// 1 / sqrt(mean of squares + eps)
inline float inverse_norm(float const* x, float eps, std::int64_t n) {
    auto square = splat(0.0F);
    for_pieces(n, [&](std::int64_t i, std::int64_t count) {
        auto const part = take(x + i, count);
        square = fma(part, part, square);
    });
    return 1.0F / __builtin_sqrtf(sum(square) / static_cast<float>(n) + eps);
}

void rms_norm(float const* x, float const* weight, float eps, std::int64_t n, float* y) {
    auto const scale = splat(inverse_norm(x, eps, n));
    for_pieces(n, [&](std::int64_t i, std::int64_t count) {
        put(y + i, take(x + i, count) * scale * take(weight + i, count), count);
    });
}

void rms_norm_backward(float const* x, float const* weight, float eps, float const* dy, std::int64_t n, float* dx, bool accumulate) {
    auto const scale = inverse_norm(x, eps, n);
    auto dot = splat(0.0F);
    for_pieces(n, [&](std::int64_t i, std::int64_t count) {
        dot = fma(take(dy + i, count) * take(weight + i, count), take(x + i, count), dot);
    });
    // dx = s (w dy - x s² mean(w dy x))
    auto const pull = splat(-(sum(dot) / static_cast<float>(n)) * scale * scale * scale);
    for_pieces(n, [&](std::int64_t i, std::int64_t count) {
        auto const direct = take(dy + i, count) * take(weight + i, count) * splat(scale);
        auto const gradient = fma(take(x + i, count), pull, direct);
        put(dx + i, accumulate ? take(dx + i, count) + gradient : gradient, count);
    });
}

void layer_norm(float const* x, float const* weight, float const* bias, float eps, std::int64_t n, float* y) {
    auto total = splat(0.0F);
    for_pieces(n, [&](std::int64_t i, std::int64_t count) { total = total + take(x + i, count); });
    auto const mean = sum(total) / static_cast<float>(n);
    auto square = splat(0.0F);
    for_pieces(n, [&](std::int64_t i, std::int64_t count) {
        auto const part = take(x + i, count);
        auto const centred = (count == lanes ? part : with_beyond(part, count, mean)) - splat(mean);
        square = fma(centred, centred, square);
    });
    auto const scale = splat(1.0F / __builtin_sqrtf(sum(square) / static_cast<float>(n) + eps));
    for_pieces(n, [&](std::int64_t i, std::int64_t count) {
        auto const unit = (take(x + i, count) - splat(mean)) * scale;
        put(y + i, fma(unit, take(weight + i, count), take(bias + i, count)), count);
    });
}

void rope(float* head, std::int64_t half, float const* cos, float const* sin, bool inverse) {
    for_pieces(half, [&](std::int64_t i, std::int64_t count) {
        auto const first = take(head + i, count);
        auto const second = take(head + half + i, count);
        auto const c = take(cos + i, count);
        auto const s = inverse ? splat(0.0F) - take(sin + i, count) : take(sin + i, count);
        put(head + i, first * c - second * s, count);
        put(head + half + i, second * c + first * s, count);
    });
}

void swiglu(float const* gate, float const* up, float* out, std::int64_t n) {
    for_pieces(n, [&](std::int64_t i, std::int64_t count) {
        auto const g = take(gate + i, count);
        put(out + i, g * sigmoid(g) * take(up + i, count), count);
    });
}

void swiglu_backward(float const* gate, float const* up, float const* d_out, float* d_gate, float* d_up, std::int64_t n) {
    for_pieces(n, [&](std::int64_t i, std::int64_t count) {
        auto const g = take(gate + i, count);
        auto const u = take(up + i, count);
        auto const d = take(d_out + i, count);
        auto const s = sigmoid(g);
        auto const silu = g * s;
        put(d_up + i, d * silu, count);
        put(d_gate + i, d * u * fma(silu, splat(1.0F) - s, s), count);
    });
}

void gelu(float const* x, float* y, std::int64_t n) {
    for_pieces(n, [&](std::int64_t i, std::int64_t count) {
        auto const v = take(x + i, count);
        put(y + i, splat(0.5F) * v * (splat(1.0F) + error_function(v * splat(0.707106781F))), count);
    });
}

void add(float const* x, float* y, std::int64_t n) {
    for_pieces(n, [&](std::int64_t i, std::int64_t count) { put(y + i, take(y + i, count) + take(x + i, count), count); });
}

void scale(float factor, float* x, std::int64_t n) {
    for_pieces(n, [&](std::int64_t i, std::int64_t count) { put(x + i, splat(factor) * take(x + i, count), count); });
}

void adamw(AdamWArguments const& s, float const* gradients, float* parameters, float* first, float* second, std::int64_t n) {
    for_pieces(n, [&](std::int64_t i, std::int64_t count) {
        auto const gradient = take(gradients + i, count);
        auto const m = fma(splat(s.one_minus_beta1), gradient, splat(s.beta1) * take(first + i, count));
        auto const v = fma(splat(s.one_minus_beta2) * gradient, gradient, splat(s.beta2) * take(second + i, count));
        auto const denominator = fma(root(v), splat(s.inverse_root_correction), splat(s.eps));
        auto const decayed = take(parameters + i, count) * splat(s.decay);
        put(first + i, m, count);
        put(second + i, v, count);
        put(parameters + i, decayed - splat(s.step_size) * (m / denominator), count);
    });
}

/// Sixteen counters of Philox-4x32-10 (core/random.h) at a time: eight elements each, by halves of 16 bits.
void dropout(DropoutArguments const& s, float const* x, float* y, std::int64_t n) {
    constexpr std::int64_t group = 8;
    constexpr std::int64_t stretch = group * lanes;
    for (std::int64_t begin = 0; begin < n; begin += stretch) {
        std::uint32_t words[4][lanes];
        for (int i = 0; i < lanes; ++i) {
            words[0][i] = static_cast<std::uint32_t>(begin / group + i);
            words[1][i] = s.counter[0];
            words[2][i] = s.counter[1];
            words[3][i] = s.counter[2];
        }
        std::uint32_t key[2] = {s.key[0], s.key[1]};
        for (int round = 0; round < 10; ++round) {
            for (int i = 0; i < lanes; ++i) {
                auto const first = std::uint64_t{0xD2511F53U} * words[0][i];
                auto const second = std::uint64_t{0xCD9E8D57U} * words[2][i];
                words[0][i] = static_cast<std::uint32_t>(second >> 32) ^ words[1][i] ^ key[0];
                words[2][i] = static_cast<std::uint32_t>(first >> 32) ^ words[3][i] ^ key[1];
                words[1][i] = static_cast<std::uint32_t>(second);
                words[3][i] = static_cast<std::uint32_t>(first);
            }
            key[0] += 0x9E3779B9U;
            key[1] += 0xBB67AE85U;
        }
        float factor[stretch];
        for (int i = 0; i < lanes; ++i) {
            for (int j = 0; j < 4; ++j) {
                factor[group * i + 2 * j] = (words[j][i] & 0xFFFFU) < s.threshold ? 0.0F : s.scale;
                factor[group * i + 2 * j + 1] = (words[j][i] >> 16) < s.threshold ? 0.0F : s.scale;
            }
        }
        auto const count = n - begin < stretch ? n - begin : stretch;
        if (s.accumulate) {
            for (std::int64_t i = 0; i < count; ++i) y[begin + i] += factor[i] * x[begin + i];
        } else {
            for (std::int64_t i = 0; i < count; ++i) y[begin + i] = factor[i] * x[begin + i];
        }
    }
}

}  // namespace

Table const& table() {
    static constexpr Table kernels{gemm,   attention,       attention_backward, rms_norm, rms_norm_backward, layer_norm, rope,
                                   swiglu, swiglu_backward, gelu,               add,      scale,             softmax,    argmax, adamw, dropout};
    return kernels;
}
