"""Results as data frames: numbers are numbers, every run is there, and a wrong place is said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from experiments.frames import metrics_frame, table_frame
from experiments.stem import REFERENCE
from experiments.tables import read_table
from simulation.config.errors import ConfigError
from simulation.runs.artifacts import write_metrics


def test_a_reference_is_a_frame_by_the_name_of_its_stem() -> None:
    """The same rows and columns as in the file; what is ``none`` is missing among numbers."""
    frame, rows = table_frame("byzantine_grid"), read_table(REFERENCE / "byzantine_grid.csv")
    assert list(frame.columns) == list(rows[0])
    assert len(frame) == len(rows)
    assert frame["auroc"].isna().sum() == sum(row["auroc"] == "none" for row in rows) > 0
    assert frame["auroc"].max() == max(r["auroc"] for r in rows if r["auroc"] != "none")
    assert set(frame["byzantine"]) == {"none", "silent", "lying"}


def a_run(folder: Path, seed: int) -> None:
    """A finished run with one metric."""
    place = folder / "x" / "abc" / f"seed-{seed}"
    place.mkdir(parents=True)
    row = {"round": 1, "scope": "pooled", "metric": "auroc", "value": 0.5 + seed, "t_us": 7}
    write_metrics(place, [row])
    about = {"name": "x", "config_hash": "0123456789abcdef", "seed": seed}
    (place / "manifest.json").write_text(json.dumps(about))
    (place / "DONE").write_text("")


def test_runs_below_a_folder_are_one_frame(tmp_path: Path) -> None:
    """Each row says which run it is of; failed runs are listed and not forgotten."""
    for seed in (1, 2):
        a_run(tmp_path, seed)
    (tmp_path / "x" / "abc" / "seed-3").mkdir()
    (tmp_path / "x" / "abc" / "seed-3" / "FAILED").write_text("error")
    frame = metrics_frame(tmp_path)
    assert frame[["name", "config", "seed", "value"]].to_numpy().tolist() == [
        ["x", "0123456789ab", 1, 1.5],
        ["x", "0123456789ab", 2, 2.5],
    ]
    assert frame.attrs["failed"] == [str(tmp_path / "x" / "abc" / "seed-3")]


def test_a_wrong_place_is_said(tmp_path: Path) -> None:
    """What, where, and what to do about it."""
    with pytest.raises(ConfigError, match="did you mean poisoning"):
        table_frame("poisonin")
    with pytest.raises(ConfigError, match=r"none\.csv: there is no such table"):
        table_frame(tmp_path / "none.csv")
    with pytest.raises(ConfigError, match="holds no run"):
        metrics_frame(tmp_path)
