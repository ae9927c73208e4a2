"""Writes everything into a folder, with an index."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from samner_analysis import figures
from samner_analysis.claims import FAILS, HOLDS, UNDECIDED, Comparison, Outcome, as_json, evaluate_all
from samner_analysis.estimate import Estimate
from samner_analysis.paper import Paper
from samner_analysis.runs import Base
from samner_analysis.tables import POOL_SIZE, Compared, cost_table, data_table, pool_size_table, scores_table
from samner_analysis.text import TextTable, escape_markdown, interval, number, to_latex, to_markdown


@dataclass
class Written:
    tables: list[tuple[str, str]] = field(default_factory=list)  #: name, title
    figures: list[tuple[str, list[str]]] = field(default_factory=list)  #: name, remarks
    missing: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def _compared(bases: list[Base], paper: Paper) -> dict[str, Compared]:
    """All tables that the runs hold: the paper's, then others."""
    names = {name for base in bases for name in base.grids}
    compared = {}
    for name in [*(t for t in paper.tables if t in names or t == "table11"), *sorted(names - set(paper.tables))]:
        if name == "table11":
            table = data_table(bases, paper)
        elif name == "table14":
            table = cost_table(bases, paper)
        elif name == POOL_SIZE:
            table = pool_size_table(bases)
        else:
            table = scores_table(name, bases, paper)
        if table is not None:
            compared[name] = table
    return compared


def _write_tables(bases: list[Base], paper: Paper, out: Path, written: Written) -> None:
    (out / "tables").mkdir(exist_ok=True)
    records: list[dict] = []
    for name, compared in _compared(bases, paper).items():
        (out / "tables" / f"{name}.md").write_text(to_markdown(compared.text), encoding="utf-8")
        (out / "tables" / f"{name}.tex").write_text(to_latex(compared.text), encoding="utf-8")
        written.tables.append((name, compared.text.title))
        records += compared.records
    columns = ["table", "base", "system", "target", "status", "run", "low", "high", "deviation", "seeds", "trials",
               "paper_base", "paper", "difference"]  # fmt: skip
    pd.DataFrame(records, columns=columns).to_csv(out / "comparison.csv", index=False)
    names = {name for name, _ in written.tables}
    lacking = [name for name in paper.tables if name not in names]
    if lacking:
        written.missing.append(f"tables of the paper that no run holds: {', '.join(lacking)}")


def _write_figures(bases: list[Base], paper: Paper, out: Path, written: Written) -> None:
    folder = out / "figures"
    folder.mkdir(exist_ok=True)
    with figures.style():
        for name in figures.CURVES:
            paths, remarks = figures.draw_curves(name, bases, paper, folder)
            if paths:
                written.figures.append((name, remarks))
            else:
                written.missing.append(f"{name}: {'; '.join(remarks) or 'no run holds it'}")
            if name == "figure05":
                _, remarks = figures.draw_shares(bases, paper, folder)
                written.figures.append(("figure06", remarks))
        if figures.draw_training(bases, folder):
            written.figures.append(("training", []))
        else:
            written.missing.append("training: no run has /experts")
        paths, remarks = figures.draw_similarity(bases, paper, folder)
        if paths:
            written.figures.append(("similarity", remarks))
        else:
            written.missing.append(f"similarity: {'; '.join(remarks) or 'no run holds it'}")
        paths, remarks = figures.draw_map(bases, folder)
        if paths:
            written.figures.append(("map", remarks))
        else:
            written.missing.append(f"map: {'; '.join(remarks)}")


def _said(comparison: Comparison) -> str:
    unit = {"percent": " %", "points": ""}.get(comparison.unit, "")
    signed = comparison.unit == "points"
    estimate = Estimate(comparison.value, comparison.low, comparison.high)
    text = f"{comparison.what}: {number(comparison.value, sign=signed)}{unit}{interval(estimate, sign=signed)}"
    if comparison.won or comparison.exceptions:
        text += f" ({len(comparison.won)} of {comparison.columns})"
    return text


def _verdict(outcome: Outcome) -> str:
    if outcome.verdict == UNDECIDED and outcome.by_numbers is not None:
        return f"undecided (values alone: {HOLDS if outcome.by_numbers else FAILS})"
    return outcome.verdict + {"numbers": " (no intervals)", "intervals": " (not paired)"}.get(outcome.rule, "")


def claims_table(claims: list[dict], outcomes: dict[str, list[Outcome]]) -> TextTable:
    header = ["claim", "statement", "said by the paper", "in its own cells", "base", "verdict", "numbers", "remarks"]
    table = TextTable("The paper's claims on the runs", header, labels=len(header))
    for claim in claims:
        own = [claim["id"], claim["statement"], claim["claimed_by_paper"], claim["in_paper"]["holds"]]
        for outcome in outcomes[claim["id"]]:
            remarks = [*filter(None, (outcome.reason,)), *outcome.notes]
            if outcome.table and outcome.table not in (claim.get("table"), claim.get("figure")):
                remarks.append(f"from {outcome.table}")
            numbers = "; ".join(_said(comparison) for comparison in outcome.comparisons)
            table.rows.append([*own, outcome.base, _verdict(outcome), numbers, "; ".join(remarks)])
            own = [""] * 4
    return table


def counts_of(outcomes: dict[str, list[Outcome]], base: Base) -> dict[str, int]:
    verdicts = [outcome.verdict for each in outcomes.values() for outcome in each if outcome.base == base.name]
    return {verdict: verdicts.count(verdict) for verdict in (HOLDS, FAILS, UNDECIDED)}


def _counted(counts: dict[str, int]) -> str:
    return f"{counts[HOLDS]} hold, {counts[FAILS]} do not, {counts[UNDECIDED]} are undecided"


def _write_claims(bases: list[Base], paper: Paper, out: Path) -> dict[str, list[Outcome]]:
    outcomes = evaluate_all(bases, paper)
    table = claims_table(paper.claims, outcomes)
    table.notes = [
        *(f"{base.name}: {_counted(counts_of(outcomes, base))}" for base in bases),
        "an interval decides where there is one: of a difference, of a mean, or of each column, by paired bootstrap: "
        "both rows on the same drawn sentences",
        "(not paired): made from the intervals of /cells as if all were independent, where a results.h5 has no counts "
        "by sentence (two rows of one target answer the same sentences, so that such intervals are usually too wide)",
        "(no intervals): the values alone decide",
        "(k of n): columns whose values agree",
        "no correction is made for many columns or many rows: the best of several is best by chance at times",
    ]
    (out / "claims.md").write_text(to_markdown(table), encoding="utf-8")
    text = json.dumps(as_json(paper.claims, outcomes), indent=1, ensure_ascii=False, allow_nan=False)
    (out / "claims.json").write_text(text + "\n", encoding="utf-8")
    return outcomes


def _index(bases: list[Base], outcomes: dict[str, list[Outcome]], written: Written) -> str:
    lines = ["# Select-and-Merge: runs beside the paper", "", "## Runs", ""]
    lines += ["| base | beside the paper's | run | commit | date | device | claims |", "|---|---|---|---|---|---|---|"]
    for base in bases:
        for run in base.runs:
            said = [run.provenance.get(key, "") for key in ("commit", "date", "device")]
            beside = base.paper or "llama and qwen (neither is this base)"
            cells = [base.name, beside, run.path, *said, _counted(counts_of(outcomes, base))]
            lines.append("| " + " | ".join(map(escape_markdown, cells)) + " |")
    lines += ["", "## Claims", "", "[claims.md](claims.md), [claims.json](claims.json)", "", "## Tables", ""]
    lines += [
        f"- {escape_markdown(title)}: [Markdown](tables/{name}.md), [LaTeX](tables/{name}.tex)"
        for name, title in written.tables
    ]
    lines += ["- all of them as records: [comparison.csv](comparison.csv)", "", "## Figures", ""]
    for name, remarks in written.figures:
        lines += [f"### {name}", "", f"![{name}](figures/{name}.png)", "", f"[SVG](figures/{name}.svg)", ""]
        lines += [*(f"- {escape_markdown(remark)}" for remark in remarks), *([""] if remarks else [])]
    if written.missing:
        lines += ["## Missing", "", *(f"- {escape_markdown(missing)}" for missing in written.missing), ""]
    if written.warnings:
        lines += ["## Warnings", "", *(f"- {escape_markdown(warning)}" for warning in written.warnings), ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def write_all(bases: list[Base], paper: Paper, out: Path) -> Written:
    """Writes tables, figures, claims and index.md into `out`, over those of an earlier call."""
    out.mkdir(parents=True, exist_ok=True)
    written = Written(warnings=[warning for base in bases for warning in base.warnings])
    _write_tables(bases, paper, out, written)
    _write_figures(bases, paper, out, written)
    outcomes = _write_claims(bases, paper, out)
    (out / "index.md").write_text(_index(bases, outcomes, written), encoding="utf-8")
    return written
