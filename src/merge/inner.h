#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace samner::merge {

struct Factors;
enum class Method;

/// The symmetric matrix of inner products <T_i, T_j> of tensors taken as vectors, in double.
class InnerProducts {
public:
    explicit InnerProducts(std::size_t size = 0) : size_{size}, values_(size * size) {}

    std::size_t size() const { return size_; }
    double at(std::size_t i, std::size_t j) const { return values_[i * size_ + j]; }
    void set(std::size_t i, std::size_t j, double value) { values_[i * size_ + j] = values_[j * size_ + i] = value; }
    double norm(std::size_t i) const;
    double cosine(std::size_t i, std::size_t j) const;  ///< in [-1, 1]; NaN where one of the two is zero

    InnerProducts& operator+=(InnerProducts const& other);

private:
    std::size_t size_;
    std::vector<double> values_;
};

/// Of tensors of one size; an empty one stands for zeros. @throws InputError when sizes differ
InnerProducts inner_products(std::span<std::span<float const> const> tensors);

/// Of the updates s_i B_i A_i of one module, without forming them: <D_i, D_j> = s_i s_j sum((B_i' B_j) * (A_i A_j')),
/// O(m^2 r^2 (in + out)). An absent expert is zeros. The shapes have to agree.
InnerProducts inner_products(std::span<Factors const> experts);

/// The coefficients c with which a geometric method merges, sum c_i T_i; T_i are the tensors without weights.
/// - slerp (Shoemake 1985) of two, at t = w_2 / (w_1 + w_2); linear where |cos| > 0.9995 or one is zero
/// - model_stock (Jang et al. 2024, equation 7): t w_i / N with t = N c / (1 + (N - 1) c), c the mean cosine of the
///   pairs; 0 where the denominator vanishes
/// - karcher: weights a_i = w_i / sum w; the Karcher mean of the directions of the tensors that are not zero, by
///   gradient steps from their weighted mean (at most 1000, until a step is below 1e-12), of norm sum a_i |T_i|
/// @throws InputError for slerp of another number than two, and for negative weights or a sum of 0 in slerp and karcher
/// @throws std::logic_error for another method
std::vector<double> geometric_coefficients(Method method, InnerProducts const& products,
                                           std::span<double const> weights);

}  // namespace samner::merge
