"""samner-analysis RUN... --out DIR"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from samner_analysis.errors import UserError
from samner_analysis.paper import BASES, default_folder, read_paper
from samner_analysis.report import write_all
from samner_analysis.runs import join, read_run


def _pair(text: str, option: str) -> tuple[str, str]:
    left, equals, right = text.partition("=")
    if not (left and equals and right):
        raise UserError(f"{option} {text} has no two sides", f"write {option} LEFT=RIGHT, both of them filled")
    return left, right


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="samner-analysis",
        description="Tables, figures and claims of 'Selecting and Merging' from samner's runs, beside the paper's.",
    )
    add = parser.add_argument
    add("runs", nargs="*", metavar="RUN", help="folder of a run, with results.h5")
    add("--out", required=True, type=Path, metavar="DIR", help="folder to write into; index.md links all")
    repeated = {"action": "append", "default": []}
    name_help = "name of a run's base model; runs of one name are put together (default: the base's folder)"
    add("--base", **repeated, metavar="NAME=RUN", help=name_help)
    beside_help = "the paper's base to set a run beside: llama, qwen, or none for both (default: by the base's name)"
    add("--paper-base", **repeated, metavar="RUN=ID", help=beside_help)
    table_help = "read an experiment of the runs also as a table of the paper, such as table02=demo"
    add("--table", **repeated, metavar="ID=EXPERIMENT", help=table_help)
    add("--paper", type=Path, metavar="DIR", help="the printed values (default: those of this package)")
    return parser.parse_args(arguments)


def _which(runs: list[str], name: str, option: str) -> str:
    """The run as it was named first."""
    for run in runs:
        if Path(run) == Path(name):
            return run
    raise UserError(f"{option} names {name}, which is not among the runs", f"use one of {', '.join(runs)}")


def _work(options: argparse.Namespace) -> None:
    names = dict(reversed(_pair(text, "--base")) for text in options.base)
    paths = list(dict.fromkeys([*options.runs, *names]))
    paths = [path for place, path in enumerate(paths) if Path(path) not in map(Path, paths[:place])]
    if not paths:
        raise UserError("no run is named", "give the folder of a run: samner-analysis RUN --out DIR")
    names = {_which(paths, run, "--base"): name for run, name in names.items()}
    paper = read_paper(options.paper or default_folder())
    runs = [read_run(path) for path in paths]
    paper_bases = {run.path: paper.base_of(run.base) for run in runs}
    for text in options.paper_base:
        run, _, id_ = text.rpartition("=")
        if id_ not in (*BASES, "none") or not run:
            raise UserError(f"--paper-base {text} names no base of the paper", "write RUN=llama, RUN=qwen or RUN=none")
        paper_bases[_which(paths, run, "--paper-base")] = None if id_ == "none" else id_
    tables = dict(_pair(text, "--table") for text in options.table)
    for id_, experiment in tables.items():
        if id_ not in paper.tables and id_ not in paper.figures:
            raise UserError(f"--table names {id_}, which the paper does not have", "use table01 … or figure03 …")
        if not any(experiment in run.grids for run in runs):
            have = sorted({experiment for run in runs for experiment in run.grids})
            raise UserError(f"no run has the experiment {experiment}", f"use one of {', '.join(have) or 'none'}")
    written = write_all(join(runs, names, paper_bases, tables), paper, options.out)
    for warning in written.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    print(options.out / "index.md")


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit codes: 0 done, 2 the command or a file is wrong, 74 the results cannot be written."""
    try:
        _work(_arguments(arguments))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        remedy = "check free space and permissions, and give the command again"
        print(f"error: cannot write: {error} — {remedy}", file=sys.stderr)
        return 74
    return 0
