"""Several selections of one strategy in a run, what they cost, and how domains lie to each other."""

import json

import numpy as np
import pandas as pd
import pytest

from samner_analysis.cli import main
from samner_analysis.domains import Point, correlation, domain_map, pearson, spearman
from samner_analysis.estimate import Estimate
from samner_analysis.runs import join, read_run
from samner_analysis.selections import NoSelection, selections_by


def selection(key, strategy, candidates, m, k=0, rule="", dataset="crossner-ai"):
    """candidates: {expert: (similarity, place among the chosen)}"""
    return [
        {"key": key, "seeds": "0", "dataset": dataset, "strategy": strategy, "expert": expert, "similarity": similarity,
         "chosen": chosen, "m": m, "rule": rule, "k": k, "centroid": f"of {expert}", "target_centroid": f"of {dataset}",
         "predictions": f"{expert} on {dataset}" if k else "", "adapter": f"adapter of {expert}" if k else ""}
        for expert, (similarity, chosen) in candidates.items()
    ]  # fmt: skip


def columns(rows):
    return {name: [row[name] for row in rows] for name in rows[0]}


@pytest.fixture
def base(tmp_path):
    def of(made):
        made.config = "run: {targets: {ai: {dataset: crossner-ai}, music: {dataset: crossner-music}}}"
        (joined,) = join([read_run(str(made.write(tmp_path / f"run{len(list(tmp_path.iterdir()))}")))], {}, {}, {})
        return joined

    return of


ONE = {"a": (0.9, 1), "b": (0.5, 0), "c": (0.1, 0)}
TWO = {"a": (0.9, 1), "b": (0.5, 2), "c": (0.1, 0)}


def test_selections_with_other_m_rule_k_or_pool_are_never_mixed(base, results):
    made = results()
    made.tables["selection"] = columns(
        selection("1", "similarity", ONE, 1)
        + selection("2", "similarity", TWO, 2)
        + selection("3", "similarity", ONE, 1, rule="gap")
        + selection("4", "similarity", {"a": (0.9, 1), "z": (0.3, 2)}, 2)
        + selection("5", "similarity", ONE, 2, dataset="crossner-ai (sentence 1 of 5)")
        + selection("6", "sampling", ONE, 1, k=10)
    )
    found = selections_by(base(made), "similarity", {"a", "b", "c"})
    assert list(found.rows["chosen"]) == [1, 2, 0] and set(found.rows["key"]) == {"2"}
    assert found.remarks == [
        "selections by similarity, m = 2, of 3 experts",
        "left out: selections by similarity, m = 1, of 3 experts; similarity, m by the rule gap, of 3 experts; "
        "similarity, m = 2, of 2 experts",
    ]
    assert not selections_by(base(made), "sampling").others
    with pytest.raises(NoSelection, match="none by fused"):
        selections_by(base(made), "fused")


def test_selections_that_a_file_does_not_tell_apart_are_refused(base, results):
    made = results()
    rows = columns(selection("1", "similarity", ONE, 2) + selection("2", "similarity", TWO, 2))
    made.tables["selection"] = {name: rows[name] for name in ("dataset", "strategy", "expert", "similarity", "chosen")}
    with pytest.raises(NoSelection, match="samner report RUN"):
        selections_by(base(made), "similarity")


def test_claims_and_the_figure_say_which_selections_they_read(results, tmp_path):
    made = results().grid(
        "table13", {f"expert_{x}": {"ai": 50.0 + i, "music": 40.0} for i, x in enumerate("abc")}, half=1
    )
    made.tables["selection"] = columns(selection("1", "similarity", ONE, 1) + selection("2", "similarity", TWO, 2))
    made.config = "run: {targets: {ai: {dataset: crossner-ai}}}"
    assert main([str(made.write(tmp_path / "run")), "--out", str(tmp_path / "out")]) == 0
    index = (tmp_path / "out/index.md").read_text()
    assert "selections by similarity, m = 2, of 3 experts" in index
    assert "left out: selections by similarity, m = 1" in index
    notes = {claim["id"]: claim["runs"][0]["notes"] for claim in json.loads((tmp_path / "out/claims.json").read_text())}
    assert "selections by similarity, m = 2, of 3 experts" in notes["most_similar_not_always_best"]


def test_correlations_are_those_of_numpy_and_of_ranks():
    x, y = np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 3.0, 2.0, 10.0])
    assert pearson(x, y) == pytest.approx(np.corrcoef(x, y)[0, 1])
    assert spearman(x, y) == pytest.approx(0.8)  # 1 - 6 * 2 / (4 * 15)
    assert spearman(np.array([1.0, 1.0, 2.0]), np.array([5.0, 5.0, 6.0])) == pytest.approx(1)
    assert np.isnan(pearson(np.ones(3), np.arange(3.0)))


def test_the_interval_of_a_correlation_is_over_targets():
    def line(level, sign):
        return [Point(str(i), i / 10, Estimate(level + sign * i), False) for i in range(5)]

    rising = {str(target): line(10.0, 1) for target in range(4)}
    found = correlation(rising, pearson)
    assert (found.low, found.value, found.high) == pytest.approx((1, 1, 1))
    mixed = correlation({**rising, "odd": line(20.0, -1)}, pearson)
    assert mixed.low < mixed.value < mixed.high <= 1
    assert not correlation({"one": line(10.0, 1)}, pearson).has_interval


def embeddings(vectors):
    rows = [
        {"name": name, "kind": kind, "key": f"{kind} {name} {i}", "vector": np.array(vector, dtype=np.float32)}
        for i, (kind, name, vector) in enumerate(vectors)
    ]
    return pd.DataFrame(rows)


def test_a_map_keeps_distances_in_a_plane_and_has_one_sign():
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(5, 5)))[0]
    flat = np.zeros((4, 5))
    flat[:, 0], flat[:, 1], flat[:, 2] = 1, [0.4, -0.1, 0.0, 0.2], [0.05, 0.1, -0.2, 0.0]
    flat /= np.linalg.norm(flat, axis=1)[:, None]
    kinds = ("expert", "expert", "target", "target")
    places, remarks = domain_map(embeddings([(kind, n, row) for kind, n, row in zip(kinds, "abcd", 3 * flat @ turn.T)]))
    assert sum(places.shares) == pytest.approx(1, abs=0.02) and not remarks
    xy = np.array([(place.x, place.y) for place in places.points])
    between = np.linalg.norm(flat[:, None] - flat[None], axis=2)
    assert np.linalg.norm(xy[:, None] - xy[None], axis=2) == pytest.approx(between, abs=0.02)
    again, _ = domain_map(embeddings([(kind, n, row) for kind, n, row in zip(kinds, "abcd", flat @ turn.T)][::-1]))
    assert xy == pytest.approx(np.array([(place.x, place.y) for place in again.points]), abs=1e-6)


def test_the_map_is_drawn_and_says_which_names_it_has_twice(results, tmp_path):
    made = results().grid("demo", {"sam": {"ai": 1.0}})
    names, kinds = ["a", "a", "b", "ai"], ["expert", "expert", "expert", "target"]
    vectors = np.array([[1, 0, 0], [0.9, 0.1, 0], [0, 1, 0], [0.5, 0.5, 0.7]], dtype=np.float32)
    made.tables["embeddings"] = {"name": names, "kind": kinds, "key": list("1234"), "vectors": vectors}
    assert main([str(made.write(tmp_path / "run")), "--out", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out/figures/map.png").read_bytes().startswith(b"\x89PNG")
    assert "target" in (tmp_path / "out/figures/map.svg").read_text()
    assert "several points have the name a: of other seeds" in (tmp_path / "out/index.md").read_text()


def test_the_cost_of_selections_counts_each_pass_once(results, tmp_path):
    made = results().grid("pool_size", {"experts=2": {"ai": 50.0, "music": 60.0}}, half=1)
    rows = []
    for dataset in ("crossner-ai", "crossner-music"):
        two = {"a": (0.9, 1), "b": (0.5, 2)}
        rows += selection(f"ds {dataset}".replace(" ", "-"), "similarity", two, 2, dataset=dataset)
        rows += selection(f"se {dataset}".replace(" ", "-"), "sampling", two, 2, k=10, dataset=dataset)
    made.tables["selection"] = columns(rows)
    for cell in made.cells:
        dataset = f"crossner-{cell['target']}"
        cell["selections"] = f"ds-{dataset} se-{dataset}"
    tasks = {f"{e} on crossner-{t}": (2.0, 0, 100, 10) for e in "ab" for t in ("ai", "music")}
    tasks |= {f"of {e}": (0.5, 7, 0, 0) for e in ("a", "b", "crossner-ai", "crossner-music")}
    tasks |= {f"adapter of {e}": (99.0, 1000, 0, 0) for e in "ab"}
    cost = ("seconds", "bytes", "tokens_in", "tokens_out")
    made.tables["cost"] = {
        "key": list(tasks),
        **{name: [its[i] for its in tasks.values()] for i, name in enumerate(cost)},
    }
    assert main([str(made.write(tmp_path / "run")), "--out", str(tmp_path / "out")]) == 0
    text = (tmp_path / "out/tables/pool_size.md").read_text()
    assert "| toy | experts=2 | 2 | 4 | 440 | 8.0 | 2.0 | 2000 | 55.00" in text
    records = pd.read_csv(tmp_path / "out/comparison.csv")
    assert dict(zip(records["target"], records["run"]))["tokens"] == 440


def test_a_file_without_the_keys_of_selections_has_no_costs(results, tmp_path):
    made = results().grid("pool_size", {"experts=2": {"ai": 50.0}})
    assert main([str(made.write(tmp_path / "run")), "--out", str(tmp_path / "out")]) == 0
    assert "| toy | experts=2 | — | — |" in (tmp_path / "out/tables/pool_size.md").read_text()
