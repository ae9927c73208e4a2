"""How domains lie to each other, and what their similarity says of an expert's F1."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from samner_analysis.estimate import Estimate

RESAMPLES = 1000


@dataclass(frozen=True)
class Point:
    """An expert on a target."""

    expert: str
    similarity: float  #: cosine of the domains; the mean over seeds
    f1: Estimate
    chosen: bool  #: by the selection, with any seed


def points_of(selections: pd.DataFrame, scores: Mapping[str, Mapping[str, Estimate]]) -> dict[str, list[Point]]:
    """By target, of the experts that have both a similarity (/selection) and a score."""
    points: dict[str, list[Point]] = {}
    for target, its in scores.items():
        here = selections[(selections["target"] == target) & selections["expert"].isin(its)]
        for expert, lines in here.dropna(subset=["similarity"]).groupby("expert", sort=True):
            chosen = bool((lines["chosen"] > 0).any())
            point = Point(str(expert), float(lines["similarity"].mean()), its[expert], chosen)
            points.setdefault(target, []).append(point)
    return points


def pearson(x: np.ndarray, y: np.ndarray) -> float:
    """NaN where one of them is constant."""
    x, y = x - x.mean(), y - y.mean()
    norm = np.sqrt((x @ x) * (y @ y))
    return float(x @ y / norm) if norm > 0 else np.nan


def spearman(x: np.ndarray, y: np.ndarray) -> float:
    """Pearson's of the ranks; equal values share the mean of theirs."""
    return pearson(*(pd.Series(values).rank().to_numpy() for values in (x, y)))


def correlation(points: Mapping[str, Sequence[Point]], of: Callable[[np.ndarray, np.ndarray], float]) -> Estimate:
    """Of similarity and F1 over all pairs, with a 95 % interval by drawing targets with replacement: the pairs of a
    target are not independent. Without an interval for fewer than three targets."""
    targets = [(np.array([p.similarity for p in its]), np.array([p.f1.value for p in its])) for its in points.values()]

    def over(chosen: Sequence[tuple[np.ndarray, np.ndarray]]) -> float:
        return of(*(np.concatenate(values) for values in zip(*chosen)))

    value = over(targets)
    if len(targets) < 3 or np.isnan(value):
        return Estimate(value)
    rng = np.random.default_rng(0)
    draws = [over([targets[i] for i in rng.integers(0, len(targets), len(targets))]) for _ in range(RESAMPLES)]
    known = [draw for draw in draws if not np.isnan(draw)]
    return Estimate(value, *map(float, np.percentile(known, (2.5, 97.5))))


def said_of(points: Mapping[str, Sequence[Point]]) -> list[str]:
    """The correlations in words: of all pairs by Pearson and by Spearman, then Spearman's within each target."""
    pairs = sum(map(len, points.values()))
    said = []
    for name, of in (("Pearson", pearson), ("Spearman", spearman)):
        found = correlation(points, of) if pairs > 2 else Estimate(np.nan)
        if not found.known:
            said.append(f"{name}: none, of {pairs} pairs")
            continue
        interval = f" [{found.low:.2f}, {found.high:.2f}]" if found.has_interval else ""
        said.append(f"{name} {found.value:.2f}{interval} of {pairs} pairs on {len(points)} targets")
    within = {
        target: spearman(np.array([p.similarity for p in its]), np.array([p.f1.value for p in its]))
        for target, its in points.items()
        if len(its) > 2
    }
    within = {target: value for target, value in within.items() if not np.isnan(value)}
    if within:
        each = ", ".join(f"{target} {value:.2f}" for target, value in within.items())
        said.append(f"Spearman within targets: {each}; their mean {np.mean(list(within.values())):.2f}")
    if len(points) > 2:
        said.append("[low, high]: 95 % interval, by drawing targets")
    return said


@dataclass(frozen=True)
class Place:
    name: str
    kind: str  #: expert, target
    x: float
    y: float


@dataclass(frozen=True)
class Map:
    points: list[Place]
    shares: tuple[float, float]  #: of the variance, by axis


def domain_map(embeddings: pd.DataFrame) -> tuple[Map | None, list[str]]:
    """Two principal components of the embeddings, each of length 1 as for a cosine. The largest weight of an axis is
    positive. Also remarks; no map for fewer than three embeddings, or of several encoders."""
    embeddings = embeddings.drop_duplicates(["kind", "name", "key"]).sort_values(["kind", "name", "key"])
    if embeddings["vector"].map(len).nunique() > 1:
        return None, ["its embeddings are of several encoders"]
    vectors = np.array([vector / max(np.linalg.norm(vector), 1e-12) for vector in embeddings["vector"].map(np.float64)])
    if len(vectors) < 3 or vectors.shape[1] < 2:
        return None, ["fewer than three embeddings"]
    matrix = vectors - vectors.mean(axis=0)
    _, sizes, axes = np.linalg.svd(matrix, full_matrices=False)
    axes = axes[:2] * np.sign([axis[np.argmax(np.abs(axis))] for axis in axes[:2]])[:, None]
    places = [
        Place(str(name), str(kind), *map(float, axes @ row))
        for name, kind, row in zip(embeddings["name"], embeddings["kind"], matrix)
    ]
    total = float((sizes**2).sum()) or 1.0
    twice = embeddings["name"][embeddings.duplicated(["kind", "name"])].unique()
    remarks = [f"several points have the name {', '.join(twice)}: of other seeds, or of other data in another pool"]
    return Map(places, (float(sizes[0] ** 2) / total, float(sizes[1] ** 2) / total)), remarks if len(twice) else []
