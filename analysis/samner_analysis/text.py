"""Tables of texts as Markdown and LaTeX, and how numbers are written."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from samner_analysis.estimate import Estimate

NONE = "—"

_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", "—": "---", "±": r"$\pm$", "\n": " ",
}  # fmt: skip


@dataclass
class TextTable:
    title: str
    header: list[str]
    rows: list[list[str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    labels: int = 1  #: columns of words, which come first; the others hold numbers
    blocks: list[int] = field(default_factory=list)  #: rows before which a line is drawn in LaTeX


def number(value: float | None, digits: int = 2, sign: bool = False) -> str:
    if value is None or math.isnan(value):
        return NONE
    text = f"{value:{'+' if sign else ''}.{digits}f}"
    return text.lstrip("+-") if float(text) == 0 else text


def interval(estimate: Estimate, digits: int = 1, sign: bool = False) -> str:
    """` [low, high]`, or nothing."""
    if not estimate.has_interval or estimate.low == estimate.high:
        return ""
    return f" [{number(estimate.low, digits, sign)}, {number(estimate.high, digits, sign)}]"


def escape_markdown(text: str) -> str:
    for character in "\\`|*<[":
        text = text.replace(character, "\\" + character)
    return text.replace("\n", " ")


def escape_latex(text: str) -> str:
    """The text as LaTeX prints it. A [ is put in braces: behind a line's end it would be taken as an option."""
    return "".join(_LATEX.get(character, character) for character in text).replace("[", "{[}").replace("]", "{]}")


def to_markdown(table: TextTable) -> str:
    def line(cells: list[str]) -> str:
        return "| " + " | ".join(cells) + " |"

    align = ["---"] * table.labels + ["---:"] * (len(table.header) - table.labels)
    lines = [
        f"# {escape_markdown(table.title)}",
        "",
        line([escape_markdown(cell) for cell in table.header]),
        line(align),
    ]
    lines += [line([escape_markdown(cell) for cell in row]) for row in table.rows]
    if table.notes:
        lines += ["", *(f"- {escape_markdown(note)}" for note in table.notes)]
    return "\n".join(lines) + "\n"


def to_latex(table: TextTable) -> str:
    """A tabular for booktabs; title and notes are comments, to be put where the document wants them."""

    def line(cells: list[str]) -> str:
        return " & ".join(escape_latex(cell) for cell in cells) + r" \\"

    def comment(text: str) -> str:
        return "% " + " ".join(text.split())

    numbers = len(table.header) - table.labels
    lines = [comment(table.title), comment("needs \\usepackage{booktabs}"), *map(comment, table.notes)]
    lines += [
        f"\\begin{{tabular}}{{{'l' * table.labels}{'r' * numbers}}}",
        r"\toprule",
        line(table.header),
        r"\midrule",
    ]
    for place, row in enumerate(table.rows):
        if place and place in table.blocks:
            lines.append(r"\addlinespace")
        lines.append(line(row))
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"
