"""Curves of F1 over m or n, from systems that are named `m=1`, `n=2`, `sam n=2` …"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from samner_analysis.estimate import Estimate, mean
from samner_analysis.runs import Grid

POOLED = "pooled"  #: the column of all targets taken as one
_SYSTEM = re.compile(r"(?:(?P<before>.+?)[\s_,:/-]+)?[mn]=(?P<x>\d+)(?:[\s_,:/-]+(?P<after>.+))?")


@dataclass
class Series:
    """One curve a target."""

    name: str  #: "" where a figure has one series
    points: dict[str, dict[int, Estimate]] = field(default_factory=dict)  #: by target, by x; only known values
    xs: list[int] = field(default_factory=list)  #: that the grid has, in order

    @property
    def targets(self) -> list[str]:
        return [target for target in self.points if target != POOLED]

    def average(self) -> dict[int, Estimate]:
        """The mean of the targets at each x at which every target has a value."""
        return {
            x: mean([self.points[target][x] for target in self.targets])
            for x in self.xs
            if self.targets and all(x in self.points[target] for target in self.targets)
        }


def series_of(grid: Grid) -> list[Series]:
    """The series of a figure's grid, in the order of its rows."""
    found: dict[str, Series] = {}
    for system in grid.systems:
        match = _SYSTEM.fullmatch(system)
        if not match:
            continue
        name = match["before"] or match["after"] or ""
        series = found.setdefault(name, Series(name, {target: {} for target in grid.targets}))
        x = int(match["x"])
        series.xs.append(x)
        for target in grid.targets:
            score = grid.score(system, target)
            if score is not None and score.estimate.known:
                series.points[target][x] = score.estimate
    for series in found.values():
        series.xs.sort()
    return list(found.values())
