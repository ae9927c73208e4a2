#include "merge/inner.h"

#include <fmt/format.h>

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <stdexcept>

#include "core/error.h"
#include "merge/adapter.h"

namespace samner::merge {
namespace {

using RowMajorFloat = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using RowMajorDouble = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Vector = Eigen::VectorXd;

constexpr Eigen::Index piece = 256;  // columns of A and rows of B that are taken to double at once

/// In blocks, so that the error grows with the number of blocks and not of elements.
double dot(std::span<float const> left, std::span<float const> right) {
    constexpr std::size_t block = 4096;
    double sum = 0.0;
    for (std::size_t begin = 0; begin < left.size(); begin += block) {
        double part = 0.0;
        for (std::size_t i = begin; i < std::min(left.size(), begin + block); ++i) part += double{left[i]} * right[i];
        sum += part;
    }
    return sum;
}

std::vector<double> shares(std::string_view method, std::span<double const> weights) {
    double const sum = std::accumulate(weights.begin(), weights.end(), 0.0);
    bool const negative = std::any_of(weights.begin(), weights.end(), [](double w) { return !(w >= 0.0); });
    if (negative || !(sum > 0.0) || !std::isfinite(sum))
        throw InputError{fmt::format("{} with weights that are negative or sum to {}", method, sum),
                         "give weights of 0 or more that are not all 0"};
    std::vector<double> normalised(weights.begin(), weights.end());
    for (auto& weight : normalised) weight /= sum;
    return normalised;
}

std::vector<double> slerp_coefficients(InnerProducts const& products, std::span<double const> weights) {
    constexpr double nearly_parallel = 0.9995;
    if (products.size() != 2)
        throw InputError{fmt::format("slerp of {} experts", products.size()), "give two, or use karcher"};
    auto linear = shares("slerp", weights);
    double const cosine = products.cosine(0, 1);
    if (!(std::fabs(cosine) <= nearly_parallel)) return linear;
    double const angle = std::acos(cosine);
    for (auto& share : linear) share = std::sin(share * angle) / std::sin(angle);
    return linear;
}

std::vector<double> model_stock_coefficients(InnerProducts const& products, std::span<double const> weights) {
    constexpr double singular = 1e-6;
    auto const count = static_cast<double>(products.size());
    double sum = 0.0;
    for (std::size_t i = 0; i < products.size(); ++i)
        for (std::size_t j = i + 1; j < products.size(); ++j) {
            double const cosine = products.cosine(i, j);
            double const sign = (weights[i] < 0.0) == (weights[j] < 0.0) ? 1.0 : -1.0;
            sum += std::isnan(cosine) || weights[i] == 0.0 || weights[j] == 0.0 ? 0.0 : sign * cosine;
        }
    double const cosine = products.size() < 2 ? 1.0 : sum / (0.5 * count * (count - 1.0));
    double const denominator = 1.0 + (count - 1.0) * cosine;
    double const pull = std::fabs(denominator) < singular ? 0.0 : count * cosine / denominator;
    std::vector<double> coefficients(weights.begin(), weights.end());
    for (auto& c : coefficients) c *= pull / count;
    return coefficients;
}

/// In coordinates x over the unit directions u_i: the point is sum x_i u_i and `gram` holds <u_i, u_j>.
Vector karcher_mean(Eigen::MatrixXd const& gram, Vector const& shares) {
    constexpr int most_steps = 1000;
    constexpr double tolerance = 1e-12;
    constexpr double vanishing = 1e-5;
    auto const length = [&](Vector const& x) { return std::sqrt(std::max(0.0, x.dot(gram * x))); };
    Vector x = shares;
    if (length(x) < vanishing) x = Vector::Unit(shares.size(), 0);
    x /= length(x);
    for (int step = 0; step < most_steps; ++step) {
        Vector const cosines = gram * x;
        Vector tangent = Vector::Zero(shares.size());
        for (Eigen::Index i = 0; i < shares.size(); ++i) {
            double const cosine = std::clamp(cosines[i], -1.0, 1.0);
            double const angle = std::acos(cosine);
            double const sine = std::sqrt((1.0 - cosine) * (1.0 + cosine));
            double const stretch = sine > 0.0 ? angle / sine : 1.0;
            tangent[i] += shares[i] * stretch;
            tangent -= shares[i] * stretch * cosine * x;
        }
        double const size = length(tangent);
        if (size < tolerance) break;
        x = std::cos(size) * x + std::sin(size) / size * tangent;
        x /= length(x);
    }
    return x;
}

std::vector<double> karcher_coefficients(InnerProducts const& products, std::span<double const> weights) {
    auto const all = shares("karcher", weights);
    std::vector<std::size_t> nonzero;
    double norm = 0.0;
    double sum = 0.0;
    for (std::size_t i = 0; i < all.size(); ++i) {
        norm += all[i] * products.norm(i);
        if (!(products.norm(i) > 0.0) || all[i] == 0.0) continue;
        nonzero.push_back(i);
        sum += all[i];
    }
    std::vector<double> coefficients(all.size(), 0.0);
    if (nonzero.empty()) return coefficients;
    auto const count = static_cast<Eigen::Index>(nonzero.size());
    Eigen::MatrixXd gram(count, count);
    Vector own(count);
    for (Eigen::Index i = 0; i < count; ++i) {
        auto const at = nonzero[static_cast<std::size_t>(i)];
        own[i] = all[at] / sum;
        for (Eigen::Index j = 0; j < count; ++j)
            gram(i, j) = i == j ? 1.0 : products.cosine(at, nonzero[static_cast<std::size_t>(j)]);
    }
    auto const mean = karcher_mean(gram, own);
    for (Eigen::Index i = 0; i < count; ++i) {
        auto const at = nonzero[static_cast<std::size_t>(i)];
        coefficients[at] = norm * mean[i] / products.norm(at);
    }
    return coefficients;
}

}  // namespace

double InnerProducts::norm(std::size_t i) const {
    return std::sqrt(std::max(0.0, at(i, i)));
}

double InnerProducts::cosine(std::size_t i, std::size_t j) const {
    double const norms = norm(i) * norm(j);
    if (norms == 0.0) return std::numeric_limits<double>::quiet_NaN();
    return std::clamp(at(i, j) / norms, -1.0, 1.0);
}

InnerProducts& InnerProducts::operator+=(InnerProducts const& other) {
    if (other.size_ != size_) throw std::logic_error{"sum of inner products of different numbers of tensors"};
    std::transform(values_.begin(), values_.end(), other.values_.begin(), values_.begin(), std::plus<>{});
    return *this;
}

InnerProducts inner_products(std::span<std::span<float const> const> tensors) {
    InnerProducts products{tensors.size()};
    for (std::size_t i = 0; i < tensors.size(); ++i)
        for (std::size_t j = i; j < tensors.size(); ++j) {
            if (tensors[i].empty() || tensors[j].empty()) continue;
            if (tensors[i].size() != tensors[j].size())
                throw InputError{fmt::format("inner product of tensors of {} and {} elements", tensors[i].size(),
                                             tensors[j].size())};
            products.set(i, j, dot(tensors[i], tensors[j]));
        }
    return products;
}

InnerProducts inner_products(std::span<Factors const> experts) {
    InnerProducts products{experts.size()};
    for (std::size_t i = 0; i < experts.size(); ++i)
        for (std::size_t j = i; j < experts.size(); ++j) {
            auto const& left = experts[i];
            auto const& right = experts[j];
            if (left.rank == 0 || right.rank == 0) continue;
            auto const in = std::ssize(left.a) / left.rank;
            auto const out = std::ssize(left.b) / left.rank;
            Eigen::Map<RowMajorFloat const> const left_a{left.a.data(), left.rank, in};
            Eigen::Map<RowMajorFloat const> const right_a{right.a.data(), right.rank, in};
            Eigen::Map<RowMajorFloat const> const left_b{left.b.data(), out, left.rank};
            Eigen::Map<RowMajorFloat const> const right_b{right.b.data(), out, right.rank};
            // Piece by piece, so that little is held in double.
            Eigen::MatrixXd across = Eigen::MatrixXd::Zero(left.rank, right.rank);
            Eigen::MatrixXd down = across;
            for (Eigen::Index begin = 0; begin < in; begin += piece) {
                auto const size = std::min(piece, in - begin);
                RowMajorDouble const a = left_a.middleCols(begin, size).template cast<double>();
                RowMajorDouble const b = right_a.middleCols(begin, size).template cast<double>();
                across.noalias() += a * b.transpose();
            }
            for (Eigen::Index begin = 0; begin < out; begin += piece) {
                auto const size = std::min(piece, out - begin);
                RowMajorDouble const a = left_b.middleRows(begin, size).template cast<double>();
                RowMajorDouble const b = right_b.middleRows(begin, size).template cast<double>();
                down.noalias() += a.transpose() * b;
            }
            products.set(i, j, left.scaling * right.scaling * across.cwiseProduct(down).sum());
        }
    return products;
}

std::vector<double> geometric_coefficients(Method method, InnerProducts const& products,
                                           std::span<double const> weights) {
    if (weights.size() != products.size()) throw std::logic_error{"weights and tensors of different numbers"};
    switch (operator_of(method)) {
        case Method::slerp:
            return slerp_coefficients(products, weights);
        case Method::model_stock:
            return model_stock_coefficients(products, weights);
        case Method::karcher:
            return karcher_coefficients(products, weights);
        default:
            throw std::logic_error{"not a geometric method"};
    }
}

}  // namespace samner::merge
