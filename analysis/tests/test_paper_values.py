"""A run that is filled with the printed values agrees with the paper in everything."""

import json
import re

import pandas as pd
import pytest

from samner_analysis import claims
from samner_analysis.cli import main
from samner_analysis.runs import join, read_run


@pytest.fixture(scope="module")
def bases(paper, paper_runs):
    runs = [read_run(path) for path in paper_runs]
    return {base.paper: base for base in join(runs, {}, {run.path: paper.base_of(run.base) for run in runs}, {})}


@pytest.fixture(scope="module")
def out(paper_runs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("out")
    assert main([*paper_runs, "--out", str(folder)]) == 0
    return folder


def test_bases_are_known_by_the_names_of_their_folders(bases):
    assert {id_: base.name for id_, base in bases.items()} == {"llama": "Llama-3.1-8B", "qwen": "Qwen2.5-7B"}


def test_every_difference_is_zero(paper, out):
    records = pd.read_csv(out / "comparison.csv")
    beside = records.dropna(subset=["paper", "run"])
    odd = beside[
        (beside["difference"].abs() > 1e-9) & ~((beside["table"] == "table14") & (beside["target"] != "sampled"))
    ]
    assert odd.empty, odd
    # Table 14 prints its numbers rounded.
    costs = beside[beside["table"] == "table14"]
    assert len(costs) == 9 and (costs["difference"].abs() < 0.006).all(), costs
    printed = sum(
        value is not None
        for table in paper.tables.values() if table.kind == "scores"
        for row in table.rows if row.base in ("llama", "qwen")
        for value in row.cells.values()
    )  # fmt: skip
    compared = beside[beside["paper_base"].isin(["llama", "qwen"]) & (beside["target"] != "average")]
    assert len(compared[compared["table"] != "table14"]) == printed
    assert set(beside["table"]) == set(paper.tables)


def test_every_claim_is_evaluated_as_on_the_papers_own_cells(paper, bases):
    tested = 0
    for claim in paper.claims:
        for id_, expected in claim["in_paper"].items():
            if id_ == "holds":
                continue
            on = bases["qwen" if id_ == "unstated" else id_]
            outcome = claims.evaluate(claim, on, paper)
            where = f"{claim['id']} on {id_}: {outcome}"
            assert outcome.verdict == (claims.HOLDS if expected["holds"] else claims.FAILS), where
            assert outcome.by_numbers == expected["holds"], where
            shown = outcome.comparisons
            if "value" in expected:
                assert shown[0].value == pytest.approx(expected["value"], abs=0.011), where
            if "margin" in expected:
                assert shown[0].value == pytest.approx(expected["margin"], abs=0.011), where
            for pair, margin in expected.get("margins", {}).items():
                value = next(comparison.value for comparison in shown if comparison.what == pair)
                assert value == pytest.approx(margin, abs=0.011), where
            if "cells_won" in expected:
                won, columns = sum(len(c.won) for c in shown), sum(c.columns for c in shown)
                assert f"{won} of {columns}" == expected["cells_won"], where
            if "cells" in expected:
                assert sorted(shown[0].won) == sorted(expected["cells"]), where
            if "exceptions" in expected:
                exceptions = [f"{c.what}: {column}" for c in shown for column in c.exceptions]
                said = [re.sub(r"\s+", " ", text) for text in expected["exceptions"]]
                assert sorted(exceptions) == sorted(said), where
            tested += 1
    assert tested == 73


def test_claims_without_data_in_the_paper_are_undecided(paper, bases):
    without = [claim for claim in paper.claims if claim["in_paper"]["holds"] == "no data"]
    assert len(without) == 16
    for claim in without:
        if claim["id"] == "inference_cost_order":  # the runs' /cells has passes
            continue
        for base in bases.values():
            outcome = claims.evaluate(claim, base, paper)
            assert outcome.verdict == claims.UNDECIDED and outcome.reason, outcome


def test_all_claims_are_reported_for_both_bases(paper, out):
    reported = json.loads((out / "claims.json").read_text())
    assert [claim["id"] for claim in reported] == [claim["id"] for claim in paper.claims] and len(reported) == 63
    for claim in reported:
        assert {run["base"] for run in claim["runs"]} == {"Llama-3.1-8B", "Qwen2.5-7B"}
        assert all(run["reason"] for run in claim["runs"] if run["verdict"] == claims.UNDECIDED), claim


def test_tables_of_two_runs_are_joined(out):
    text = (out / "tables/table01.md").read_text()
    for words in ("| Llama-3.1-8B | sam | run | 60.98 |", "| Qwen2.5-7B | sam | run | 60.01 |", "paper (llama)"):
        assert words in text
    assert text.count("gliner") == 1 + text.count("gliner, average")
    assert "60.90?" in text  # doubtful in print


def test_the_index_links_files_that_are_there(out):
    index = (out / "index.md").read_text()
    links = re.findall(r"\]\(([^)]+)\)", index)
    assert len(links) > 30 and all((out / link).stat().st_size > 0 for link in links)
    assert "figure03: no run holds it" in index
