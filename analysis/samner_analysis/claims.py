"""The paper's claims (claims.yaml), tested on runs. The README says which rule decides."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field

import numpy as np
import pandas as pd

from samner_analysis.estimate import Estimate, all_of, mean, relative_gain
from samner_analysis.paper import Paper
from samner_analysis.runs import Base
from samner_analysis.selections import NoSelection, Selections, selections_by
from samner_analysis.series import POOLED, Series, series_of

HOLDS, FAILS, UNDECIDED = "holds", "does not", "undecided"

# Shares of unreadable answers for "almost lose the structured output", which the paper gives no number for.
LOST_SHARE = 0.5
LOST_RATIO = 2.0

# Of the base model's bytes, for an adapter: what rounds to the 2 % of Table 14.
MOST_STORAGE = 0.025

_M_OF_TRIALS = 3  # experts of table 5


class Undecidable(Exception):
    """A claim that cannot be tested; the message says why."""


@dataclass
class Comparison:
    """Two operands, or one quantity against what is expected of it. Numbers in points, unless `unit` says otherwise."""

    what: str
    value: float
    low: float = math.nan
    high: float = math.nan
    unit: str = "points"
    won: list[str] = field(default_factory=list)  #: columns whose numbers agree with the claim's sign
    columns: int = 0
    exceptions: list[str] = field(default_factory=list)


@dataclass
class Outcome:
    """A claim on one base model."""

    base: str
    verdict: str  #: holds, does not, undecided
    by_numbers: bool | None  #: what the values alone say; None: nothing
    rule: str = ""  #: by intervals of differences that are paired, by intervals, or by numbers where there are none
    table: str = ""  #: that it was tested on
    reason: str = ""  #: why it is undecided
    notes: list[str] = field(default_factory=list)
    comparisons: list[Comparison] = field(default_factory=list)


@dataclass(frozen=True)
class Tested:
    """What a test finds: with intervals, and by the values alone."""

    verdict: bool | None
    by_numbers: bool
    comparisons: list[Comparison]
    rule: str
    notes: tuple[str, ...] = ()


_RULES = ("numbers", "intervals", "paired")  # from the weakest


def _rule(estimates: Iterable[Estimate]) -> str:
    """By what differences decide."""
    estimates = list(estimates)
    if not all(estimate.has_interval for estimate in estimates):
        return "numbers"
    return "paired" if all(estimate.is_paired or estimate.is_exact for estimate in estimates) else "intervals"


class Rows:
    """The rows of tables as columns of estimates: a base's own, and the paper's for systems of the literature."""

    def __init__(self, base: Base, paper: Paper, table: str):
        self.base, self.paper, self.table = base, paper, table
        self.notes: list[str] = []

    def _grid(self, table: str):
        if table not in self.base.grids:
            raise Undecidable(f"{table} is absent")
        return self.base.grids[table]

    def row(self, system: str, table: str | None = None) -> dict[str, Estimate]:
        table = table or self.table
        grid = self._grid(table)
        row, missing = {}, []
        for target in grid.targets:
            score = grid.score(system, target)
            if score is None or score.status == "excluded" or self.paper.prints_nothing(table, system, target):
                continue
            if score.estimate.known:
                row[target] = score.estimate
            else:
                missing.append(f"{target} ({score.status})")
        if missing:
            raise Undecidable(f"{system} has no value on {', '.join(missing)}")
        if row:
            return row
        if table in self.paper.tables:
            for printed in self.paper.tables[table].rows:
                if printed.system == system and printed.published:
                    self.notes.append(f"{system} as printed")
                    return {
                        target: Estimate.exact(value)
                        for target, value in printed.cells.items()
                        if value is not None and target in grid.targets
                    }
        raise Undecidable(f"{table} has no row {system}")

    def experts(self) -> list[str]:
        return [system for system in self._grid(self.table).systems if system.startswith("expert_")]


def _best(rows: dict[str, dict[str, Estimate]], over: str) -> dict[str, Estimate]:
    """The row with the best average, or the best value in each column (NaN-free by construction)."""
    if over == "average":
        return max(rows.values(), key=lambda row: mean(list(row.values())).value)
    columns = dict.fromkeys(column for row in rows.values() for column in row)
    return {
        column: max((row[column] for row in rows.values() if column in row), key=lambda estimate: estimate.value)
        for column in columns
    }


def _operands(operand: str | dict, rows: Rows, over: str) -> dict[str, dict[str, Estimate]]:
    """The rows that an operand stands for, by name."""
    if isinstance(operand, str):
        return {operand: rows.row(operand)}
    if "each_of" in operand:
        return {system: rows.row(system) for system in operand["each_of"]}
    if "best_of" in operand:
        return {"best": _best({system: rows.row(system) for system in operand["best_of"]}, over)}
    if "table" in operand:
        return {operand["system"]: rows.row(operand["system"], operand["table"])}
    experts = {expert: rows.row(expert) for expert in rows.experts()}
    if not experts:
        raise Undecidable(f"{rows.table} has no rows of experts")
    columns = dict.fromkeys(column for row in experts.values() for column in row)
    own: dict[str, Estimate] = {}
    foreign: dict[str, Estimate] = {}
    for column in columns:
        others = {expert: row[column] for expert, row in experts.items() if column in row}
        mine = others.pop(f"expert_{column}", None)
        if mine is None:
            raise Undecidable(f"{rows.table} has no row expert_{column}")
        if not others:
            raise Undecidable(f"{rows.table} has no expert but expert_{column}")
        own[column] = mine
        foreign[column] = max(others.values(), key=lambda estimate: estimate.value)
    if operand.get("expert_of_column"):
        return {"own": own}
    if operand.get("best_foreign_expert"):
        return {"foreign": foreign}
    raise Undecidable(f"operand {operand} is not known")


def _common(left: dict[str, Estimate], right: dict[str, Estimate]) -> list[str]:
    columns = [column for column in left if column in right]
    if not columns:
        raise Undecidable("the rows have no column in common")
    return columns


def _over_columns(over: str, signs: list[bool | None]) -> bool | None:
    """Whether every, more than half or some of the columns have the sign."""
    sure, possible = signs.count(True), len(signs) - signs.count(False)
    needed = {"every_column": len(signs), "most_columns": len(signs) // 2 + 1, "some_column": 1}[over]
    if sure >= needed:
        return True
    return False if possible < needed else None


def _has_sign(difference: Estimate, sign: str) -> bool | None:
    if sign == "+":
        return difference.is_above(0)
    return Estimate(-difference.value, -difference.high, -difference.low).is_above(0)


def _compare(name: str, left: dict, right: dict, claim: dict) -> Tested:
    columns = _common(left, right)
    over, sign = claim["over"], claim["sign"]
    differences = {column: left[column] - right[column] for column in columns}
    margin = mean([left[c] for c in columns]) - mean([right[c] for c in columns])
    shown = Comparison(name, margin.value, margin.low, margin.high, columns=len(columns))

    def decide(of: Callable[[Estimate], Estimate]) -> bool | None:
        if over == "average":
            if sign == "0":
                return of(margin).is_within(0, claim["tolerance_points"])
            return _has_sign(of(margin), sign)
        return _over_columns(over, [_has_sign(of(difference), sign) for difference in differences.values()])

    if sign != "0":
        agrees = {column: bool(_has_sign(difference.alone(), sign)) for column, difference in differences.items()}
        shown.won = [column for column, agree in agrees.items() if agree]
        shown.exceptions = [column for column, agree in agrees.items() if not agree]
    known = [margin] if over == "average" else list(differences.values())
    rule = _rule(known)
    return Tested(decide(lambda e: e), bool(decide(Estimate.alone)), [shown], rule)


def _together(parts: Iterable[Tested]) -> Tested:
    """A test whose parts all have to hold."""
    parts = list(parts)
    return Tested(
        all_of([part.verdict for part in parts]),
        all(part.by_numbers for part in parts),
        [comparison for part in parts for comparison in part.comparisons],
        min((part.rule for part in parts), key=_RULES.index),
        tuple(note for part in parts for note in part.notes),
    )


def _ordering(claim: dict, rows: Rows) -> Tested:
    left = _operands(claim["left"], rows, claim["over"])
    right = _operands(claim["right"], rows, claim["over"])
    pairs = [(a, b) for a in left for b in right if a != b]
    if not pairs:  # the same system on either side, in two tables
        pairs = [(a, b) for a in left for b in right]
    return _together(_compare(f"{a} - {b}", left[a], right[b], claim) for a, b in pairs)


def _size(claim: dict, rows: Rows) -> Tested:
    (left,) = _operands(claim["left"], rows, "average").values()
    (right,) = _operands(claim["right"], rows, "average").values()
    columns = _common(left, right)
    if claim["measure"] == "relative_gain_of_averages_percent":
        what = "relative gain of the averages"
        gain = relative_gain(mean([left[c] for c in columns]), mean([right[c] for c in columns]))
    elif claim["measure"] == "largest_relative_gain_percent":
        gains = {column: relative_gain(left[column], right[column]) for column in columns}
        gains = {column: gain for column, gain in gains.items() if gain.known}
        if not gains:
            raise Undecidable("the right row is 0 everywhere, so that there is no relative gain")
        column = max(gains, key=lambda column: gains[column].value)
        what, gain = f"largest relative gain ({column})", gains[column]
    else:
        raise Undecidable(f"measure {claim['measure']} is not known")
    if not gain.known:
        raise Undecidable("the right row is 0, so that there is no relative gain")
    expected, tolerance = claim["expected_value"], claim["tolerance"]
    return Tested(
        gain.is_within(expected, tolerance),
        bool(gain.alone().is_within(expected, tolerance)),
        [Comparison(what, gain.value, gain.low, gain.high, "percent", columns=len(columns))],
        _rule([gain]),
    )


# Trends


def _figure(base: Base, figure: str) -> list[Series]:
    if figure not in base.grids:
        raise Undecidable(f"{figure} is absent")
    found = series_of(base.grids[figure])
    if not found:
        raise Undecidable(f"{figure} has no rows like m=1 or n=1")
    return found


def _complete(curve: dict[int, Estimate], series: Series, where: str) -> dict[int, Estimate]:
    missing = [x for x in series.xs if x not in curve]
    if missing:
        raise Undecidable(f"{where} has no value at {', '.join(map(str, missing))}")
    if len(curve) < 2:
        raise Undecidable(f"{where} has a single point")
    return curve


def _curves(series: Series, over: str) -> dict[str, dict[int, Estimate]]:
    """The curves that a claim is about, by name."""
    prefix = f"{series.name}, " if series.name else ""
    if over == "average":
        if not series.targets:
            raise Undecidable("there are no targets but the pooled one")
        for target in series.targets:
            _complete(series.points[target], series, f"{prefix}{target}")
        return {f"{prefix}average": series.average()}
    if over == POOLED:
        if POOLED not in series.points:
            raise Undecidable(f"there is no column {POOLED}")
        return {f"{prefix}{POOLED}": _complete(series.points[POOLED], series, f"{prefix}{POOLED}")}
    return {
        f"{prefix}{target}": _complete(series.points[target], series, f"{prefix}{target}") for target in series.targets
    }


def _best_x(curve: dict[int, Estimate]) -> int:
    return max(curve, key=lambda x: curve[x].value)


def _expectation(name: str, curve: dict[int, Estimate], expectation: str, bound) -> Tested:
    """One member of `expect` on one curve."""
    first, last = min(curve), max(curve)
    if expectation == "best_x_in":
        inside = {x: estimate for x, estimate in curve.items() if x in bound}
        outside = {x: estimate for x, estimate in curve.items() if x not in bound}
        if not inside or not outside:
            raise Undecidable(f"{name} has no points within or none without {bound}")
        difference = inside[_best_x(inside)] - outside[_best_x(outside)]
        what = f"{name}: best at {_best_x(curve)}; {_best_x(inside)} - {_best_x(outside)}"
        verdict, numbers = difference.is_above(0), difference.alone().is_above(0)
    elif expectation in ("last_minus_first", "best_minus_first"):
        x = last if expectation == "last_minus_first" else _best_x({x: e for x, e in curve.items() if x != first})
        difference = curve[x] - curve[first]
        what = f"{name}: {x} - {first}"
        verdict, numbers = _has_sign(difference, bound), _has_sign(difference.alone(), bound)
    elif expectation in ("largest_change_below", "largest_change_above"):
        changes = {x: estimate - curve[first] for x, estimate in curve.items() if x != first}
        x = max(changes, key=lambda x: abs(changes[x].value))
        difference = changes[x]
        what = f"{name}: largest change, {x} - {first}"
        within = [change.is_within(0, bound) for change in changes.values()]
        small, numbers = all_of(within), all(change.alone().is_within(0, bound) for change in changes.values())
        verdict = small
        if expectation == "largest_change_above":
            verdict, numbers = None if small is None else not small, not numbers
    else:
        raise Undecidable(f"expectation {expectation} is not known")
    rule = _rule([difference])
    return Tested(verdict, bool(numbers), [Comparison(what, difference.value, difference.low, difference.high)], rule)


def _ranks(values: list[float]) -> list[float]:
    return [sum(other < value for other in values) + (values.count(value) - 1) / 2 for value in values]


def _correlation(left: list[float], right: list[float]) -> float:
    """Spearman's; NaN where a curve is flat."""
    a, b = _ranks(left), _ranks(right)
    centre = (len(a) - 1) / 2
    norm = math.sqrt(sum((x - centre) ** 2 for x in a) * sum((y - centre) ** 2 for y in b))
    return sum((x - centre) * (y - centre) for x, y in zip(a, b)) / norm if norm else math.nan


def _same_course(claim: dict, base: Base) -> Tested:
    averages = []
    for figure in (claim["figure"], claim["also"][0]):
        (curve,) = _curves(_figure(base, figure)[0], "average").values()
        averages.append(curve)
    xs = sorted(set(averages[0]) & set(averages[1]))
    if len(xs) < 3:
        raise Undecidable("the curves have fewer than three points in common")
    value = _correlation(*([curve[x].value for x in xs] for curve in averages))
    if math.isnan(value):
        raise Undecidable("a curve is flat, so that there is no correlation")
    holds = 0 < value < 1
    what = f"rank correlation of {claim['figure']} and {claim['also'][0]} over {len(xs)} points"
    return Tested(holds, holds, [Comparison(what, value, unit="")], "numbers")


def _trend(claim: dict, rows: Rows) -> Tested:
    base, expect, over = rows.base, claim["expect"], claim["over"]
    if "rank_correlation_of_averages" in expect:
        return _same_course(claim, base)
    parts = []
    for series in _figure(base, claim["figure"]):
        curves = _curves(series, over)
        tests = [
            [_expectation(name, curve, expectation, bound) for expectation, bound in expect.items()]
            for name, curve in curves.items()
        ]
        each = [_together(of_curve) for of_curve in tests]
        if over in ("most_columns", "every_column", "some_column"):
            together = _together(each)
            parts.append(
                Tested(
                    _over_columns(over, [test.verdict for test in each]),
                    bool(_over_columns(over, [test.by_numbers for test in each])),
                    together.comparisons,
                    together.rule,
                )
            )
        else:
            parts += each
    return _together(parts)


# Quantities that no table of the paper shows


def expert_scores(rows: Rows) -> tuple[str, dict[str, dict[str, Estimate]]]:
    """The scores of single experts by target and expert, of table 13 or else the first table with two of them."""
    grids = rows.base.grids
    for table in sorted(grids, key=lambda id_: id_ != "table13"):
        grid = grids[table]
        experts = [system for system in grid.systems if system.startswith("expert_")]
        scores = {
            target: {
                expert.removeprefix("expert_"): score.estimate
                for expert in experts
                if (score := grid.score(expert, target)) is not None and score.estimate.known
            }
            for target in grid.targets
        }
        scores = {target: its for target, its in scores.items() if len(its) > 1}
        if scores:
            return table, scores
    raise Undecidable("no table has the scores of single experts (table13)")


def _selection(rows: Rows, strategy: str, scores: dict[str, dict[str, Estimate]]) -> Selections:
    try:
        return selections_by(rows.base, strategy, {expert for its in scores.values() for expert in its})
    except NoSelection as why:
        raise Undecidable(str(why)) from why


def _most_similar(claim: dict, rows: Rows) -> Tested:
    table, scores = expert_scores(rows)
    selections = _selection(rows, "similarity", scores)
    selection = selections.rows
    comparisons, signs, numbers, differences = [], [], [], []
    for target, its in scores.items():
        here = selection[(selection["target"] == target) & selection["expert"].isin(its)]
        similarity = here.groupby("expert")["similarity"].mean().dropna()
        if len(similarity) < 2:
            continue
        near, best = similarity.idxmax(), max(similarity.index, key=lambda expert: its[expert].value)
        difference = its[best] - its[near] if near != best else Estimate.exact(0)
        differences.append(difference)
        signs.append(difference.is_above(0))
        numbers.append(bool(difference.alone().is_above(0)))
        what = f"{target}: {best} (best) - {near} (most similar)"
        comparisons.append(Comparison(what, difference.value, difference.low, difference.high))
    if not comparisons:
        raise Undecidable("no target has similarities of experts whose scores are known")
    verdict = _over_columns("some_column", signs)
    return Tested(verdict, any(numbers), comparisons, _rule(differences), (f"scores of {table}", *selections.remarks))


def _stronger_singles(claim: dict, rows: Rows) -> Tested:
    table, scores = expert_scores(rows)
    means: dict[str, dict[str, Estimate]] = {"sampling": {}, "similarity": {}}
    sets: dict[str, dict[str, list[str]]] = {"sampling": {}, "similarity": {}}
    remarks = []
    for strategy, by_target in means.items():
        selections = _selection(rows, strategy, scores)
        remarks += selections.remarks
        chosen = selections.rows[selections.rows["chosen"] > 0]
        for target, its in scores.items():
            experts = sorted(set(chosen.loc[chosen["target"] == target, "expert"]) & set(its))
            if experts:
                by_target[target] = mean([its[expert] for expert in experts])
                sets[strategy][target] = experts
    columns = _common(means["sampling"], means["similarity"])
    if all(sets["sampling"][target] == sets["similarity"][target] for target in columns):
        raise Undecidable("both strategies chose the same experts on every target")
    left, right = ({target: its[target] for target in columns} for its in means.values())
    tested = _compare("picked by sampling - by similarity", left, right, {"over": "average", "sign": "+"})
    notes = (f"scores of {table}", *remarks)
    return Tested(tested.verdict, tested.by_numbers, tested.comparisons, tested.rule, notes)


def _unreadable(rows: Rows, system: str) -> float:
    cells = rows.base.cells_of("table07", system)
    if not len(cells) or not {"unparsable", "sentences"} <= set(cells.columns):
        raise Undecidable(f"/cells has no row {system} of table07")
    passes = _passes(cells) if "predictions" in cells else 1
    answers = float((cells["sentences"] * passes).sum())
    if not answers:
        raise Undecidable(f"{system} has no answers")
    return float(cells["unparsable"].sum()) / answers


def _linear_format(claim: dict, rows: Rows) -> Tested:
    shares = {system: _unreadable(rows, system) for system in ("sam_linear", "sam", "sam_dare_linear", "sam_dare_ties")}
    linear = shares["sam_linear"]
    holds = linear >= LOST_SHARE and all(
        linear >= LOST_RATIO * share for system, share in shares.items() if system != "sam_linear"
    )
    comparisons = [
        Comparison(f"unreadable answers of {system}", 100 * share, unit="percent") for system, share in shares.items()
    ]
    return Tested(holds, holds, comparisons, "numbers")


def _passes(cells):
    """How many decoding passes each row of /cells used."""
    return cells["predictions"].map(lambda keys: len(str(keys).split()))


def passes_of(base: Base, table: str, system: str) -> float:
    """The mean number of decoding passes over a row's cells; NaN where /cells does not tell."""
    cells = base.cells_of(table, system)
    if not len(cells) or "predictions" not in cells:
        return math.nan
    passes = _passes(cells)
    return float(passes[passes > 0].mean()) if (passes > 0).any() else math.nan


def _cost_order(claim: dict, rows: Rows) -> Tested:
    sources = {
        "unified": (("table14", "unified"), ("table01", "unified")),
        "sam_eco": (("table14", "sam_eco"), ("table15", "single_union"), ("table03", "single_union")),
        "sam": (("table14", "sam"), ("table01", "sam"), ("table08", "sam")),
        "vote_experts": (("table08", "vote_experts"),),
    }
    passes = {}
    for system, places in sources.items():
        known = [value for place in places if not math.isnan(value := passes_of(rows.base, *place))]
        if not known:
            raise Undecidable(f"/cells has no passes of {system} ({' or '.join(table for table, _ in places)})")
        passes[system] = known[0]
    holds = passes["unified"] == passes["sam_eco"] < passes["sam"] < passes["vote_experts"]
    comparisons = [Comparison(f"passes of {system}", value, unit="") for system, value in passes.items()]
    return Tested(holds, holds, comparisons, "numbers")


def storage_of(base: Base) -> float:
    """Bytes of an expert's adapter to those of the base model, the largest of the runs; NaN where none tells."""
    resources = base.rows("resources")
    if resources is None or not {"quantity", "measured"} <= set(resources.columns):
        return math.nan
    return float(resources["measured"][resources["quantity"] == "storage_per_expert"].max())


def _storage(claim: dict, rows: Rows) -> Tested:
    share = storage_of(rows.base)
    if math.isnan(share):
        raise Undecidable("/resources has no sizes of adapters and base model")
    holds = share <= MOST_STORAGE
    return Tested(holds, holds, [Comparison("an adapter to the base model", 100 * share, unit="percent")], "numbers")


def changes_by_sentence(selection: pd.DataFrame, strategy: str) -> dict[str, float]:
    """How much the chosen set changes with the one sentence that is seen, by the texts it is drawn from: the mean over
    pairs of trials of the share of experts that only one of both has, in [0, 1]. Three experts, of the largest pool."""
    found: dict[str, dict[str, frozenset[str]]] = {}
    sizes: dict[str, int] = {}
    rows = selection[(selection["strategy"] == strategy) & (selection["m"] == _M_OF_TRIALS) & (selection["rule"] == "")]
    if "answers" in rows:
        rows = rows[rows["answers"] <= 1]
    for (dataset, _), lines in rows.groupby(["dataset", "key"], sort=False):
        texts, trial, _ = dataset.partition(" (sentence of trial ")
        if not trial or len(lines) < sizes.get(dataset, 0):
            continue
        sizes[dataset] = len(lines)
        found.setdefault(texts, {})[dataset] = frozenset(lines.loc[lines["chosen"] > 0, "expert"])
    changes = {}
    for texts, sets in found.items():
        pairs = list(itertools.combinations(sets.values(), 2))
        if pairs:
            changes[texts] = sum(1 - len(a & b) / _M_OF_TRIALS for a, b in pairs) / len(pairs)
    return changes


def _tiny_sample(claim: dict, rows: Rows) -> Tested:
    selection = rows.base.rows("selection")
    if selection is None or not {"dataset", "key", "strategy", "m", "rule", "expert", "chosen"} <= set(selection.columns):
        raise Undecidable("/selection has no selections of several trials of one sentence")
    by_similarity, by_sampling = (changes_by_sentence(selection, name) for name in ("similarity", "sampling"))
    common = _common(by_similarity, by_sampling)
    left, right = (
        Estimate.paired(100 * float(np.mean(values)), None, tuple(100 * value for value in values))
        for values in ([its[name] for name in common] for its in (by_similarity, by_sampling))
    )
    margin = left - right
    comparisons = [
        Comparison("experts that change, by similarity", left.value, left.low, left.high, columns=len(common), unit="percent"),
        Comparison("by similarity - by sampling", margin.value, margin.low, margin.high, columns=len(common), unit="percent"),
    ]
    verdict = all_of([left.is_above(0), margin.is_above(0)])
    numbers = bool(left.alone().is_above(0) and margin.alone().is_above(0))
    return Tested(verdict, numbers, comparisons, _rule([left, margin]), ("one sentence of each target; over targets",))


_UNPUBLISHED: dict[str, Callable[[dict, Rows], Tested]] = {
    "most_similar_not_always_best": _most_similar,
    "sampling_picks_stronger_singles": _stronger_singles,
    "tiny_sample_unstable": _tiny_sample,
    "linear_loses_format": _linear_format,
    "few_percent_of_storage": _storage,
    "inference_cost_order": _cost_order,
}


def _unpublished(claim: dict, rows: Rows) -> Tested:
    test = _UNPUBLISHED.get(claim["id"])
    if test is None:
        raise Undecidable("there is no test of this quantity")
    return test(claim, rows)


_KINDS: dict[str, Callable[[dict, Rows], Tested]] = {
    "ordering": _ordering,
    "size": _size,
    "trend": _trend,
    "unpublished": _unpublished,
}


def evaluate(claim: dict, base: Base, paper: Paper) -> Outcome:
    """Tests a claim on a base: on its own table, or else on the first of those that show the same."""
    test = _KINDS.get(claim["kind"])
    if test is None:
        return Outcome(base.name, UNDECIDED, None, reason=f"there is no test of kind {claim['kind']}")
    main = claim.get("table") or claim.get("figure") or ""
    others = claim.get("also", ()) if claim["kind"] in ("ordering", "size") else ()
    why = ""
    for table in (main, *(other for other in others if other in base.grids)):
        rows = Rows(base, paper, table)
        try:
            return _outcome(test(claim, rows), rows)
        except Undecidable as reason:
            why = why or str(reason)
    return Outcome(base.name, UNDECIDED, None, table=main, reason=why)


def _outcome(tested: Tested, rows: Rows) -> Outcome:
    notes = [*tested.notes, *dict.fromkeys(rows.notes)]
    grid, printed = rows.base.grids.get(rows.table), rows.paper.tables.get(rows.table)
    if grid is not None and printed is not None:
        there = [column for column in printed.columns if column in grid.targets]
        if len(there) < len(printed.columns):
            notes.append(f"on {len(there)} of {len(printed.columns)} targets")
    return Outcome(
        rows.base.name,
        {True: HOLDS, False: FAILS, None: UNDECIDED}[tested.verdict],
        tested.by_numbers,
        tested.rule,
        rows.table,
        "" if tested.verdict is not None else "an interval covers the bound",
        notes,
        tested.comparisons,
    )


def evaluate_all(bases: list[Base], paper: Paper) -> dict[str, list[Outcome]]:
    """Tests all claims on all bases; by the claim's id, in the order of claims.yaml."""
    return {claim["id"]: [evaluate(claim, base, paper) for base in bases] for claim in paper.claims}


def as_json(claims: list[dict], outcomes: dict[str, list[Outcome]]) -> list[dict]:
    """What claims.json holds. Numbers that are not known are null."""

    def plain(value):
        if isinstance(value, float):
            return None if math.isnan(value) else round(value, 6)
        if isinstance(value, dict):
            return {key: plain(member) for key, member in value.items()}
        return [plain(member) for member in value] if isinstance(value, list) else value

    return [
        {
            "id": claim["id"],
            "kind": claim["kind"],
            "statement": claim["statement"],
            "claimed_by_paper": claim["claimed_by_paper"],
            "in_paper": claim["in_paper"]["holds"],
            "runs": [plain(asdict(outcome)) for outcome in outcomes[claim["id"]]],
        }
        for claim in claims
    ]
