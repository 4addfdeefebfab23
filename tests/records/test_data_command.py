"""``wardchain data``: what it says about sources whose files are not here."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from experiments.data_figure import data_figure
from simulation.base.rng import Streams
from simulation.cli.data import describe, fetch, list_
from simulation.records.ceiling import ceiling
from simulation.records.errors import DataError
from simulation.records.registry import SOURCES, source_of
from simulation.records.sources.synthetic import EXAMPLE_HOSPITALS, EXAMPLE_SEED


def _files_of(kind: str, text: str) -> str:
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"{kind}: "))
    return next(line for line in lines[start:] if line.startswith("    files: "))


def test_a_source_without_a_download_says_what_to_do_by_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No fetch is suggested where there is nothing to fetch; file and digest are named instead."""
    monkeypatch.setenv("WARDCHAIN_DATA", str(tmp_path))
    monkeypatch.setitem(SOURCES, "ist", replace(SOURCES["ist"], download=None))
    list_()
    said = _files_of("ist", capsys.readouterr().out)
    assert "data fetch" not in said
    assert "by hand" in said
    assert str(tmp_path / "ist-stroke" / "IST.csv") in said
    assert "0400322154c1f845" in said


@pytest.mark.parametrize("kind", ["csv", "fhir", "synthea_csv"])
def test_ones_own_files_do_not_come_with_the_program(
    kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A source that reads a path says so, in the list and when fetched."""
    list_()
    listed = _files_of(kind, capsys.readouterr().out)
    fetch(kind)
    fetched = capsys.readouterr().out
    for said in (listed, fetched):
        assert "comes with the program" not in said
        assert "data.path" in said


# ---- describe -----------------------------------------------------------------------------------


def test_the_ceiling_is_printed_and_is_the_one_of_the_labels(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Hospitals, sizes, label rates, gaps, and the best attainable AUROC, which the drawn labels
    confirm."""
    describe("synthetic", json=True)
    report = json.loads(capsys.readouterr().out)
    source = source_of("synthetic")
    table = source.table(source.params(), EXAMPLE_HOSPITALS, Streams(EXAMPLE_SEED))
    assert len(report["hospitals"]) == EXAMPLE_HOSPITALS
    assert sum(line["rows"] for line in report["hospitals"]) == len(table.y)
    assert report["everybody"]["positive"] == pytest.approx(table.y.mean())
    assert 0.02 < report["everybody"]["missing"] < 0.5
    assert report["everybody"]["shared"] > 0
    assert report["ceiling_auroc"] == pytest.approx(roc_auc_score(table.y, table.risk), abs=0.02)
    assert 0.72 < report["ceiling_auroc"] < 0.78
    describe("synthetic")
    shown = capsys.readouterr().out
    assert (
        f"best attainable AUROC (the labels' own probability): {report['ceiling_auroc']:.3f}"
        in (shown)
    )


def test_the_ceiling_is_the_expected_auroc() -> None:
    """The mean over many draws of the labels; 1/2 where all probabilities are one."""
    rng = np.random.default_rng(0)
    risk = np.round(rng.beta(1, 4, 400), 2)
    drawn = [roc_auc_score((rng.random(400) < risk).astype(int), risk) for _ in range(300)]
    assert ceiling(risk) == pytest.approx(np.mean(drawn), abs=0.005)
    assert ceiling(np.full(9, 0.3)) == pytest.approx(0.5)


def test_a_configuration_is_described_as_it_is_dealt(capsys: pytest.CaptureFixture[str]) -> None:
    """The quickstart's seven hospitals, of 569 rows in all, without times, gaps or ceiling."""
    quickstart = Path(__file__).parents[2] / "configs" / "quickstart.yaml"
    describe(str(quickstart), json=True)
    report = json.loads(capsys.readouterr().out)
    assert len(report["hospitals"]) == 7
    assert report["everybody"]["rows"] == 569
    assert report["everybody"]["missing"] == 0
    assert report["ceiling_auroc"] is None


def test_what_the_columns_mean_is_said(real_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Label, hospital, missing cells, and of every column its unit, its place and its meaning."""
    del real_data
    describe("heart_disease")
    shown = capsys.readouterr().out
    assert "label 1: narrowing of a vessel by more than half (num > 0)" in shown
    assert "hospital: one file for each" in shown
    assert "missing: '?'" in shown
    (line,) = [line for line in shown.splitlines() if line.strip().startswith("trestbps")]
    assert line.split() == [
        "trestbps", "mm[Hg]", "observation", "resting", "blood", "pressure", "on", "admission",
    ]  # fmt: skip
    describe("heart_disease", json=True)
    fields = json.loads(capsys.readouterr().out)["schema"]["fields"]
    assert {field["name"]: field["unit"] for field in fields}["chol"] == "mg/dL"


def test_a_description_is_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Sizes, label rates, gaps and, where rows have a time, drift: a panel each."""
    quickstart = Path(__file__).parents[2] / "configs" / "quickstart.yaml"
    describe(str(quickstart), figures=tmp_path / "drawn")
    shown = capsys.readouterr().out.splitlines()
    names = sorted(path.name for path in (tmp_path / "drawn").iterdir())
    assert names == ["data.pdf", "data.png", "data.svg"]
    assert all(str(tmp_path / "drawn" / name) in shown for name in names)
    line = {"name": "a", "rows": 9, "positive": 0.2, "missing": 0.1, "early": 0.1, "late": 0.3}
    found = {"kind": "k", "title": "t", "hospitals": [line], "everybody": line}
    assert len(data_figure({**found, "from_day": None, "until_day": None}).axes) == 3
    timed = data_figure({**found, "from_day": "2015-01-01", "until_day": "2019-12-31"})
    assert len(timed.axes) == 4
    (bar,) = timed.axes[0].patches
    assert bar.get_width() == 9


def test_a_source_that_needs_more_says_what(capsys: pytest.CaptureFixture[str]) -> None:
    """A table of one's own cannot be described by the word csv."""
    with pytest.raises(DataError, match=r"csv cannot be described by its name alone.*--path"):
        describe("csv")
    assert not capsys.readouterr().out
