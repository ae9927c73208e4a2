import hashlib
import math
import sys
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np
import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
TARGETS = ["ai", "literature", "music", "politics", "science", "movie", "restaurant"]

try:
    import samner_analysis  # noqa: F401
except ImportError:  # run from the checkout, not installed
    sys.path.insert(0, str(CHECKOUT / "analysis"))

from samner_analysis.paper import default_folder, read_paper  # noqa: E402


@dataclass
class Results:
    """A results.h5 laid out as samner writes it. Scores are given in percent."""

    base: str = "models/toy"
    grids: dict = field(default_factory=dict)
    cells: list = field(default_factory=list)
    tables: dict = field(default_factory=dict)
    config: str = "run: {targets: {}}\n"
    sentences: list = field(default_factory=list)  #: counts: true positives, false positives, false negatives

    def grid(self, name, rows, targets=None, status=None, half=math.nan, passes=None, seeds=1):
        """rows: {system: {target: value or a list, one a seed}}; None: no value. status: {(system, target): word}"""
        status, passes = status or {}, passes or {}
        targets = targets or list(dict.fromkeys(target for row in rows.values() for target in row))
        f1 = np.full((len(targets), len(rows), seeds), np.nan)
        states = np.full(f1.shape, "done", dtype=object)
        for at_target, target in enumerate(targets):
            for at_system, (system, row) in enumerate(rows.items()):
                values = row.get(target)
                values = values if isinstance(values, list) else [values] * seeds
                for seed, value in enumerate(values):
                    states[at_target, at_system, seed] = status.get(
                        (system, target), "excluded" if value is None else "done"
                    )
                    if value is None:
                        continue
                    f1[at_target, at_system, seed] = value / 100
                    if states[at_target, at_system, seed] == "done":
                        self.cells.append(
                            {"experiment": name, "base": self.base, "system": system, "target": target,
                             "metric": "entity", "seed": seed, "tp": 1, "fp": 1, "fn": 1, "f1": value / 100,
                             "low": (value - half) / 100, "high": (value + half) / 100, "sentences": 100,
                             "unparsable": 0, "predictions": " ".join("k" * passes.get(system, 1))}
                        )  # fmt: skip
        self.grids[name] = (targets, list(rows), f1, states)
        return self

    def counted(self, name, rows, texts=None):
        """A grid from counts by sentence. rows: {system: {target: counts}}, or a list of counts, one a seed.
        texts: what tells the sentences of a target, where others of the same number are meant."""

        def f1(counts):
            tp, fp, fn = np.sum(counts, axis=0)
            return 200 * tp / max(1, 2 * tp + fp + fn)

        by_seed = {
            system: {target: its if np.ndim(its) == 3 else [its] for target, its in row.items()}
            for system, row in rows.items()
        }
        seeds = len(next(iter(next(iter(by_seed.values())).values())))
        scores = {s: {t: [f1(counts) for counts in its] for t, its in row.items()} for s, row in by_seed.items()}
        before = len(self.cells)
        self.grid(name, scores, seeds=seeds, half=10)
        for cell in self.cells[before:]:
            counts = by_seed[cell["system"]][cell["target"]][cell["seed"]]
            digest = hashlib.sha256((texts or cell["target"]).encode()).hexdigest()
            sums = dict(zip(("tp", "fp", "fn"), map(int, np.sum(counts, axis=0))))
            cell |= {"first": len(self.sentences), "sentences": len(counts), "texts": digest, **sums}
            self.sentences += [list(map(int, sentence)) for sentence in counts]
        return self

    def write(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        text = h5py.string_dtype()

        def put(file, path, values, label):
            values = np.asarray(values)
            kind = text if values.dtype.kind in "OU" else None
            dataset = file.create_dataset(path, data=values.astype(object) if kind else values, dtype=kind)
            dataset.attrs["long_name"] = label
            return dataset

        with h5py.File(folder / "results.h5", "w", libver="latest") as file:
            for name, (targets, systems, f1, states) in self.grids.items():
                grid = f"tables/{name}"
                axes = {"target": targets, "system": systems, "seed": range(f1.shape[2])}
                scales = []
                for axis, values in axes.items():
                    scale = put(file, f"{grid}/{axis}", list(values), axis)
                    scale.make_scale(axis)
                    scales.append(scale)
                for member, values in (("f1", f1), ("status", states)):
                    dataset = put(file, f"{grid}/{member}", values, member)
                    for axis, scale in enumerate(scales):
                        dataset.dims[axis].attach_scale(scale)
            tables = dict(self.tables)
            if self.sentences:
                tables["sentences"] = dict(zip(("tp", "fp", "fn"), np.array(self.sentences, dtype=np.int32).T))
            if self.cells:
                tables["cells"] = {name: [row.get(name, 0) for row in self.cells] for name in self.cells[-1]}
            for group, columns in tables.items():
                for column, values in columns.items():
                    put(file, f"{group}/{column}", list(values), column)
            put(file, "provenance/config", [self.config], "config")
            put(file, "provenance/commit", ["0" * 12], "commit")
        return folder


def filled_from_paper(paper, base, with_published):
    """A run of one base whose every value is the paper's."""
    results = Results(base=f"models/{paper.setup['base_models'][base]['hub'].split('/')[1]}")
    for id_, table in paper.tables.items():
        if table.kind != "scores":
            continue
        rows = {row.system: row.cells for row in table.rows if row.base in (base, "unstated")}
        published = {row.system: row.cells for row in table.rows if row.published} if with_published else {}
        if rows:
            status = {(system, target): "published" for system in published for target in table.columns}
            results.grid(id_, {**published, **rows}, table.columns, status)
    if base == "llama":
        cells = {row.system: row.cells for row in paper.tables["table01"].rows if row.base == base}
        eco = next(r.cells for r in paper.tables["table15"].rows if r.base == base and r.system == "single_union")
        results.grid("table14", {"unified": cells["unified"], "sam": cells["sam"], "sam_eco": eco}, passes={"sam": 2})
    columns = ("types", "train", "dev", "test", "sampled")
    rows = paper.tables["table11"].rows
    results.tables["data"] = {
        "expert": [row.raw["domain"] for row in rows],
        "dataset": [row.system for row in rows],
        **{column: [row.cells[column] for row in rows] for column in columns},
    }
    return results


@pytest.fixture(scope="session")
def paper():
    return read_paper(default_folder())


@pytest.fixture(scope="session")
def paper_runs(paper, tmp_path_factory):
    """Two runs, one a base, of which the first alone has the rows of the literature."""
    folder = tmp_path_factory.mktemp("paper")
    return [
        str(filled_from_paper(paper, base, with_published=base == "llama").write(folder / base))
        for base in ("llama", "qwen")
    ]


@pytest.fixture
def results():
    return Results
