"""The file named by SAMNER_RESULTS, as `samner run` wrote it, opens in the usual libraries."""

import os
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import xarray

from samner_analysis.cli import main
from samner_analysis.resample import Sentences
from samner_analysis.runs import read_run

NAMED = os.environ.get("SAMNER_RESULTS")


@pytest.fixture
def path(results, tmp_path):
    """That file, else one of the same layout."""
    if NAMED:
        return Path(NAMED)
    rows = {"unified": {"ai": 50.0, "music": 60.0}, "sam": {"ai": 55.0, "music": None}}
    return results().grid("table01", rows, half=1).write(tmp_path / "run") / "results.h5"


def test_h5py_reads_every_dataset_and_each_says_what_it_holds(path):
    datasets = []
    with h5py.File(path) as file:
        file.visititems(lambda name, item: datasets.append(item) if isinstance(item, h5py.Dataset) else None)
        assert datasets
        for dataset in datasets:
            assert dataset[()].shape == dataset.shape
            assert "units" in dataset.attrs or "long_name" in dataset.attrs, dataset.name


def test_cells_become_a_data_frame(path):
    with h5py.File(path) as file:
        cells = pd.DataFrame({k: v.asstr()[:] if v.dtype == object else v[:] for k, v in file["cells"].items()})
    assert len(cells) and {"experiment", "base", "system", "target", "seed", "f1", "low", "high"} <= set(cells.columns)
    f1 = cells["f1"].dropna()
    assert ((f1 >= 0) & (f1 <= 1)).all()


def test_every_cell_is_the_sum_of_its_sentences(path):
    with h5py.File(path) as file:
        if "sentences" not in file:
            pytest.skip("made without counts by sentence")
        cells = pd.DataFrame({k: file["cells"][k][:] for k in ("first", "sentences", "tp", "fp", "fn", "low", "high")})
        cells["texts"] = file["cells/texts"].asstr()[:]
        sentences = pd.DataFrame({k: v[:] for k, v in file["sentences"].items()})
    assert all(sentences.dtypes == np.int32) and cells["sentences"].sum() == len(sentences)
    behind = np.repeat(np.arange(len(cells)), cells["sentences"])
    for name in ("tp", "fp", "fn"):
        assert (np.bincount(behind, sentences[name], minlength=len(cells)) == cells[name]).all()
    assert (cells["first"] == cells["sentences"].cumsum() - cells["sentences"]).all()
    with xarray.open_dataset(path, group="/sentences", engine="h5netcdf", phony_dims="sort") as table:
        assert int(table["tp"].sum()) == cells["tp"].sum()


def test_drawn_sentences_give_the_intervals_of_samner(path):
    """Both draw 1,000 times: the ends of a normal distribution's interval then differ by a twelfth of its deviation."""
    cells = read_run(str(path)).cells
    if "texts" not in cells:
        pytest.skip("made without counts by sentence")
    with h5py.File(path) as file:
        sentences = Sentences(pd.DataFrame({k: v[:] for k, v in file["sentences"].items()}))
    wide = cells[(cells["trial"] == 0) & (cells["status"] == "done") & (cells["high"] - cells["low"] > 0.1)].head(200)
    ends = np.array([np.percentile(sentences.f1(row["texts"], sentences.counts(row)), (2.5, 97.5)) / 100
                     for _, row in wide.iterrows()])  # fmt: skip
    low, high = wide["low"].to_numpy(), wide["high"].to_numpy()
    assert len(ends) and np.median(np.abs(ends - np.stack([low, high], axis=1)) / (high - low)[:, None]) < 0.05


def test_xarray_opens_every_table_by_its_names(path):
    with h5py.File(path) as file:
        names = list(file["tables"])
    for name in names:
        with xarray.open_dataset(path, group=f"/tables/{name}", engine="h5netcdf") as table:
            assert table["f1"].dims == table["status"].dims == ("target", "system", "seed")
            system, target = str(table["system"][0].item()), str(table["target"][0].item())
            value = table["f1"].sel(system=system, target=target).values
            assert np.isnan(value).all() or ((value >= 0) & (value <= 1)).all()


def test_the_analysis_reads_it(path, tmp_path):
    assert main([str(path.parent), "--out", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out/index.md").is_file()
