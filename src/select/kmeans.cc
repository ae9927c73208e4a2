#include "select/kmeans.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "core/error.h"
#include "core/parallel.h"
#include "core/random.h"

namespace samner::select {
namespace {

constexpr int max_rounds = 300;

class Lloyd {
public:
    Lloyd(std::span<float const> points, std::int64_t dim, std::int64_t k)
        : points_{points}, dim_{static_cast<std::size_t>(dim)}, k_{static_cast<std::size_t>(k)} {}

    Clusters run(std::uint64_t seed) {
        seed_centers(seed);
        result_.labels.assign(size(), -1);
        for (int round = 0; round < max_rounds && assign(); ++round) {
            fill_empty();
            move_centers();
        }
        number_by_first_point();
        for (auto const distance : distances_) result_.inertia += distance;
        return std::move(result_);
    }

private:
    std::size_t size() const { return points_.size() / dim_; }
    double* center(std::size_t c) { return result_.centers.data() + c * dim_; }

    double squared_distance(std::size_t point, std::size_t c) const {
        auto const* const x = points_.data() + point * dim_;
        auto const* const y = result_.centers.data() + c * dim_;
        double sum = 0;
        for (std::size_t d = 0; d < dim_; ++d) sum += (x[d] - y[d]) * (x[d] - y[d]);
        return sum;
    }

    template <class Body>
    void for_each_point(Body const& body) {
        parallel_for(0, static_cast<std::int64_t>(size()), 256, [&](std::int64_t begin, std::int64_t end) {
            for (auto i = begin; i < end; ++i) body(static_cast<std::size_t>(i));
        });
    }

    /// Each next center is a point drawn in proportion to its squared distance to the nearest center so far.
    void seed_centers(std::uint64_t seed) {
        RandomStream const draw{seed, "k-means"};
        result_.centers.resize(k_ * dim_);
        distances_.assign(size(), std::numeric_limits<double>::infinity());
        std::size_t chosen = draw.below(size(), 0);
        for (std::size_t c = 0; c < k_; ++c) {
            if (c > 0) chosen = draw_far_point(draw.uniform(c), c);
            std::copy_n(points_.data() + chosen * dim_, dim_, center(c));
            for_each_point([&](std::size_t i) { distances_[i] = std::min(distances_[i], squared_distance(i, c)); });
        }
    }

    std::size_t draw_far_point(double uniform, std::size_t found) const {
        double all = 0;
        for (auto const distance : distances_) all += distance;
        if (!(all > 0)) {
            throw InputError{fmt::format("{} clusters of {} points, of which {} are distinct", k_, size(), found),
                             "ask for fewer clusters"};
        }
        double below = 0;
        std::size_t last = 0;
        for (std::size_t i = 0; i < size(); ++i) {
            if (distances_[i] == 0) continue;
            below += distances_[i];
            last = i;
            if (uniform * all < below) break;
        }
        return last;
    }

    /// @return whether a label changed
    bool assign() {
        auto const before = result_.labels;
        for_each_point([&](std::size_t i) {
            distances_[i] = std::numeric_limits<double>::infinity();
            for (std::size_t c = 0; c < k_; ++c) {
                auto const distance = squared_distance(i, c);
                if (distance >= distances_[i]) continue;
                distances_[i] = distance;
                result_.labels[i] = static_cast<std::int64_t>(c);
            }
        });
        return result_.labels != before;
    }

    void fill_empty() {
        std::vector<std::int64_t> members(k_);
        for (auto const label : result_.labels) ++members[static_cast<std::size_t>(label)];
        for (std::size_t c = 0; c < k_; ++c) {
            if (members[c] > 0) continue;
            auto const farthest = static_cast<std::size_t>(std::ranges::max_element(distances_) - distances_.begin());
            --members[static_cast<std::size_t>(result_.labels[farthest])];
            result_.labels[farthest] = static_cast<std::int64_t>(c);
            distances_[farthest] = 0;
            ++members[c];
        }
    }

    void move_centers() {
        std::ranges::fill(result_.centers, 0.0);
        std::vector<std::int64_t> members(k_);
        for (std::size_t i = 0; i < size(); ++i) {
            auto const label = static_cast<std::size_t>(result_.labels[i]);
            ++members[label];
            for (std::size_t d = 0; d < dim_; ++d) center(label)[d] += points_[i * dim_ + d];
        }
        for (std::size_t c = 0; c < k_; ++c) {
            for (std::size_t d = 0; d < dim_; ++d) center(c)[d] /= static_cast<double>(members[c]);
        }
    }

    void number_by_first_point() {
        std::vector<std::int64_t> number(k_, -1);
        std::vector<double> centers;
        std::int64_t next = 0;
        for (auto& label : result_.labels) {
            auto& mine = number[static_cast<std::size_t>(label)];
            if (mine < 0) {
                mine = next++;
                auto const* const from = center(static_cast<std::size_t>(label));
                centers.insert(centers.end(), from, from + dim_);
            }
            label = mine;
        }
        result_.centers = std::move(centers);
    }

    std::span<float const> points_;
    std::size_t dim_, k_;
    Clusters result_;
    std::vector<double> distances_;  ///< squared, of each point to its center
};

}  // namespace

Clusters kmeans(std::span<float const> points, std::int64_t dim, std::int64_t k, std::uint64_t seed) {
    if (dim < 1 || points.size() % static_cast<std::size_t>(dim) != 0) {
        throw InputError{fmt::format("{} numbers are no points of dimension {}", points.size(), dim)};
    }
    auto const n = std::ssize(points) / dim;
    if (k < 1 || k > n) {
        throw InputError{fmt::format("{} clusters of {} points", k, n), fmt::format("ask for 1 to {} clusters", n)};
    }
    return Lloyd{points, dim, k}.run(seed);
}

}  // namespace samner::select
