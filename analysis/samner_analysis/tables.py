"""The tables of runs beside the paper's."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import pandas as pd

from samner_analysis.claims import passes_of, storage_of
from samner_analysis.estimate import NAN, UNKNOWN, Estimate, mean
from samner_analysis.paper import Paper, PrintedRow, PrintedTable
from samner_analysis.runs import Base, Grid, Score
from samner_analysis.text import NONE, TextTable, interval, number

AVERAGE = "average"
COUNTS = ("types", "train", "dev", "test", "sampled")


@dataclass
class Compared:
    """A table to print, and its differences from the paper as records."""

    text: TextTable
    records: list[dict] = field(default_factory=list)


def run_cell(score: Score | None) -> str:
    if score is None:
        return NONE
    if not score.estimate.known:
        done = f" ({score.seeds_done} of {score.seeds} seeds)" if score.seeds_done else ""
        return score.status.replace("_", " ") + done
    spread = f" ± {number(score.deviation)}" if not math.isnan(score.deviation) else ""
    return number(score.estimate.value) + spread + interval(score.estimate)


def averaged(grid: Grid, system: str, printed: PrintedRow | None) -> tuple[Estimate, list[str]]:
    """The mean over the targets and their names: all but the excluded ones and those that the paper leaves out.

    Unknown where one of them has no value.
    """
    targets = []
    for target in grid.targets:
        score = grid.score(system, target)
        excluded = score is not None and score.status == "excluded"
        left_out = printed is not None and target in printed.cells and printed.cells[target] is None
        if not excluded and not left_out and target != "pooled":
            targets.append(target)
    scores = [grid.score(system, target) for target in targets]
    return mean([score.estimate if score else UNKNOWN for score in scores]), targets


def _label(printed: PrintedRow) -> str:
    return {"n/a": "paper", "unstated": "paper (base not named)"}.get(printed.base, f"paper ({printed.base})")


def _printed_average(row: PrintedRow, targets: list[str]) -> str:
    """As printed where all its cells are shown, else the mean of those that are."""
    cells = {target: value for target, value in row.cells.items() if value is not None}
    if row.average is not None and set(cells) <= set(targets):
        return number(row.average) + ("?" if AVERAGE in row.doubtful else "")
    shown = [value for target, value in cells.items() if target in targets]
    return number(math.fsum(shown) / len(shown)) if shown else NONE


def scores_table(name: str, bases: list[Base], paper: Paper) -> Compared:
    """A table of F1 values of all bases that have it; rows of the paper stand below those of the runs."""
    printed_table = paper.tables.get(name)
    bases = [base for base in bases if name in base.grids]
    targets = list(dict.fromkeys(target for base in bases for target in base.grids[name].targets))
    if printed_table:
        targets = [c for c in printed_table.columns if c in targets] + [
            target for target in targets if target not in printed_table.columns
        ]
    title = f"{name}: {printed_table.title}" if printed_table else name
    if name in paper.figures:
        title = f"{name}: {paper.figures[name]['title']}"
    text = TextTable(f"{title} (entity micro-F1, percent)", ["base", "system", "", *targets, AVERAGE], labels=3)
    compared = Compared(text)
    shown: set[int] = set()
    doubtful = False

    def add(base: str, system: str, what: str, cells: list[str]) -> None:
        text.rows.append([base, system, what, *cells])

    for base in bases:
        grid = base.grids[name]
        systems = grid.systems
        if printed_table:
            known = printed_table.systems
            systems = [s for s in known if s in systems] + [s for s in systems if s not in known]
            systems += [s for s in known if s not in systems and printed_table.rows_of(s, base.paper_bases)]
        for system in systems:
            rows = printed_table.rows_of(system, base.paper_bases) if printed_table else []
            has_run = system in grid.systems
            rows = rows if has_run else [row for row in rows if id(row) not in shown]
            shown |= {id(row) for row in rows}
            if not has_run and not rows:
                continue
            text.blocks.append(len(text.rows))
            if has_run:
                average, _ = averaged(grid, system, rows[0] if rows else None)
                cells = [run_cell(grid.score(system, target)) for target in targets]
                add(base.name, system, "run", [*cells, number(average.value) + interval(average)])
            first = not has_run
            for row in rows:
                doubtful |= bool(row.doubtful & {*targets, AVERAGE})
                printed = [
                    number(row.cells.get(target)) + ("?" if target in row.doubtful else "") for target in targets
                ]
                add("" if row.published or not first else base.name, system if first else "", _label(row),
                    [*printed, _printed_average(row, targets)])  # fmt: skip
                first = False
                if has_run:
                    cells = _difference(name, base, grid, system, row, targets, compared.records)
                    add("", "", "difference", cells)
            if not rows:
                compared.records += _records(name, base, grid, system, targets)
    text.notes = _notes(name, bases, printed_table, targets, doubtful)
    return compared


def _record(name: str, base: Base, system: str, target: str, score: Score | None, estimate: Estimate) -> dict:
    return {
        "table": name,
        "base": base.name,
        "system": system,
        "target": target,
        "status": score.status if score else "done" if estimate.known else "no value",
        "run": estimate.value,
        "low": estimate.low,
        "high": estimate.high,
        "deviation": score.deviation if score else NAN,
        "seeds": score.seeds if score else None,
        "trials": score.trials if score else None,
        "paper_base": None,
        "paper": NAN,
        "difference": NAN,
    }


def _records(name: str, base: Base, grid: Grid, system: str, targets: list[str]) -> list[dict]:
    scores = {target: grid.score(system, target) for target in targets}
    return [
        _record(name, base, system, target, score, score.estimate)
        for target, score in scores.items()
        if score is not None
    ]


def _difference(
    name: str, base: Base, grid: Grid, system: str, row: PrintedRow, targets: list[str], records: list[dict]
) -> list[str]:
    """Run minus paper. That of the average is over the cells that both have, so that rounding plays no part."""
    cells, pairs = [], []
    complete = True
    for target in targets:
        score, printed = grid.score(system, target), row.cells.get(target)
        estimate = score.estimate if score else UNKNOWN
        record = _record(name, base, system, target, score, estimate)
        if printed is not None:
            record |= {"paper_base": row.base, "paper": printed}
            if estimate.known:
                record["difference"] = estimate.value - printed
                pairs.append((estimate, printed))
            elif target in grid.targets:
                complete = False
        cells.append(number(record["difference"], sign=True))
        records.append(record)
    estimate = mean([estimate for estimate, _ in pairs])
    printed = math.fsum(value for _, value in pairs) / len(pairs) if pairs else NAN
    difference = estimate.value - printed if complete and pairs else NAN
    record = _record(name, base, system, AVERAGE, None, estimate if complete else UNKNOWN)
    records.append(record | {"paper_base": row.base, "paper": printed, "difference": difference})
    return [*cells, number(difference, sign=True)]


def _notes(name: str, bases: list[Base], printed: PrintedTable | None, targets: list[str], doubtful: bool) -> list[str]:
    notes = [f"{base.name}: from {', '.join(base.grids[name].origins)}" for base in bases]
    scores = [score for base in bases for score in base.grids[name].scores.values() if score.estimate.known]
    if any(interval(score.estimate) for score in scores):
        notes.append("[low, high]: 95 % interval")
    seeds = {score.seeds for score in scores if score.seeds > 1}
    if seeds:
        notes.append(f"±: standard deviation over seeds ({', '.join(map(str, sorted(seeds)))})")
    trials = {score.trials for score in scores if score.trials}
    if trials:
        only = any(score.trials and score.seeds == 1 for score in scores)
        notes.append(
            f"means over {', '.join(map(str, sorted(trials)))} trials of one sentence"
            + ("; ± is the standard deviation over trials" if only else "")
        )
    if not printed:
        return notes
    notes.append("difference: run - paper, in points; that of the average is over the cells that both have")
    absent = [column for column in printed.columns if column not in targets]
    if absent:
        notes.append(f"targets of the paper that the runs lack: {', '.join(absent)}; averages are over the others")
    for base in bases:
        lacking = [
            system
            for system in printed.systems
            if system not in base.grids[name].systems
            and any(not row.published for row in printed.rows_of(system, base.paper_bases))
        ]
        if lacking:
            notes.append(f"systems of the paper that {base.name} lacks: {', '.join(lacking)}")
    if any(row.average is None for row in printed.rows):
        notes.append("the paper prints no averages here: those shown are means of its cells")
    if doubtful:
        notes += ["?: doubtful in print", *printed.doubts]
    return notes


def sampled_rows(base: Base) -> pd.DataFrame | None:
    """/data by expert and data set, without those of unified models, whose data are the experts'."""
    data = base.rows("data")
    if data is None or not {"expert", "dataset", "sampled"} <= set(data.columns):
        return None
    data = data.drop_duplicates(["expert", "dataset"])
    return data[~data["expert"].astype(str).str.contains("+", regex=False) & (data["expert"] != "unified")]


def data_table(bases: list[Base], paper: Paper) -> Compared | None:
    """Table 11: sizes of the data sets and what was drawn from them. None where no run has /data."""
    printed = paper.tables["table11"]
    text = TextTable(f"table11: {printed.title}", ["base", "domain", "data set", "", *COUNTS], labels=4)
    compared = Compared(text)
    by_id = {row.system: row for row in printed.rows}
    for base in bases:
        data = sampled_rows(base)
        if data is None:
            continue
        names = []
        for _, row in data.iterrows():
            name = str(row["dataset"]).split(":")[0]
            names.append(name)
            ours = {count: float(row[count]) if count in data.columns else NAN for count in COUNTS}
            text.blocks.append(len(text.rows))
            text.rows.append([base.name, str(row["expert"]), name, "run", *(number(ours[c], 0) for c in COUNTS)])
            if name not in by_id:
                continue
            theirs = by_id[name].cells
            text.rows.append(["", "", "", "paper", *(number(theirs[c], 0) for c in COUNTS)])
            differences = {count: ours[count] - theirs[count] for count in COUNTS}
            text.rows.append(["", "", "", "difference", *(number(differences[c], 0, sign=True) for c in COUNTS)])
            for count in COUNTS:
                compared.records.append(
                    {"table": "table11", "base": base.name, "system": name, "target": count, "status": "done",
                     "run": ours[count], "paper": theirs[count], "difference": differences[count]}
                )  # fmt: skip
        lacking = [name for name in by_id if name not in names]
        if lacking:
            text.notes.append(f"data sets of the paper that {base.name} lacks: {', '.join(lacking)}")
    return compared if text.rows else None


POOL_SIZE = "pool_size"


def pool_size_table(bases: list[Base]) -> Compared:
    """What selections cost by the number of experts to choose from (experiments/beyond/pool_size.yaml)."""
    header = ["base", "system", "experts", "selections", "sampling tokens", "sampling seconds", "encoding seconds",
              "adapters, bytes", AVERAGE]  # fmt: skip
    text = TextTable(f"{POOL_SIZE}: what choosing costs as the pool grows", header, labels=2)
    compared = Compared(text)
    for base in [base for base in bases if POOL_SIZE in base.grids]:
        grid = base.grids[POOL_SIZE]
        for system in grid.systems:
            average, _ = averaged(grid, system, None)
            cost = selection_cost(base, POOL_SIZE, system)
            text.rows.append(
                [base.name, system, *(number(cost[name], digits) for name, digits in _SELECTION_COST.items()),
                 number(average.value) + interval(average)]
            )  # fmt: skip
            about = {"table": POOL_SIZE, "base": base.name, "system": system, "status": "done"}
            compared.records += [{**about, "target": name, "run": value} for name, value in cost.items()]
            compared.records.append(_record(POOL_SIZE, base, system, AVERAGE, None, average))
        text.notes.append(f"{base.name}: from {', '.join(grid.origins)}")
    text.notes += [
        "sampling: all candidates over the sampled sentences of all targets, prompt and generated tokens, with the "
        "first seed; what several rows share counts for each of them",
        "encoding: the training texts of the candidates and the texts of the targets, likewise",
        "seconds as measured: a pass that another run had done before counts with its time there (/cost)",
        f"adapters: bytes of all candidates on the disk; {NONE}: the tasks are not in /cost, or the file is of an "
        "earlier version",
    ]
    return compared


_SELECTION_COST = {"experts": 0, "selections": 0, "tokens": 0, "sampling_seconds": 1, "encoding_seconds": 1, "bytes": 0}


def selection_cost(base: Base, table: str, system: str) -> dict[str, float]:
    """Of a row with the first seed: candidates, selections (one a target and strategy), tokens and seconds of their
    sampling evaluations, seconds of encoding, bytes of the candidates' adapters. NaN: not known."""
    unknown = dict.fromkeys(_SELECTION_COST, NAN)
    cells, selection, cost = base.cells_of(table, system), base.rows("selection"), base.rows("cost")
    needed = {"key", "expert", "predictions", "centroid", "target_centroid", "adapter"}
    if selection is None or cost is None or not needed <= set(selection.columns) or "selections" not in cells:
        return unknown
    keys = {key for text in cells[cells["seed"] == cells["seed"].min()]["selections"] for key in str(text).split()}
    here = selection[selection["key"].isin(keys)]
    cost = cost.drop_duplicates("key").set_index("key")

    def total(tasks: set[str], *columns: str) -> float:
        known = tasks - {""}
        if not known or not known <= set(cost.index) or not set(columns) <= set(cost.columns):
            return NAN
        return float(cost.loc[sorted(known), list(columns)].to_numpy().sum())

    if here.empty:
        return unknown
    passes, adapters = set(here["predictions"]), set(here["adapter"])
    return {
        "experts": here["expert"].nunique(),
        "selections": here["key"].nunique(),
        "tokens": total(passes, "tokens_in", "tokens_out"),
        "sampling_seconds": total(passes, "seconds"),
        "encoding_seconds": total({*here["centroid"], *here["target_centroid"]}, "seconds"),
        "bytes": total(adapters, "bytes"),
    }


def cost_table(bases: list[Base], paper: Paper) -> Compared:
    """Table 14: instances, passes and storage beside the average score."""
    printed = paper.tables["table14"]
    header = ["base", "system", "", "instances (thousand)", "passes", "storage", AVERAGE]
    text = TextTable(f"table14: {printed.title}", header, labels=3)
    compared = Compared(text)

    def storage(row: PrintedRow) -> str:
        per_expert = row.cells["storage_per_expert"]
        return number(row.cells["storage_constant"], 0) + (f" + {per_expert:g} n" if per_expert else "")

    shown: set[int] = set()
    for base in [base for base in bases if "table14" in base.grids]:
        grid = base.grids["table14"]
        data = sampled_rows(base)
        instances = data["sampled"].sum() / 1000 if data is not None and len(data) else NAN
        for system in [*grid.systems, *(s for s in printed.systems if s not in grid.systems)]:
            rows = [
                row for row in printed.rows_of(system, base.paper_bases) if id(row) not in shown or not row.published
            ]
            shown |= {id(row) for row in rows}
            if system not in grid.systems and not rows:
                continue
            text.blocks.append(len(text.rows))
            average, _ = averaged(grid, system, None)
            if system in grid.systems:
                share = storage_of(base)
                own = NONE if math.isnan(share) else f"1 + {share:.3g} n" if system.startswith("sam") else "1"
                passes = passes_of(base, "table14", system)
                text.rows.append(
                    [base.name, system, "run", number(instances, 1), number(passes, 1), own,
                     number(average.value) + interval(average)]
                )  # fmt: skip
                ours = {
                    "training_instances_thousand": round(instances, 1),
                    "inference_passes": passes,
                    AVERAGE: average.value,
                }
            for row in rows:
                first = system not in grid.systems
                text.rows.append(
                    ["", system if first else "", _label(row), number(row.cells["training_instances_thousand"], 1),
                     number(row.cells["inference_passes"], 1), storage(row), number(row.cells[AVERAGE])]
                )  # fmt: skip
                if first:
                    continue
                differences = {name: value - row.cells[name] for name, value in ours.items()}
                instances_, passes_, average_ = (number(value, 2, sign=True) for value in differences.values())
                text.rows.append(["", "", "difference", instances_, passes_, NONE, average_])
                compared.records += [
                    {"table": "table14", "base": base.name, "system": system, "target": name, "status": "done",
                     "run": ours[name], "paper_base": row.base, "paper": row.cells[name], "difference": difference}
                    for name, difference in differences.items()
                ]  # fmt: skip
    text.notes = [
        "instances: sampled for all experts (/data); the unified model is trained on the same",
        "passes: mean number of decoding passes of a cell (/cells, predictions); one where both strategies chose the "
        "same experts",
        "storage: bytes of the base model and of n adapters, to those of the base model (/resources)",
        *(f"{base.name}: from {', '.join(base.grids['table14'].origins)}" for base in bases if "table14" in base.grids),
    ]
    return compared
