"""Runs as they are stored (RUN/results.h5), and joined by base model."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import yaml

from samner_analysis.errors import UserError
from samner_analysis.estimate import NAN, UNKNOWN, Estimate, deviation, half_width
from samner_analysis.resample import Sentences

_PAPER_ID = re.compile(r"((?:table|figure)\d\d)(?:_(.+))?")
_POINT = re.compile(r"[mn]=\d+")


@dataclass(frozen=True)
class Score:
    """What a grid has for a system on a target, over all seeds."""

    status: str  #: done, or the status of the first seed that is not
    estimate: Estimate = UNKNOWN  #: F1 in percent, the mean over seeds
    deviation: float = NAN  #: over seeds, or over trials where there is one seed
    seeds: int = 1
    seeds_done: int = 0
    trials: int = 0


@dataclass
class Grid:
    """A table of F1 values of one base model."""

    systems: list[str] = field(default_factory=list)
    targets: list[str] = field(default_factory=list)
    scores: dict[tuple[str, str], Score] = field(default_factory=dict)
    origins: list[str] = field(default_factory=list)  #: RUN: EXPERIMENT

    def score(self, system: str, target: str) -> Score | None:
        return self.scores.get((system, target))

    def add(self, other: Grid) -> list[str]:
        """Takes the rows and columns that are not there or have no value. Returns what both have and differ in."""
        differing = []
        for (system, target), score in other.scores.items():
            mine = self.scores.get((system, target))
            if mine is None or (not mine.estimate.known and score.estimate.known):
                self.scores[system, target] = score
            elif score.estimate.known and abs(score.estimate.value - mine.estimate.value) > 1e-6:
                differing.append(f"{system} on {target}")
        self.systems += [system for system in other.systems if system not in self.systems]
        self.targets += [target for target in other.targets if target not in self.targets]
        self.origins += other.origins
        return differing


@dataclass(frozen=True)
class Run:
    """What one results.h5 holds. Tables that it lacks are None."""

    path: str  #: as the user named it
    base: str  #: as the run names it, often a folder; empty: not said
    grids: dict[str, Grid]  #: by experiment
    cells: pd.DataFrame | None
    experts: pd.DataFrame | None
    selection: pd.DataFrame | None
    data: pd.DataFrame | None
    provenance: dict[str, str]
    resources: pd.DataFrame | None = None
    by_sentence: bool = False  #: it has the counts of each sentence
    embeddings: pd.DataFrame | None = None  #: `vector` has an array a line
    cost: pd.DataFrame | None = None


@dataclass
class Base:
    """All that is known of one base model, from one or several runs."""

    name: str
    paper: str | None  #: llama, qwen; None: none of the paper's
    runs: list[Run]
    grids: dict[str, Grid] = field(default_factory=dict)
    experiments: dict[str, set[str]] = field(default_factory=dict)  #: what a grid was made from
    warnings: list[str] = field(default_factory=list)

    @property
    def paper_bases(self) -> tuple[str, ...]:
        """The paper's bases beside whose values this one is shown."""
        return (self.paper,) if self.paper else ("llama", "qwen")

    def rows(self, table: str) -> pd.DataFrame | None:
        """/cells, /experts, /selection, /data, /resources, /embeddings or /cost of all runs, one below the other; None
        where no run has it."""
        frames = [frame for run in self.runs if (frame := getattr(run, table)) is not None and len(frame)]
        return pd.concat(frames, ignore_index=True) if frames else None

    def cells_of(self, table: str, system: str) -> pd.DataFrame:
        """The rows of /cells behind a row of a table; without rows where there are none."""
        cells = self.rows("cells")
        if cells is None or not {"experiment", "system"} <= set(cells.columns):
            return pd.DataFrame()
        return cells[cells["experiment"].isin(self.experiments.get(table, ())) & (cells["system"] == system)]


def paper_id(experiment: str) -> str:
    """The table or figure that an experiment belongs to: table04 for table04_nine; else its own name."""
    match = _PAPER_ID.fullmatch(experiment)
    return match[1] if match else experiment


def _named_apart(grid: Grid, experiment: str) -> Grid:
    """The grid with its points named after the experiment where it is a part of a figure: figure05_sam's `n=2` becomes
    `sam n=2`, since other parts have points of that name."""
    match = _PAPER_ID.fullmatch(experiment)
    if not match or not match[2] or not experiment.startswith("figure"):
        return grid

    def renamed(system: str) -> str:
        return f"{match[2]} {system}" if _POINT.fullmatch(system) else system

    scores = {(renamed(system), target): score for (system, target), score in grid.scores.items()}
    return Grid([renamed(system) for system in grid.systems], grid.targets, scores, grid.origins)


def _values(dataset: h5py.Dataset) -> np.ndarray:
    return dataset.asstr()[()] if h5py.check_string_dtype(dataset.dtype) else dataset[()]


def _frame(file: h5py.File, group: str) -> pd.DataFrame | None:
    if not isinstance(file.get(group), h5py.Group):
        return None
    columns = {
        name: _values(dataset)
        for name, dataset in file[group].items()
        if isinstance(dataset, h5py.Dataset) and dataset.ndim == 1
    }
    return pd.DataFrame(columns)


def _target_of(dataset: str, targets: Mapping[str, str]) -> str:
    """The target's id for a data set as /selection names it; `targets` maps ids to data sets. Empty for a part of a
    target: a cluster, or one sentence."""
    if " (" in dataset:
        return ""
    for target, its in targets.items():
        if its == dataset:
            return target
    return dataset.rsplit("-", 1)[-1] if not targets else dataset


def _on_draws(cells: pd.DataFrame, sentences: Sentences | None) -> np.ndarray | None:
    """F1 on drawn sentences. A sentence's counts are summed over the seeds before it is drawn, as in src/report/view.h.
    None where the counts are not there, or the seeds have other sentences."""
    if sentences is None or cells["texts"].nunique() != 1 or not cells["texts"].iloc[0]:
        return None
    summed = sum(sentences.counts(row).astype(np.int64) for _, row in cells.iterrows())
    return sentences.f1(cells["texts"].iloc[0], summed)


def _score(f1: np.ndarray, status: np.ndarray, cells: pd.DataFrame | None, sentences: Sentences | None = None) -> Score:
    """One cell over its seeds; `cells` has its rows of /cells, F1 in percent, where there are any."""
    seeds = len(f1)
    done = [str(state) in ("done", "published") and not math.isnan(value) for value, state in zip(f1, status)]
    if not all(done):
        odd = next(str(state) for state, good in zip(status, done) if not good)
        return Score("no value" if odd == "done" else odd, seeds=seeds, seeds_done=sum(done))
    values = [100 * float(value) for value in f1]
    value = math.fsum(values) / seeds
    if all(str(state) == "published" for state in status):
        return Score("published", Estimate.exact(value), seeds=seeds, seeds_done=seeds)

    below, above, trials, spread = [], [], 0, deviation(values)
    if cells is not None:
        for _, rows in cells.groupby("seed", sort=True):
            tried = rows[rows["trial"] > 0]
            if len(tried):
                trials = len(tried)
                below.append(half_width(list(tried["f1"])))
                above.append(below[-1])
                if seeds == 1:
                    spread = deviation(list(tried["f1"]))
            else:
                row = rows.iloc[0]
                below.append(row["f1"] - row["low"])
                above.append(row["high"] - row["f1"])
    estimate = Estimate(value)
    draws = _on_draws(cells, sentences) if cells is not None and not trials and len(cells) == seeds else None
    if draws is not None and seeds > 1:
        estimate = Estimate.paired(value, draws, tuple(values))
    elif draws is not None:
        estimate = Estimate(value, value - below[0], value + above[0], draws)  # the same interval as on the page
    elif trials > 1 and seeds == 1:
        estimate = Estimate.paired(value, None, tuple(cells.sort_values("trial")["f1"]))
    elif len(below) == seeds:
        # All seeds answer the same sentences, so that more seeds make the first part no smaller.
        between = half_width(values) if seeds > 1 else 0.0
        estimate = Estimate(
            value,
            value - math.hypot(math.fsum(below) / seeds, between),
            value + math.hypot(math.fsum(above) / seeds, between),
        )
    return Score("done", estimate, spread, seeds, seeds, trials)


def _intervals(cells: pd.DataFrame | None) -> dict[tuple[str, str, str], pd.DataFrame]:
    """The rows of /cells by experiment, system and target, with what a score needs, in percent."""
    needed = {"experiment", "system", "target", "seed", "f1", "low", "high"}
    if cells is None or not needed <= set(cells.columns):
        return {}
    if "metric" in cells:
        cells = cells[cells["metric"] == "entity"]
    frame = cells.assign(trial=cells.get("trial", 0), **{name: 100 * cells[name] for name in ("f1", "low", "high")})
    return {key: rows for key, rows in frame.groupby(["experiment", "system", "target"])}


def _grid(group: h5py.Group, experiment: str, run: str, intervals: Mapping, sentences: Sentences | None) -> Grid:
    systems, targets = list(_values(group["system"])), list(_values(group["target"]))
    f1 = group["f1"][()]
    status = _values(group["status"]) if "status" in group else np.where(np.isnan(f1), "no value", "done")
    grid = Grid(systems, targets, origins=[f"{run}: {experiment}"])
    for at_target, target in enumerate(targets):
        for at_system, system in enumerate(systems):
            here = (at_target, at_system)
            cells = intervals.get((experiment, system, target))
            grid.scores[system, target] = _score(f1[here], status[here], cells, sentences)
    return grid


def read_run(path: str) -> Run:
    """Reads RUN/results.h5. Raises UserError when it is absent or no such file."""
    file_path = Path(path) if Path(path).is_file() else Path(path) / "results.h5"
    if not file_path.is_file():
        raise UserError(f"{path} has no results.h5", f"name a run's folder, or make the file by `samner report {path}`")
    try:
        with h5py.File(file_path, "r", locking=False) as file:
            cells, selection = _frame(file, "cells"), _frame(file, "selection")
            provenance = {
                name: str(np.ravel(_values(dataset))[0])
                for name, dataset in file.get("provenance", {}).items()
                if isinstance(dataset, h5py.Dataset) and dataset.size
            }
            intervals = _intervals(cells)
            counts = _frame(file, "sentences")
            has_counts = counts is not None and cells is not None and {"first", "texts"} <= set(cells.columns)
            sentences = Sentences(counts) if has_counts else None
            grids = {
                experiment: _grid(group, experiment, path, intervals, sentences)
                for experiment, group in file.get("tables", {}).items()
                if isinstance(group, h5py.Group) and {"f1", "system", "target"} <= set(group)
            }
            experts, data = _frame(file, "experts"), _frame(file, "data")
            resources, cost = _frame(file, "resources"), _frame(file, "cost")
            embeddings = _frame(file, "embeddings")
            if embeddings is not None:
                embeddings["vector"] = list(file["embeddings/vectors"][()])
    except (OSError, KeyError, ValueError) as error:
        raise UserError(f"cannot read {file_path}: {error}", f"make it anew by `samner report {path}`") from error

    try:
        config = yaml.safe_load(provenance.get("config", "")) or {}
    except yaml.YAMLError:
        config = {}
    settings = config.get("run") if isinstance(config, dict) else None
    settings = settings if isinstance(settings, dict) else {}
    targets = {
        str(name): str(its["dataset"])
        for name, its in (settings.get("targets") or {}).items()
        if isinstance(its, dict) and "dataset" in its
    }
    if selection is not None and "dataset" in selection and "target" not in selection:
        selection["target"] = selection["dataset"].map(lambda name: _target_of(name, targets))
    named = cells is not None and "base" in cells and len(cells)
    base = str(cells["base"].iloc[0]) if named else str(settings.get("base") or "")
    has_counts = sentences is not None
    return Run(
        path, base, grids, cells, experts, selection, data, provenance, resources, has_counts, embeddings, cost
    )  # fmt: skip


def join(
    runs: Sequence[Run],
    names: Mapping[str, str],
    paper_bases: Mapping[str, str | None],
    tables: Mapping[str, str],
) -> list[Base]:
    """Puts the runs of each base model together, in the order of the runs.

    names        the base's name, by run; else the last part of what the run calls it
    paper_bases  the paper's id, by run
    tables       experiments that are read as a table of the paper, by its id
    """
    bases: dict[str, Base] = {}
    for run in runs:
        name = names.get(run.path) or Path(run.base).name or Path(run.path).name
        base = bases.setdefault(name, Base(name, paper_bases.get(run.path), []))
        if base.paper != paper_bases.get(run.path):
            raise UserError(
                f"runs of {name} go with different bases of the paper", "give all of them the same --paper-base"
            )
        base.runs.append(run)
        if not run.by_sentence and run.grids:
            base.warnings.append(
                f"{run.path} has no counts by sentence, so that differences of its rows are judged as if the rows were "
                f"independent; `samner report {run.path}` of this version makes a results.h5 that has them"
            )
        for experiment, grid in run.grids.items():
            ids = [paper_id(experiment), *(id_ for id_, its in tables.items() if its == experiment)]
            for id_ in ids:
                base.experiments.setdefault(id_, set()).add(experiment)
                differing = base.grids.setdefault(id_, Grid()).add(_named_apart(grid, experiment))
                if differing:
                    base.warnings.append(
                        f"{name}, {id_}: {run.path} ({experiment}) differs from what was read before in "
                        f"{', '.join(differing)}; what was read first is shown"
                    )
    return list(bases.values())
