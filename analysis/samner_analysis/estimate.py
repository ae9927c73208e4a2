"""Scores with intervals, and what can be said of their differences."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

NAN = math.nan
ROUNDING = 1e-9  #: differences below this many points are the rounding of doubles

# 97.5 % quantiles of Student's t, for 1 to 30 degrees of freedom.
_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120,
      2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042)  # fmt: skip


@dataclass(frozen=True)
class Estimate:
    """A number with a 95 % interval, both in points (F1 in percent).

    `low` and `high` are NaN where no interval is known; both equal `value` where the number is exact, as a printed one
    is taken to be. `value` is NaN where there is none.

    Numbers with `draws` or `repeats` are paired: what is made of several (a difference, a mean) is made draw by draw
    and repeat by repeat, and has its interval from those.
    """

    value: float
    low: float = NAN
    high: float = NAN
    #: values on drawn sentences, the same draws for all that answer the same sentences (resample.py); None: not known
    draws: np.ndarray | None = field(default=None, repr=False, compare=False)
    repeats: tuple[float, ...] = ()  #: values of each seed, or of each trial of one sentence, where there are several

    @staticmethod
    def exact(value: float) -> Estimate:
        return Estimate(value, value, value)

    @staticmethod
    def paired(value: float, draws: np.ndarray | None, repeats: tuple[float, ...] = ()) -> Estimate:
        """With the interval of its draws (percentiles) and its repeats (Student's t), whose sides add up in squares."""
        low, high = (value, value) if draws is None else map(float, np.percentile(draws, (2.5, 97.5)))
        if len(repeats) > 1:
            between = half_width(repeats)
            low, high = value - math.hypot(value - low, between), value + math.hypot(high - value, between)
        return Estimate(value, low, high, draws, repeats)

    @property
    def is_paired(self) -> bool:
        return self.draws is not None or len(self.repeats) > 1

    @property
    def is_exact(self) -> bool:
        return self.low == self.value == self.high and not self.is_paired

    @property
    def known(self) -> bool:
        return not math.isnan(self.value)

    @property
    def has_interval(self) -> bool:
        return not (math.isnan(self.low) or math.isnan(self.high))

    @property
    def below(self) -> float:
        return self.value - self.low

    @property
    def above(self) -> float:
        return self.high - self.value

    def __sub__(self, other: Estimate) -> Estimate:
        """Of paired numbers by pairs; else as of independent ones: the sides of the intervals add up in squares."""
        value = self.value - other.value
        if paired := _by_pairs(value, (self, other), lambda a, b: a - b):
            return paired
        return Estimate(value, value - math.hypot(self.below, other.above), value + math.hypot(self.above, other.below))

    def is_above(self, bound: float) -> bool | None:
        """Whether it lies above the bound; None: the interval covers it. Without an interval the value decides."""
        if not self.has_interval:
            return self.value > bound + ROUNDING
        if self.low > bound + ROUNDING:
            return True
        return False if self.high <= bound + ROUNDING else None

    def is_within(self, centre: float, tolerance: float) -> bool | None:
        """Whether it lies at most `tolerance` from `centre`; None: the interval reaches over an edge."""
        edge = tolerance + ROUNDING
        if not self.has_interval:
            return abs(self.value - centre) <= edge
        if self.low >= centre - edge and self.high <= centre + edge:
            return True
        return False if self.low > centre + edge or self.high < centre - edge else None

    def alone(self) -> Estimate:
        """The number without its interval."""
        return Estimate(self.value)


UNKNOWN = Estimate(NAN)


def _by_pairs(value: float, estimates: Sequence[Estimate], of: Callable) -> Estimate | None:
    """What `of` makes of paired and exact numbers; None where one is neither, or they have other numbers of repeats."""
    if not all(estimate.is_paired or estimate.is_exact for estimate in estimates):
        return None
    counts = {len(estimate.repeats) for estimate in estimates if estimate.repeats}
    drawn = any(estimate.draws is not None for estimate in estimates)
    if len(counts) > 1 or not (drawn or counts):
        return None
    draws = None
    if drawn:
        with np.errstate(all="ignore"):
            draws = of(*(e.value if e.draws is None else e.draws for e in estimates))
        if not np.isfinite(draws).all():  # a ratio to 0
            return None
    repeats = tuple(
        of(*(e.repeats[i] if e.repeats else e.value for e in estimates)) for i in range(max(counts, default=0))
    )
    return Estimate.paired(value, draws, repeats)


def mean(estimates: Sequence[Estimate]) -> Estimate:
    """The unweighted mean; unknown where a number is or there are none. Intervals as for a difference."""
    if not estimates:
        return UNKNOWN
    count = len(estimates)
    value = math.fsum(estimate.value for estimate in estimates) / count
    if paired := _by_pairs(value, estimates, lambda *values: sum(values) / count):
        return paired
    return Estimate(
        value,
        value - math.hypot(*(estimate.below for estimate in estimates)) / count,
        value + math.hypot(*(estimate.above for estimate in estimates)) / count,
    )


def relative_gain(left: Estimate, right: Estimate) -> Estimate:
    """100 * (left / right - 1), in percent; its interval by pairs, or to first order."""
    if not right.value > 0:
        return UNKNOWN
    ratio = left.value / right.value
    value = 100 * (ratio - 1)
    if all(repeat > 0 for repeat in right.repeats) and (
        paired := _by_pairs(value, (left, right), lambda a, b: 100 * (a / b - 1))
    ):
        return paired
    return Estimate(
        value,
        value - 100 * math.hypot(left.below, ratio * right.above) / right.value,
        value + 100 * math.hypot(left.above, ratio * right.below) / right.value,
    )


def deviation(values: Sequence[float]) -> float:
    """The standard deviation of a sample; NaN for fewer than two values."""
    count = len(values)
    if count < 2:
        return NAN
    centre = math.fsum(values) / count
    return math.sqrt(math.fsum((value - centre) ** 2 for value in values) / (count - 1))


def half_width(values: Sequence[float]) -> float:
    """Half the 95 % interval of the mean of the values (Student's t); NaN for fewer than two."""
    count = len(values)
    if count < 2:
        return NAN
    quantile = _T[count - 2] if count - 2 < len(_T) else 1.96
    return quantile * deviation(values) / math.sqrt(count)


def all_of(verdicts: Sequence[bool | None]) -> bool | None:
    """Whether all hold: False as soon as one does not, None where one is undecided."""
    if any(verdict is False for verdict in verdicts):
        return False
    return None if any(verdict is None for verdict in verdicts) else True
