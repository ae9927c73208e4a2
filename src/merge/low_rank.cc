#include "merge/low_rank.h"

#include <Eigen/QR>
#include <Eigen/SVD>
#include <algorithm>
#include <cmath>

namespace samner::merge {
namespace {

using Matrix = Eigen::MatrixXd;
using RowMajor = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using RowMajorFloat = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// The orthogonal factor [rows, min(rows, cols)] and the triangular one of a matrix.
struct ThinQr {
    Matrix q;
    Matrix r;
};

ThinQr thin_qr(Matrix const& matrix) {
    Eigen::HouseholderQR<Matrix> const qr{matrix};
    auto const inner = std::min(matrix.rows(), matrix.cols());
    return {qr.householderQ() * Matrix::Identity(matrix.rows(), inner),
            qr.matrixQR().topRows(inner).template triangularView<Eigen::Upper>()};
}

/// U S V' cut to `rank`, with the signs fixed.
LowRank assemble(Matrix u, Eigen::VectorXd const& singular, Matrix v, std::int64_t rank) {
    auto const kept = std::min<Eigen::Index>(rank, singular.size());
    RowMajorFloat b = RowMajorFloat::Zero(u.rows(), rank);
    RowMajorFloat a = RowMajorFloat::Zero(rank, v.rows());
    for (Eigen::Index i = 0; i < kept; ++i) {
        Eigen::Index largest = 0;
        u.col(i).cwiseAbs().maxCoeff(&largest);
        double const share = (u(largest, i) < 0.0 ? -1.0 : 1.0) * std::sqrt(singular[i]);
        b.col(i) = (u.col(i) * share).cast<float>();
        a.row(i) = (v.col(i) * share).transpose().cast<float>();
    }
    return {{b.data(), b.data() + b.size()}, {a.data(), a.data() + a.size()}};
}

}  // namespace

LowRank truncate(std::span<float const> matrix, std::int64_t rows, std::int64_t cols, std::int64_t rank) {
    Matrix const dense = Eigen::Map<RowMajorFloat const>(matrix.data(), rows, cols).cast<double>();
    Eigen::BDCSVD<Matrix> const svd{dense, Eigen::ComputeThinU | Eigen::ComputeThinV};
    return assemble(svd.matrixU(), svd.singularValues(), svd.matrixV(), rank);
}

LowRank truncate_product(std::span<double const> b, std::span<double const> a, std::int64_t rows, std::int64_t inner,
                         std::int64_t cols, std::int64_t rank) {
    auto const left = thin_qr(Eigen::Map<RowMajor const>(b.data(), rows, inner));
    auto const right = thin_qr(Eigen::Map<RowMajor const>(a.data(), inner, cols).transpose());
    Matrix const core = left.r * right.r.transpose();
    Eigen::BDCSVD<Matrix> const svd{core, Eigen::ComputeThinU | Eigen::ComputeThinV};
    return assemble(left.q * svd.matrixU(), svd.singularValues(), right.q * svd.matrixV(), rank);
}

}  // namespace samner::merge
