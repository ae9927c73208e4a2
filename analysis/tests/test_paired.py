"""Differences of rows that answer the same sentences."""

import math

import numpy as np
import pandas as pd
import pytest

from samner_analysis import claims
from samner_analysis.cli import main
from samner_analysis.estimate import Estimate, mean
from samner_analysis.resample import Sentences
from samner_analysis.runs import join, read_run


@pytest.fixture
def base(tmp_path):
    def of(made):
        (joined,) = join([read_run(str(made.write(tmp_path / "run")))], {}, {}, {})
        return joined

    return of


def counts_of(seed, sentences=150):
    """Three gold mentions a sentence, of which some are found."""
    found = np.random.default_rng(seed).integers(0, 4, sentences)
    return np.stack([found, np.ones_like(found), 3 - found], axis=1)


def better(counts, sentences):
    """The same, and one mention more in some sentences that miss one."""
    improved = counts.copy()
    places = np.flatnonzero(counts[:, 2])[:sentences]
    improved[places] += [1, 0, -1]
    return improved


def test_two_sentences_are_drawn_as_by_hand(base, results):
    right, half = [[1, 0, 0], [1, 0, 0]], [[1, 0, 0], [0, 0, 1]]
    grid = base(results().counted("table01", {"a": {"ai": right}, "b": {"ai": half}})).grids["table01"]
    difference = grid.score("a", "ai").estimate - grid.score("b", "ai").estimate
    # b has F1 1, 2/3 and 0 on draws of the first sentence alone (1/4), of both (1/2), of the second alone (1/4).
    assert difference.value == pytest.approx(100 / 3)
    assert (difference.low, difference.high) == (0, 100)
    values, times = np.unique(difference.draws.round(6), return_counts=True)
    assert values == pytest.approx([0, 100 / 3, 100], abs=1e-5)
    assert times / len(difference.draws) == pytest.approx([0.25, 0.5, 0.25], abs=5 * math.sqrt(0.25 / 1000))


def test_a_row_differs_from_itself_by_nothing(base, results):
    made = results().counted("table01", {"sam": {"ai": counts_of(1)}})
    made.counted("table02", {"sam": {"ai": counts_of(1)}})
    grids = base(made).grids
    difference = grids["table01"].score("sam", "ai").estimate - grids["table02"].score("sam", "ai").estimate
    assert (difference.low, difference.value, difference.high) == (0, 0, 0)


def test_pairs_decide_what_separate_intervals_leave_open(paper, base, results):
    targets = {target: counts_of(place) for place, target in enumerate(("ai", "music"))}
    made = results().counted(
        "table01", {"unified": targets, "sam": {target: better(its, 12) for target, its in targets.items()}}
    )
    claim = next(claim for claim in paper.claims if claim["id"] == "sam_over_unified_every_target")
    outcome = claims.evaluate(claim, base(made), paper)
    assert (outcome.verdict, outcome.rule) == (claims.HOLDS, "paired")
    made.sentences.clear()
    outcome = claims.evaluate(claim, base(made), paper)
    assert (outcome.verdict, outcome.rule) == (claims.UNDECIDED, "intervals")


def test_other_sentences_are_drawn_independently(base, results):
    made = results().counted("table01", {"sam": {"ai": counts_of(1)}}, texts="these")
    made.counted("table02", {"sam": {"ai": counts_of(1)}}, texts="those")
    grids = base(made).grids
    one, other = (grids[table].score("sam", "ai").estimate for table in ("table01", "table02"))
    assert abs(np.corrcoef(one.draws, other.draws)[0, 1]) < 0.2
    independent = Estimate(one.value, *np.percentile(one.draws, (2.5, 97.5))) - Estimate(
        other.value, *np.percentile(other.draws, (2.5, 97.5))
    )
    assert (one - other).high == pytest.approx(independent.high, rel=0.15)


def test_seeds_are_summed_by_sentence_and_their_spread_is_added(base, results):
    seeds = [counts_of(seed) for seed in (1, 2, 3)]
    made = results().counted("table01", {"sam": {"ai": seeds}, "unified": {"ai": [better(its, 9) for its in seeds]}})
    grid = base(made).grids["table01"]
    sam, unified = (grid.score(system, "ai").estimate for system in ("sam", "unified"))
    assert sam.repeats == pytest.approx([200 * s[:, 0].sum() / (2 * s[:, 0] + s[:, 1] + s[:, 2]).sum() for s in seeds])
    summed = Sentences(pd.DataFrame(sum(seeds), columns=["tp", "fp", "fn"])).f1("0", sum(seeds))
    assert np.std(sam.draws) == pytest.approx(np.std(summed), rel=0.15)
    difference = unified - sam
    gaps = [one - other for one, other in zip(unified.repeats, sam.repeats)]
    spread = 4.303 * np.std(gaps, ddof=1) / math.sqrt(3)
    low = np.percentile(difference.draws, 2.5)
    assert difference.low == pytest.approx(difference.value - math.hypot(difference.value - low, spread))


def test_the_mean_of_targets_is_made_on_each_draw(base, results):
    made = results().counted("table01", {"sam": {"ai": counts_of(1), "music": counts_of(2, 80)}})
    grid = base(made).grids["table01"]
    both = [grid.score("sam", target).estimate for target in ("ai", "music")]
    average = mean(both)
    assert average.draws == pytest.approx((both[0].draws + both[1].draws) / 2)
    assert average.low == pytest.approx(np.percentile(average.draws, 2.5))


def with_trials(results, **systems):
    """One target with trials of one sentence; F1 of each in percent."""
    made = results().grid("table05", {system: {"ai": float(np.mean(its))} for system, its in systems.items()})
    made.cells = [
        {**row, "trial": i + 1, "f1": value / 100}
        for row, its in zip(made.cells, systems.values())
        for i, value in enumerate(its)
    ]
    return made


def test_trials_are_paired_by_their_numbers(base, results):
    grid = base(with_trials(results, a=[10.0, 50.0, 90.0], b=[8.0, 49.0, 87.0])).grids["table05"]
    one, other = (grid.score(system, "ai").estimate for system in "ab")
    difference = one - other
    half = 4.303 * 1 / math.sqrt(3)  # of 2, 1 and 3
    assert (difference.low, difference.high) == pytest.approx((2 - half, 2 + half), rel=1e-3)
    single = base(with_trials(results, a=[10.0])).grids["table05"].score("a", "ai").estimate
    assert single.value == 10 and not single.has_interval


def test_a_file_without_counts_by_sentence_is_warned_of(results, tmp_path, capsys):
    run = results().grid("table01", {"sam": {"ai": 60.0}, "unified": {"ai": 40.0}}, half=1).write(tmp_path / "old")
    assert main([str(run), "--out", str(tmp_path / "out")]) == 0
    assert "has no counts by sentence" in capsys.readouterr().err
    assert "holds (not paired)" in (tmp_path / "out/claims.md").read_text()
    new = results().counted("table01", {"sam": {"ai": counts_of(1)}}).write(tmp_path / "new")
    assert main([str(new), "--out", str(tmp_path / "out")]) == 0
    assert "counts by sentence" not in capsys.readouterr().err


def test_counts_that_are_not_those_of_the_cells_are_refused(results, tmp_path, capsys):
    made = results().counted("table01", {"sam": {"ai": counts_of(1)}})
    made.sentences[0][0] += 1
    assert main([str(made.write(tmp_path / "run")), "--out", str(tmp_path / "out")]) == 2
    assert "/sentences does not have the counts of sam on ai" in capsys.readouterr().err
