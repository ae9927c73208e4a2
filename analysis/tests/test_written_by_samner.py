"""The file named by SAMNER_RESULTS, as `samner run` wrote it, opens in the usual libraries."""

import os
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import xarray

from samner_analysis.cli import main

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
