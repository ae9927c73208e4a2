"""The figures of runs as PNG and SVG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from samner_analysis.claims import Rows, Undecidable, expert_scores
from samner_analysis.domains import domain_map, points_of, said_of
from samner_analysis.estimate import Estimate
from samner_analysis.paper import Paper
from samner_analysis.runs import Base
from samner_analysis.selections import NoSelection, selections_by
from samner_analysis.series import POOLED, Series, series_of
from samner_analysis.tables import sampled_rows

CURVES = ("figure03", "figure04", "figure05", "figure09", "figure10", "figure11", "figure12")
PRINTED = "paper (printed)"
_COLOURS = matplotlib.colormaps["tab10"].colors
_STYLE = {
    "svg.hashsalt": "samner",  # the same file from the same numbers
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
}


def _save(figure: Figure, folder: Path, name: str) -> list[Path]:
    FigureCanvasAgg(figure)
    paths = [folder / f"{name}.png", folder / f"{name}.svg"]
    figure.savefig(paths[0], dpi=130)
    figure.savefig(paths[1], metadata={"Date": None})
    return paths


def _panels(count: int, title: str, width: float = 5.0, height: float = 4.0) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(width * count + 1.2, height), layout="constrained")
    figure.suptitle(title, fontsize=10)
    return figure, list(figure.subplots(1, count, squeeze=False)[0])


class _Colours:
    """A colour a name, the same in all panels of a figure."""

    def __init__(self):
        self._places: dict[str, int] = {}

    def __getitem__(self, name: str):
        return _COLOURS[self._places.setdefault(name, len(self._places)) % len(_COLOURS)]


def _legend(figure: Figure, axes: Sequence[Axes]) -> None:
    """One legend for all panels, beside them."""
    entries: dict[str, object] = {}
    for ax in axes:
        for handle, label in zip(*ax.get_legend_handles_labels()):
            entries.setdefault(label, handle)
    figure.legend(list(entries.values()), list(entries), loc="outside right center", fontsize=7, frameon=False)


def _errors(points: dict[int, Estimate]) -> np.ndarray | None:
    """Sides of the intervals as errorbar takes them; a point without one has none."""
    sides = np.array([[point.below, point.above] for point in points.values()]).T
    return None if np.isnan(sides).all() else np.nan_to_num(sides)


def _curve(axes: Axes, points: dict[int, Estimate], label: str, shift: float = 0.0, **style) -> None:
    if not points:
        return
    xs = np.array(list(points)) + shift
    values = [point.value for point in points.values()]
    axes.errorbar(xs, values, yerr=_errors(points), label=label, capsize=2, marker="o", **style)


def _anchors(axes: Axes, anchors: Sequence[dict], bases: Sequence[str]) -> None:
    markers = {"llama": "*", "qwen": "D"}
    for base in bases:
        points = [(anchor["x"], anchor["average"][base]) for anchor in anchors if base in anchor.get("average", {})]
        if points:
            xs, ys = zip(*points)
            axes.scatter(xs, ys, marker=markers[base], s=60, facecolors="none", edgecolors="black", zorder=5,
                         label=f"paper's average ({base})")  # fmt: skip


def _draw_series(axes: Axes, series: Series, colours: _Colours) -> None:
    several = len(series.targets) > 1
    for place, target in enumerate(series.targets):
        shift = 0.03 * (place - (len(series.targets) - 1) / 2)
        _curve(axes, series.points[target], target, shift, color=colours[target], linewidth=1, markersize=3, alpha=0.8,
               elinewidth=0.6)  # fmt: skip
    if several:
        _curve(axes, series.average(), "average", color="black", linewidth=2.2, markersize=4)
    _curve(axes, series.points.get(POOLED, {}), POOLED, color="tab:red" if several else "black", linewidth=2.2,
           linestyle="--", markersize=4)  # fmt: skip
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def draw_curves(name: str, bases: list[Base], paper: Paper, folder: Path) -> tuple[list[Path], list[str]]:
    """A figure over m or n, a panel a base and series. Returns its files and remarks; no files without curves."""
    about = paper.figures.get(name, {})
    panels, remarks = [], []
    for base in bases:
        if name not in base.grids:
            continue
        found = series_of(base.grids[name])
        if not found:
            remarks.append(f"{base.name} has no rows like m=1 or n=1")
        for series in found:
            empty = [target for target, points in series.points.items() if not points]
            if empty:
                remarks.append(f"{', '.join(filter(None, (base.name, series.name)))}: no value on {', '.join(empty)}")
            panels.append((base, series))
    if not panels:
        return [], remarks
    figure, axes = _panels(len(panels), f"{name}: {about.get('title', '')}")
    colours = _Colours()
    for ax, (base, series) in zip(axes, panels):
        _draw_series(ax, series, colours)
        _anchors(ax, about.get("anchors", ()), base.paper_bases)
        ax.set_title(", ".join(filter(None, (base.name, series.name))), fontsize=9)
        ax.set_xlabel(about.get("x", "x").split(" (")[0])
        ax.set_ylabel("entity micro-F1, percent")
    _legend(figure, axes)
    anchors = about.get("anchors", ())
    if anchors:
        remarks.append("the paper's curves are an image: its marks are averages that must equal cells of its tables")
    return _save(figure, folder, name), remarks


def draw_shares(bases: list[Base], paper: Paper, folder: Path) -> tuple[list[Path], list[str]]:
    """Figure 6: the share of each domain in the sampled data, of the runs that have /data, beside the printed ones."""
    printed = {row["domain"]: row["share_percent"] for row in paper.figures["figure06"]["rows"]}
    bars: list[tuple[str, dict[str, float]]] = []
    for base in bases:
        data = sampled_rows(base)
        if data is not None and data["sampled"].sum() > 0:
            sums = data.groupby("expert")["sampled"].sum()
            bars.append((base.name, {str(key): float(value) for key, value in (100 * sums / sums.sum()).items()}))
    remarks = [] if bars else ["no run has /data: the bars are the paper's printed values"]
    bars.append((PRINTED, printed))
    domains = list(dict.fromkeys(domain for _, shares in bars for domain in shares))
    title = "figure06: share of each domain in the training data"
    figure, (axes,) = _panels(1, title if len(bars) > 1 else f"{title} (printed values)", 6.5)
    width, colours = 0.8 / len(bars), _Colours()
    for place, (name, shares) in enumerate(bars):
        xs = np.arange(len(domains)) + (place - (len(bars) - 1) / 2) * width
        heights = [shares.get(domain, 0.0) for domain in domains]
        colour = "lightgrey" if name == PRINTED else colours[name]
        drawn = axes.bar(xs, heights, width, label=name, color=colour, edgecolor="grey")
        axes.bar_label(drawn, fmt="%.1f", fontsize=7)
    axes.set_xticks(np.arange(len(domains)), [domain.replace("_", " ") for domain in domains], rotation=20)
    axes.set_ylabel("share of the sampled instances, percent")
    axes.grid(axis="x", visible=False)
    _legend(figure, [axes])
    return _save(figure, folder, "figure06"), remarks


def draw_training(bases: list[Base], folder: Path) -> list[Path]:
    """The loss of every training over its steps (/experts); no files where no run has it."""
    panels = [(base, rows) for base in bases if (rows := base.rows("experts")) is not None
              and {"expert", "step", "loss"} <= set(rows.columns)]  # fmt: skip
    if not panels:
        return []
    figure, axes = _panels(len(panels), "loss in training (answer tokens, nats)")
    colours = _Colours()
    for ax, (base, rows) in zip(axes, panels):
        keys = ["expert", "key"] if "key" in rows else ["expert"]
        for (expert, *_), steps in rows.groupby(keys, sort=False):
            steps = steps.drop_duplicates("step").sort_values("step")
            ax.plot(steps["step"], steps["loss"], label=expert, color=colours[expert], linewidth=1.2)
        ax.set_title(base.name, fontsize=9)
        ax.set_xlabel("step")
        ax.set_ylabel("mean cross-entropy")
    _legend(figure, axes)
    return _save(figure, folder, "training")


def draw_similarity(bases: list[Base], paper: Paper, folder: Path) -> tuple[list[Path], list[str]]:
    """Each expert's similarity to a target against its F1 there (table 13); filled: chosen by similarity."""
    panels, remarks = [], []
    for base in bases:
        try:
            table, scores = expert_scores(Rows(base, paper, "table13"))
            scored = {expert for its in scores.values() for expert in its}
            selections = selections_by(base, "similarity", scored)
        except (Undecidable, NoSelection) as why:
            remarks.append(f"{base.name}: {why}")
            continue
        points = points_of(selections.rows, scores)
        if not points:
            remarks.append(f"{base.name}: no target has both similarities and scores")
            continue
        remarks += [f"{base.name}: {remark}" for remark in (*selections.remarks, *said_of(points))]
        panels.append((base, table, points))
    if not panels:
        return [], remarks
    figure, axes = _panels(len(panels), "similarity of an expert's domain and its F1 (filled: chosen by similarity)")
    colours = _Colours()
    for ax, (base, table, points) in zip(axes, panels):
        for target, its in points.items():
            for point in its:
                ax.errorbar(point.similarity, point.f1.value, yerr=_errors({0: point.f1}), marker="o", capsize=2,
                            color=colours[target], elinewidth=0.6,
                            markerfacecolor=colours[target] if point.chosen else "none")  # fmt: skip
                ax.annotate(point.expert.replace("_", " "), (point.similarity, point.f1.value), xytext=(4, 3),
                            textcoords="offset points", fontsize=6, color=colours[target])  # fmt: skip
            ax.plot([], [], "o", color=colours[target], label=target)
        ax.set_title("\n".join((f"{base.name} ({table})", *said_of(points)[:2])), fontsize=8)
        ax.set_xlabel("cosine similarity")
        ax.set_ylabel("entity micro-F1, percent")
    _legend(figure, axes)
    return _save(figure, folder, "similarity"), remarks


def draw_map(bases: list[Base], folder: Path) -> tuple[list[Path], list[str]]:
    """Experts and targets by their embeddings (/embeddings), in the two directions in which these differ most."""
    panels, remarks = [], []
    for base in bases:
        rows = base.rows("embeddings")
        if rows is None:
            remarks.append(f"{base.name} has no /embeddings")
            continue
        places, notes = domain_map(rows)
        remarks += [f"{base.name}: {note}" for note in notes]
        if places is not None:
            panels.append((base, places))
    if not panels:
        return [], remarks
    figure, axes = _panels(len(panels), "domains by the mean embeddings of their texts", 6.0, 5.0)
    looks = {"expert": ("o", "tab:blue"), "target": ("*", "tab:red")}
    for ax, (base, places) in zip(axes, panels):
        for kind, (marker, colour) in looks.items():
            here = [place for place in places.points if place.kind == kind]
            ax.scatter([p.x for p in here], [p.y for p in here], marker=marker, color=colour, s=45, label=kind)
            for name in dict.fromkeys(place.name for place in here):
                middle = np.mean([(place.x, place.y) for place in here if place.name == name], axis=0)
                text = name if len(name) < 25 else f"{name[:10]}…{name[-10:]}"
                ax.annotate(text.replace("_", " "), middle, xytext=(5, 4), fontsize=7, textcoords="offset points",
                            color=colour)  # fmt: skip
        ax.set_title(base.name, fontsize=9)
        ax.set_xlabel(f"first principal component ({places.shares[0]:.0%} of the variance)")
        ax.set_ylabel(f"second ({places.shares[1]:.0%})")
        ax.margins(0.15)
    _legend(figure, axes)
    return _save(figure, folder, "map"), remarks


def style():
    """The look of all figures, as a context."""
    return matplotlib.rc_context(_STYLE)
