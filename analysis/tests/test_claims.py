import math

import pandas as pd
import pytest

from samner_analysis import claims
from samner_analysis.runs import join, read_run


@pytest.fixture
def verdict(paper, results, tmp_path):
    """The outcome of a claim on results that a test makes."""

    def test(id_, made):
        run = read_run(str(made.write(tmp_path / f"run{len(list(tmp_path.iterdir()))}")))
        (base,) = join([run], {}, {}, {})
        claim = next(claim for claim in paper.claims if claim["id"] == id_)
        return claims.evaluate(claim, base, paper)

    return test


@pytest.fixture
def targets():
    return ["ai", "literature", "music", "politics", "science", "movie", "restaurant"]


@pytest.fixture
def rows(targets):
    def make(**systems):
        return {system: dict.fromkeys(targets, value) for system, value in systems.items()}

    return make


def test_an_interval_that_covers_zero_leaves_a_claim_undecided(verdict, results, rows):
    made = results().grid("table01", rows(unified=60.0, sam=61.0), half=5)
    outcome = verdict("sam_over_unified_average", made)
    assert (outcome.verdict, outcome.by_numbers, outcome.rule) == (claims.UNDECIDED, True, "intervals")
    assert "covers" in outcome.reason
    assert outcome.comparisons[0].low == pytest.approx(1 - math.sqrt(2) * 5 / math.sqrt(7))


def test_an_interval_above_zero_makes_it_hold_and_one_below_makes_it_fail(verdict, results, rows):
    up = results().grid("table01", rows(unified=60.0, sam=65.0), half=5)
    assert verdict("sam_over_unified_average", up).verdict == claims.HOLDS
    down = results().grid("table01", rows(unified=65.0, sam=60.0), half=5)
    assert verdict("sam_over_unified_average", down).verdict == claims.FAILS


def test_every_column_needs_every_column_and_fails_by_one(verdict, results, rows):
    both = rows(unified=60.0, sam=70.0)
    assert verdict("sam_over_unified_every_target", results().grid("table01", both, half=2)).verdict == claims.HOLDS
    both["sam"]["ai"] = 61.0
    assert verdict("sam_over_unified_every_target", results().grid("table01", both, half=2)).verdict == claims.UNDECIDED
    both["sam"]["ai"] = 50.0
    outcome = verdict("sam_over_unified_every_target", results().grid("table01", both, half=2))
    assert outcome.verdict == claims.FAILS and outcome.comparisons[0].exceptions == ["ai"]


def test_without_intervals_the_values_decide_and_that_is_said(verdict, results, rows):
    outcome = verdict("sam_over_unified_average", results().grid("table01", rows(unified=60.0, sam=60.1)))
    assert (outcome.verdict, outcome.rule) == (claims.HOLDS, "numbers")


def test_an_absent_table_row_or_value_leaves_a_claim_undecided(verdict, results, rows):
    def why(made):
        outcome = verdict("sam_over_unified_average", made)
        assert outcome.verdict == claims.UNDECIDED and outcome.by_numbers is None
        return outcome.reason

    assert why(results().grid("demo", rows(sam=60.0))) == "table01 is absent"
    assert why(results().grid("table01", rows(sam=60.0))) == "table01 has no row unified"
    some = rows(sam=60.0, unified=50.0)
    some["sam"]["movie"] = None
    assert (
        why(results().grid("table01", some, status={("sam", "movie"): "pending"}))
        == "sam has no value on movie (pending)"
    )


def test_a_system_is_not_compared_with_itself(paper, results, rows, tmp_path):
    run = read_run(str(results().grid("table01", rows(sam=60.0, unified=50.0)).write(tmp_path)))
    (base,) = join([run], {}, {}, {})
    claim = {"id": "x", "kind": "ordering", "table": "table01", "left": "sam", "right": {"each_of": ["sam", "unified"]},
             "over": "average", "sign": "+"}  # fmt: skip
    outcome = claims.evaluate(claim, base, paper)
    assert outcome.verdict == claims.HOLDS and [c.what for c in outcome.comparisons] == ["sam - unified"]


def test_a_table_that_shows_the_same_stands_in(verdict, results, rows):
    outcome = verdict("eco_union_comparable", results().grid("table03", rows(single_union=60.0, sam=60.5)))
    assert (outcome.verdict, outcome.table) == (claims.HOLDS, "table03")


def test_fewer_targets_than_the_papers_are_told(verdict, results):
    made = results().grid("table01", {"unified": {"ai": 50.0}, "sam": {"ai": 60.0}})
    assert verdict("sam_over_unified_average", made).notes == ["on 1 of 7 targets"]


def test_own_languages_play_no_part_even_when_they_are_computed(verdict, results):
    languages = ["de", "en", "es", "nl", "ru", "zh"]
    made = {
        f"language_expert_{one}": {other: 99.0 if one == other else 50.0 for other in languages} for one in languages
    }
    made["sam_language"] = dict.fromkeys(languages, 60.0)
    outcome = verdict("languages_sam_over_each_expert", results().grid("table10", made))
    assert outcome.verdict == claims.HOLDS and {c.columns for c in outcome.comparisons} == {5}


def curve(values, axis="m"):
    """A figure whose targets all have the same course."""
    return {f"{axis}={x}": {"ai": value, "music": value + 1} for x, value in enumerate(values, start=1)}


@pytest.mark.parametrize(
    ("id_", "figure", "axis", "values", "holds"),
    [
        ("best_number_of_experts", "figure03", "m", [50, 52, 55, 53, 51, 50], True),
        ("best_number_of_experts", "figure03", "m", [56, 52, 55, 53, 51, 50], False),
        ("three_experts_best_average", "figure03", "m", [50, 52, 55, 53, 51, 50], True),
        ("three_experts_best_average", "figure03", "m", [50, 55, 52, 53, 51, 50], False),
        ("splits_do_not_help", "figure04", "n", [60, 59, 58], True),
        ("splits_do_not_help", "figure04", "n", [60, 59, 61], False),
        ("similarity_splits_flat", "figure11", "n", [60, 60.1, 59.9], True),
        ("similarity_splits_flat", "figure11", "n", [60, 60.3, 60], False),
        ("sampling_splits_decline", "figure12", "n", [60, 59, 58], True),
        ("sampling_splits_decline", "figure12", "n", [60, 59.9, 59.9], False),
    ],
)
def test_trends_are_read_from_figures(verdict, results, id_, figure, axis, values, holds):
    outcome = verdict(id_, results().grid(figure, curve(values, axis)))
    assert outcome.verdict == (claims.HOLDS if holds else claims.FAILS), outcome


def test_half_of_the_targets_are_not_most(verdict, results):
    made = results().grid("figure03", {f"m={x}": {"ai": 50 - abs(x - 2), "music": 50 - x} for x in (1, 2, 3)})
    outcome = verdict("best_number_of_experts", made)
    assert outcome.verdict == claims.FAILS and [c.value > 0 for c in outcome.comparisons] == [True, False]


def test_trends_within_the_intervals_are_undecided(verdict, results):
    made = results().grid("figure03", curve([50, 52, 55, 53, 51, 50]), half=4)
    outcome = verdict("three_experts_best_average", made)
    assert (outcome.verdict, outcome.by_numbers) == (claims.UNDECIDED, True)


def test_pooled_trends_have_to_hold_for_every_series(verdict, results):
    def pooled(sam):
        points = {
            f"{name} n={x}": {"ai": 40.0, "pooled": 50.0 + x * (x < 4)} for name in ("a", "b") for x in (1, 2, 3, 4)
        }
        return results().grid(
            "figure05", {**points, **{f"sam n={x}": {"ai": 40.0, "pooled": y} for x, y in sam.items()}}
        )

    assert verdict("pooled_splits_help", pooled({1: 50.0, 2: 51.0, 3: 50.0})).verdict == claims.HOLDS
    assert verdict("pooled_splits_best_two_or_three", pooled({1: 50.0, 2: 51.0, 3: 50.0})).verdict == claims.HOLDS
    assert verdict("pooled_splits_help", pooled({1: 50.0, 2: 49.0, 3: 48.0})).verdict == claims.FAILS
    unpooled = results().grid("figure05", {f"n={x}": {"ai": 50.0} for x in (1, 2)})
    assert verdict("pooled_splits_help", unpooled).reason == "there is no column pooled"


def test_the_course_of_two_strategies_is_compared_by_ranks(verdict, results):
    made = results().grid("figure09", curve([50, 52, 55, 53])).grid("figure10", curve([50, 54, 55, 53]))
    outcome = verdict("strategies_same_trend", made)
    assert outcome.verdict == claims.HOLDS and outcome.comparisons[0].value == pytest.approx(0.8)
    same = results().grid("figure09", curve([50, 52, 55])).grid("figure10", curve([60, 62, 65]))
    assert verdict("strategies_same_trend", same).verdict == claims.FAILS


def selections(rows):
    names = ("target", "strategy", "expert", "similarity", "chosen")
    return {name: [row[place] for row in rows] for place, name in enumerate(names)}


def test_similar_experts_are_set_against_their_scores(verdict, results):
    made = results().grid("table13", {"expert_a": {"ai": 50.0}, "expert_b": {"ai": 60.0}})
    made.tables["selection"] = selections(
        [("ai", "similarity", "a", 0.9, 1), ("ai", "similarity", "b", 0.1, 0), ("ai", "sampling", "a", 0.9, 0),
         ("ai", "sampling", "b", 0.1, 1)]
    )  # fmt: skip
    assert verdict("most_similar_not_always_best", made).verdict == claims.HOLDS
    stronger = verdict("sampling_picks_stronger_singles", made)
    assert stronger.verdict == claims.HOLDS and stronger.comparisons[0].value == pytest.approx(10)
    made.tables["selection"]["similarity"] = [0.1, 0.9, 0.1, 0.9]
    assert verdict("most_similar_not_always_best", made).verdict == claims.FAILS


def test_unreadable_answers_of_linear_merges_are_counted(verdict, results, rows):
    made = results().grid(
        "table07", rows(sam_linear=1.0, sam=60.0, sam_dare_linear=55.0, sam_dare_ties=50.0), passes={"sam_linear": 2}
    )
    for cell in made.cells:
        cell["unparsable"] = {"sam_linear": 180}.get(cell["system"], 5)
    outcome = verdict("linear_loses_format", made)
    assert outcome.verdict == claims.HOLDS and outcome.comparisons[0].value == pytest.approx(90)


def test_passes_are_counted_from_the_keys_of_cells(verdict, results, rows):
    made = results()
    made.grid("table14", rows(unified=1.0, sam=1.0, sam_eco=1.0), passes={"sam": 2})
    made.grid("table08", rows(vote_experts=1.0), passes={"vote_experts": 6})
    assert verdict("inference_cost_order", made).verdict == claims.HOLDS


def test_the_share_of_an_adapter_is_that_of_the_largest_run(verdict, results, rows):
    def made(share):
        run = results()
        run.grid("table14", rows(sam=1.0))
        run.tables["resources"] = {"quantity": ["experts", "storage_per_expert"], "measured": [6.0, share]}
        return run

    assert verdict("few_percent_of_storage", made(0.021)).verdict == claims.HOLDS
    assert verdict("few_percent_of_storage", made(0.4)).verdict == claims.FAILS
    assert verdict("few_percent_of_storage", made(float("nan"))).verdict == claims.UNDECIDED


def test_choices_by_one_sentence_change_by_the_share_of_experts_that_only_one_trial_has():
    def chosen(dataset, key, strategy, experts, m=3):
        return [
            {"dataset": dataset, "key": key, "strategy": strategy, "m": m, "rule": "", "expert": name,
             "chosen": 1 + experts.index(name) if name in experts else 0}
            for name in "abcdef"
        ]  # fmt: skip

    rows = [
        *chosen("x (sentence of trial 0)", "1", "similarity", ["a", "b", "c"]),
        *chosen("x (sentence of trial 1)", "2", "similarity", ["a", "b", "d"]),
        *chosen("x (sentence of trial 2)", "3", "similarity", ["d", "e", "f"]),
        *chosen("x", "4", "similarity", ["a", "b", "c"]),
        *chosen("x (sentence of trial 0)", "5", "sampling", ["a", "b", "c"]),
        *chosen("x (sentence of trial 1)", "6", "sampling", ["c", "b", "a"]),
        *chosen("y (sentence of trial 0)", "7", "sampling", ["a"], m=1),
    ]
    selection = pd.DataFrame(rows)
    # 1/3, 1 and 2/3 of three experts
    assert claims.changes_by_sentence(selection, "similarity") == {"x": pytest.approx(2 / 3)}
    assert claims.changes_by_sentence(selection, "sampling") == {"x": 0}
