#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "score/score.h"

namespace samner::score {

struct BootstrapOptions {
    std::int64_t resamples = 1000;  ///< at least 1
    double confidence = 0.95;       ///< in (0, 1)
    std::uint64_t seed = 0;
};

struct Interval {
    double low = 0;
    double high = 0;
};

/// A system's counts by target and sentence. Micro-F1 is taken within a target, the mean over targets; to pool targets,
/// make them one.
using TargetCounts = std::vector<std::vector<Counts>>;

/// Mean over targets of micro-F1, in [0, 1]; 0 without targets.
double mean_f1(std::span<std::vector<Counts> const> targets);

/// Percentile interval of mean_f1 (Efron and Tibshirani 1993, chapter 13): sentences are drawn with replacement within
/// each target; quantiles are interpolated linearly. The draws are a function of seed, target, resample and position
/// alone.
/// @throws InputError when an option is out of range
Interval f1_interval(std::span<std::vector<Counts> const> targets, BootstrapOptions const& options);

/// How system `a` stands to system `b`.
struct Comparison {
    double difference = 0;  ///< of mean_f1, a minus b
    Interval interval;      ///< of the difference
    double p_value = 1;     ///< two-sided, in (0, 1]: how likely a difference this large is when there is none
};

/// Paired bootstrap (Koehn 2004; Berg-Kirkpatrick et al. 2012): both systems on the same drawn sentences; the p-value
/// is the share of resamples whose difference is as far from the observed one as that is from 0, the observed counted
/// in.
/// @throws InputError when an option is out of range or the systems have not the same targets and sentences
Comparison compare_f1(std::span<std::vector<Counts> const> a, std::span<std::vector<Counts> const> b,
                      BootstrapOptions const& options);

}  // namespace samner::score
