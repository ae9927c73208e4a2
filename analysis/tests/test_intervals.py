import math

import pytest

from samner_analysis.estimate import Estimate, half_width, mean, relative_gain
from samner_analysis.runs import read_run


def around(value, half):
    return Estimate(value, value - half, value + half)


def test_the_interval_of_a_difference_adds_up_in_squares():
    difference = Estimate(60, 57, 62) - Estimate(50, 46, 54)
    assert (difference.value, difference.low, difference.high) == pytest.approx((10, 10 - 5, 10 + math.hypot(2, 4)))


def test_the_interval_of_a_mean_shrinks_with_the_number_of_targets():
    average = mean([around(10, 4)] * 4)
    assert (average.value, average.low, average.high) == pytest.approx((10, 8, 12))


def test_one_unknown_interval_or_value_makes_that_of_the_mean_unknown():
    assert not mean([around(10, 1), Estimate(10)]).has_interval
    assert mean([around(10, 1), Estimate(20)]).value == 15
    assert not mean([around(10, 1), Estimate(math.nan)]).known and not mean([]).known


def test_a_relative_gain_is_in_percent_of_the_right_side():
    gain = relative_gain(around(66, 3), Estimate.exact(60))
    assert (gain.value, gain.low, gain.high) == pytest.approx((10, 5, 15))
    assert not relative_gain(around(66, 3), Estimate.exact(0)).known


@pytest.mark.parametrize(
    ("estimate", "above"),
    [(around(2, 1), True), (around(2, 3), None), (around(-2, 1), False), (Estimate(0.1), True), (Estimate(0), False),
     (Estimate.exact(0), False)],
)  # fmt: skip
def test_a_number_is_above_zero_when_its_interval_is(estimate, above):
    assert estimate.is_above(0) is above


@pytest.mark.parametrize(
    ("estimate", "within"),
    [(around(0.1, 0.2), True), (around(0.1, 1), None), (around(3, 1), False), (Estimate(0.6), False)],
)
def test_a_number_is_within_a_tolerance_when_its_interval_is(estimate, within):
    assert estimate.is_within(0, 0.5) is within


def test_a_cell_of_one_seed_has_the_interval_of_cells(results, tmp_path):
    path = results().grid("table01", {"sam": {"ai": 60.0}}, half=2.5).write(tmp_path)
    estimate = read_run(str(path)).grids["table01"].score("sam", "ai").estimate
    assert (estimate.value, estimate.low, estimate.high) == pytest.approx((60, 57.5, 62.5))


def test_several_seeds_have_mean_deviation_and_a_wider_interval(results, tmp_path):
    values = [58.0, 60.0, 62.0]
    path = results().grid("table01", {"sam": {"ai": values}}, half=3, seeds=3).write(tmp_path)
    score = read_run(str(path)).grids["table01"].score("sam", "ai")
    assert (score.estimate.value, score.deviation, score.seeds) == pytest.approx((60, 2, 3))
    half = math.hypot(3, 4.303 * 2 / math.sqrt(3))
    assert (score.estimate.below, score.estimate.above) == pytest.approx((half, half), rel=1e-6)


def test_trials_of_one_sentence_are_judged_by_their_spread(results, tmp_path):
    made = results()
    made.grid("table05", {"sam_one_sample": {"ai": 60.0}})
    trials = [40.0, 50.0, 60.0, 70.0, 80.0]
    row = made.cells.pop()
    made.cells = [{**row, "trial": i + 1, "f1": value / 100, "low": 0, "high": 1} for i, value in enumerate(trials)]
    score = read_run(str(made.write(tmp_path))).grids["table05"].score("sam_one_sample", "ai")
    assert score.trials == 5 and score.estimate.value == pytest.approx(60)
    assert (
        score.estimate.below
        == pytest.approx(half_width(trials))
        == pytest.approx(2.776 * 15.8114 / math.sqrt(5), rel=1e-4)
    )


@pytest.mark.parametrize("state", ["pending", "failed", "empty_set", "excluded"])
def test_a_cell_without_a_value_keeps_its_status(results, tmp_path, state):
    made = results().grid("table01", {"sam": {"ai": None, "music": 50.0}}, status={("sam", "ai"): state})
    score = read_run(str(made.write(tmp_path))).grids["table01"].score("sam", "ai")
    assert score.status == state and not score.estimate.known


def test_a_cell_of_which_one_seed_failed_has_no_value(results, tmp_path):
    made = results().grid("table01", {"sam": {"ai": [50.0, None]}}, seeds=2)
    score = read_run(str(made.write(tmp_path))).grids["table01"].score("sam", "ai")
    assert not score.estimate.known and (score.seeds_done, score.seeds) == (1, 2)
