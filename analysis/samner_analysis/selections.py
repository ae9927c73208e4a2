"""Selections of experts, as /selection has them. A run may have several by one strategy: they are told apart here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

import pandas as pd

from samner_analysis.runs import Base

_NEEDED = {"target", "strategy", "expert", "similarity", "chosen"}
_PAPER_M, _PAPER_K = 3, 10


class NoSelection(Exception):
    """There is none, or they cannot be told apart; the message says why."""


@dataclass(frozen=True)
class Kind:
    """What selections of all targets have in common."""

    strategy: str
    m: int | None  #: that are chosen; None: a rule says how many
    rule: str  #: gap, mean; empty: a number
    k: int  #: sentences that are sampled; 0: none
    pool: tuple[str, ...]  #: candidates

    def __str__(self) -> str:
        many = f"m by the rule {self.rule}" if self.rule else f"m = {self.m}" if self.m else "m not stored"
        return f"{self.strategy}, {many}{f', k = {self.k}' if self.k else ''}, of {len(self.pool)} experts"


@dataclass(frozen=True)
class Selections:
    """Those of one kind, a line a candidate; of several seeds one below the other."""

    kind: Kind
    rows: pd.DataFrame
    others: tuple[Kind, ...]  #: that the runs have by this strategy, too, and that are left out

    @property
    def remarks(self) -> list[str]:
        said = [f"selections by {self.kind}"]
        if self.others:
            pools = Counter(map(str, self.others))
            texts = [text + (f" ({count} pools)" if count > 1 else "") for text, count in pools.items()]
            said.append(f"left out: selections by {'; '.join(texts)}")
        return said


def _by_kind(rows: pd.DataFrame) -> dict[Kind, pd.DataFrame]:
    """Selections of whole targets: those of single sentences and of parts of a target have no name there."""
    rows = rows[rows["target"] != ""]
    if "key" in rows and rows["key"].notna().all():
        rows = rows.drop_duplicates(["key", "expert"])  # one that several runs have
        groups = ["key", "target"]
    else:  # of an earlier version
        groups = [name for name in ("rule", "m", "k") if name in rows] + ["target"]
    found: dict[Kind, list[pd.DataFrame]] = {}
    for _, lines in rows.groupby(groups, sort=False):
        if lines["expert"].duplicated().any():
            raise NoSelection(
                "this results.h5 does not tell selections of one strategy apart: make it anew by `samner report RUN`"
            )
        first = lines.iloc[0]
        rule = str(first.get("rule", ""))
        m = None if rule or "m" not in lines else int(first["m"])
        kind = Kind(first["strategy"], m, rule, int(first.get("k", 0)), tuple(sorted(lines["expert"])))
        found.setdefault(kind, []).append(lines)
    return {kind: pd.concat(parts, ignore_index=True) for kind, parts in found.items()}


def selections_by(base: Base, strategy: str, scored: Collection[str] = ()) -> Selections:
    """The selections by a strategy of one kind. Of several kinds that with most experts among `scored`, and then the
    one next to the paper's: no rule, three experts, ten sentences, no other candidates. Raises NoSelection."""
    selection = base.rows("selection")
    if selection is None or not set(selection.columns) >= _NEEDED:
        raise NoSelection("/selection is absent")
    kinds = _by_kind(selection[selection["strategy"] == strategy])
    if not kinds:
        raise NoSelection(f"/selection has none by {strategy}")

    def distance(kind: Kind) -> tuple:
        among = len(set(kind.pool) & set(scored))
        m, k = kind.m or _PAPER_M, kind.k or _PAPER_K
        far = (abs(m - _PAPER_M), abs(k - _PAPER_K), len(kind.pool) - among)
        return -among, kind.rule != "", *far, str(kind), kind.pool

    first, *others = sorted(kinds, key=distance)
    return Selections(first, kinds[first], tuple(others))
