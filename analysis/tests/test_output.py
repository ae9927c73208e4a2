import json
import re

import h5py
import pandas as pd
import pytest

from samner_analysis.cli import main
from samner_analysis.text import TextTable, escape_latex, to_latex, to_markdown


def analysed(tmp_path, *runs, options=()):
    out = tmp_path / "out"
    assert main([*map(str, runs), "--out", str(out), *options]) == 0
    return out


def test_latex_takes_every_character_literally():
    assert escape_latex("a_b & 5 % {x} #1 $ ~ ^ \\ <>") == (
        r"a\_b \& 5 \% \{x\} \#1 \$ \textasciitilde{} \textasciicircum{} \textbackslash{} \textless{}\textgreater{}"
    )
    table = TextTable(
        "50 % of\nit", ["system", "F1 [%]"], [["expert_a", "1.0 ± 0.1"], ["[b]", "—"]], ["a\nnote"], 1, [1]
    )
    text = to_latex(table)
    assert r"expert\_a & 1.0 $\pm$ 0.1 \\" in text and r"{[}b{]} & --- \\" in text and r"F1 {[}\%{]}" in text
    assert all(line.startswith("%") for line in text.splitlines()[:3]) and r"\begin{tabular}{lr}" in text


def test_markdown_cells_cannot_break_their_row():
    text = to_markdown(TextTable("t", ["a|b"], [["x|y\nz"]]))
    assert text.splitlines()[2] == r"| a\|b |" and text.splitlines()[4] == r"| x\|y z |"


def test_a_run_without_any_table_says_what_is_missing(results, tmp_path):
    out = analysed(tmp_path, results().write(tmp_path / "empty"))
    index = (out / "index.md").read_text()
    assert "table01" in index and "figure03: no run holds it" in index and "training: no run has /experts" in index
    verdicts = {run["verdict"] for claim in json.loads((out / "claims.json").read_text()) for run in claim["runs"]}
    assert verdicts == {"undecided"}


def test_cells_without_a_value_show_their_status(results, tmp_path):
    made = results().grid(
        "table01", {"sam": {"ai": None, "music": 73.53, "movie": None}}, status={("sam", "ai"): "failed"}
    )
    out = analysed(tmp_path, made.write(tmp_path / "run"))
    line = next(line for line in (out / "tables/table01.md").read_text().splitlines() if "| sam | run |" in line)
    assert line == "| toy | sam | run | failed | 73.53 | excluded | — |"
    assert "nan" not in (out / "claims.json").read_text().lower()


def test_a_base_that_is_none_of_the_papers_stands_beside_both(results, tmp_path):
    run = results().grid("table02", {"sam": {"ai": 60.0}}, half=1).write(tmp_path / "run")
    both = (analysed(tmp_path, run) / "tables/table02.md").read_text()
    assert "paper (llama)" in both and "paper (qwen)" in both and "60.00 \\[59.0, 61.0]" in both
    one = (analysed(tmp_path, run, options=["--paper-base", f"{run}=qwen"]) / "tables/table02.md").read_text()
    assert "paper (llama)" not in one and "paper (qwen)" in one and "| -0.01 |" in one


def test_runs_of_one_base_are_put_together(results, tmp_path):
    six = results().grid("table04", {"sam": {"ai": 60.0}, "sam_three_sources": {"ai": 55.0}}).write(tmp_path / "six")
    nine = results().grid("table04_nine", {"sam_nine_sources": {"ai": 60.2}}).write(tmp_path / "nine")
    out = analysed(tmp_path, six, nine)
    claims = {claim["id"]: claim["runs"] for claim in json.loads((out / "claims.json").read_text())}
    assert [run["verdict"] for run in claims["nine_sources_no_gain"]] == ["holds"]
    out = analysed(tmp_path, six, nine, options=["--base", f"other={nine}"])
    claims = {claim["id"]: claim["runs"] for claim in json.loads((out / "claims.json").read_text())}
    assert {run["base"]: run["reason"] for run in claims["nine_sources_no_gain"]} == {
        "toy": "table04 has no row sam_nine_sources",
        "other": "table04 has no row sam",
    }


def test_runs_that_contradict_each_other_are_warned_of(results, tmp_path, capsys):
    runs = [results().grid("table01", {"sam": {"ai": f1}}).write(tmp_path / str(f1)) for f1 in (60.0, 61.0)]
    out = analysed(tmp_path, *runs)
    assert "differs from what was read before in sam on ai" in capsys.readouterr().err
    assert "## Warnings" in (out / "index.md").read_text()


def test_an_experiment_can_be_read_as_a_table_of_the_paper(results, tmp_path):
    run = results().grid("demo", {"unified": {"ai": 50.0}, "sam": {"ai": 60.0}}).write(tmp_path / "run")
    out = analysed(tmp_path, run, options=["--table", "table01=demo"])
    first = json.loads((out / "claims.json").read_text())[0]
    assert first["id"] == "sam_over_unified_average" and first["runs"][0]["verdict"] == "holds"


def test_figures_are_drawn_with_and_without_intervals(results, tmp_path):
    made = results()
    made.grid("figure03", {f"m={m}": {"ai": 50.0 + m, "music": 60.0 - m} for m in range(1, 7)}, half=2)
    made.grid("figure04", {f"n={n}": {"ai": 50.0 + n} for n in range(1, 4)})
    for series in ("similarity_only", "sam"):
        made.grid(f"figure05_{series}", {f"n={n}": {"ai": 50.0 + n, "movie": None, "pooled": 51.0} for n in (1, 2)})
    made.grid("table13", {"expert_a": {"ai": 50.0}, "expert_b": {"ai": 60.0}}, half=3)
    made.tables["selection"] = {
        "dataset": ["crossner-ai"] * 2, "strategy": ["similarity"] * 2, "expert": ["a", "b"],
        "similarity": [0.1, 0.2], "chosen": [0, 1],
    }  # fmt: skip
    made.tables["experts"] = {"expert": ["a", "a"], "step": [1, 2], "loss": [2.0, 1.0]}
    made.tables["data"] = {"expert": ["a", "b"], "dataset": ["x", "y"], "sampled": [10, 30]}
    made.config = "run: {targets: {ai: {dataset: crossner-ai}}}"
    run = made.write(tmp_path / "run")
    out = analysed(tmp_path, run)
    for name in ("figure03", "figure04", "figure05", "figure06", "training", "similarity"):
        assert (out / f"figures/{name}.png").read_bytes().startswith(b"\x89PNG")
        assert "<svg" in (out / f"figures/{name}.svg").read_text()
    index = (out / "index.md").read_text()
    assert "no value on movie" in index and "printed values" not in index
    assert "similarity_only n=1" in (out / "tables/figure05.md").read_text()
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    analysed(tmp_path, run)
    assert before == {path: path.read_bytes() for path in before}  # the same files from the same run


def test_without_data_figure_6_shows_the_printed_shares_and_says_so(results, tmp_path):
    out = analysed(tmp_path, results().grid("demo", {"sam": {"ai": 1.0}}).write(tmp_path / "run"))
    assert "no run has /data: the bars are the paper's printed values" in (out / "index.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "no run is named"),
        (["absent"], "absent has no results.h5"),
        (["broken"], "cannot read"),
        (["run", "--paper-base", "run=gpt"], "names no base of the paper"),
        (["run", "--base", "x=other"], "other has no results.h5"),
        (["run", "--table", "table99=demo"], "table99"),
        (["run", "--table", "table01=nothing"], "use one of demo"),
        (["run", "--paper", "absent"], "cannot read absent"),
    ],
)
def test_a_wrong_command_says_what_to_do_and_exits_with_2(results, tmp_path, capsys, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    results().grid("demo", {"sam": {"ai": 1.0}}).write(tmp_path / "run")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/results.h5").write_text("no HDF5")
    assert main([*arguments, "--out", "out"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and said in error and " — " in error


def test_columns_and_groups_that_are_not_there_are_done_without(results, tmp_path):
    made = results().grid("table01", {"sam": {"ai": 60.0}, "unified": {"ai": 50.0}})
    made.cells = []
    run = made.write(tmp_path / "run")
    with h5py.File(run / "results.h5", "a") as file:
        del file["provenance"], file["tables/table01/status"]
    out = analysed(tmp_path, run)
    assert "| run | sam | run | 60.00 |" in (out / "tables/table01.md").read_text()
    records = pd.read_csv(out / "comparison.csv")
    assert re.fullmatch("run", records["base"][0]) and records["low"].isna().all()
