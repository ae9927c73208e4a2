"""The paper's printed tables, figures and claims (experiments/paper/values)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from samner_analysis.errors import UserError

BASES = ("llama", "qwen")


@dataclass(frozen=True)
class PrintedRow:
    system: str
    base: str  #: llama, qwen, unstated, or n/a for a row that is copied from the literature
    cells: dict[str, float | None]  #: percent, by column; None: the paper prints no value
    average: float | None  #: as printed
    doubtful: frozenset[str]  #: columns, or "average"
    raw: dict = field(repr=False)

    @property
    def published(self) -> bool:
        return self.base == "n/a"


@dataclass(frozen=True)
class PrintedTable:
    id: str
    title: str
    kind: str  #: scores, counts or costs
    columns: list[str]
    rows: list[PrintedRow]
    doubts: list[str]  #: why cells are doubtful, a line each
    raw: dict = field(repr=False)

    def rows_of(self, system: str, bases: Iterable[str]) -> list[PrintedRow]:
        """The rows of a system that go with one of the bases; those without a base of their own go with any."""
        wanted = {*bases, "unstated", "n/a"}
        return [row for row in self.rows if row.system == system and row.base in wanted]

    @property
    def systems(self) -> list[str]:
        return list(dict.fromkeys(row.system for row in self.rows))


@dataclass(frozen=True)
class Paper:
    tables: dict[str, PrintedTable]
    figures: dict[str, dict]
    claims: list[dict]
    setup: dict

    def base_of(self, base: str) -> str | None:
        """The paper's id of a base model: that whose name, or name at the hub, is the base or the base's folder."""
        names = {base.rstrip("/").lower(), Path(base).name.lower()}
        for id_ in BASES:
            model = self.setup["base_models"][id_]
            if names & {model["name"].lower(), model["hub"].lower(), Path(model["hub"]).name.lower()}:
                return id_
        return None

    def prints_nothing(self, table: str, system: str, column: str) -> bool:
        """Whether the table has the system and column, and no value there."""
        rows = [row for row in self.tables[table].rows if row.system == system] if table in self.tables else []
        return bool(rows) and all(row.cells.get(column, math.nan) is None for row in rows)


def default_folder() -> Path:
    """The values that were installed with the package, else those of the checkout that it lies in."""
    here = Path(__file__).resolve()
    packaged = here.parent / "paper_values"
    return packaged if packaged.is_dir() else here.parents[2] / "experiments/paper/values"


def _table(raw: dict) -> PrintedTable:
    rows = []
    for row in raw["rows"]:
        cells = row["cells"] if "cells" in row else {column: row.get(column) for column in raw["columns"]}
        rows.append(
            PrintedRow(
                system=row.get("system", row["id"]),
                base=row.get("base", "unstated"),
                cells={column: cells.get(column) for column in raw["columns"]},
                average=row.get("average"),
                doubtful=frozenset(row.get("doubtful_columns", ())),
                raw=row,
            )
        )
    doubts = [f"{doubt['row']}, {doubt['cell']}: {doubt['reason']}" for doubt in raw.get("doubtful_cells", ())]
    return PrintedTable(raw["id"], raw["title"], raw["kind"], raw["columns"], rows, doubts, raw)


def read_paper(folder: Path) -> Paper:
    """Reads a folder laid out as experiments/paper/values. Raises UserError when a file is absent or no YAML."""

    def load(path: Path) -> dict:
        try:
            return yaml.load(path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        except (OSError, yaml.YAMLError) as error:
            raise UserError(
                f"cannot read {path}: {error}", "name a folder like experiments/paper/values by --paper"
            ) from error

    def each(pattern: str) -> dict[str, dict]:
        return {path.stem: load(path) for path in sorted(folder.glob(pattern))}

    return Paper(
        tables={id_: _table(raw) for id_, raw in each("table[0-9][0-9].yaml").items()},
        figures=each("figure[0-9][0-9].yaml"),
        claims=load(folder / "claims.yaml")["claims"],
        setup=load(folder / "setup.yaml"),
    )
