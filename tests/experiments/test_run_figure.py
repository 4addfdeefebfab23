"""The figure of a run, drawn from rows; every kind of run has one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from experiments import run_figure as run_figure_module
from experiments import style
from experiments.run_figure import description, draw_run, run_figure
from simulation.config.dump import config_hash
from simulation.config.experiment import Experiment
from simulation.config.load import load
from simulation.runs.artifacts import write_config, write_metrics
from simulation.runs.provenance import revision

ROOT = Path(__file__).parents[2]


@pytest.fixture
def experiment() -> Experiment:
    """The quickstart."""
    return load(ROOT / "configs" / "quickstart.yaml")


@pytest.fixture
def run_dir(tmp_path: Path, experiment: Experiment, run_rows: Callable[..., Any]) -> Path:
    """A run directory as it is just before it is sealed: there is no manifest yet."""
    folder = tmp_path / ".seed-42.building"
    folder.mkdir()
    write_config(folder, experiment)
    write_metrics(folder, run_rows())
    return folder


def test_a_run_is_drawn_into_its_own_directory(run_dir: Path) -> None:
    """Writes PNG and SVG into the run directory, before the run is sealed."""
    paths = draw_run(run_dir)
    assert [path.name for path in paths] == ["figure.png", "figure.svg"]
    assert all(path.parent == run_dir and path.stat().st_size > 5000 for path in paths)


def test_a_run_is_drawn_again_byte_for_byte(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same run gives the same files, also under its final name and by a later revision."""
    before = {path.name: path.read_bytes() for path in draw_run(run_dir)}
    final = run_dir.rename(run_dir.with_name("seed-42"))
    (final / "manifest.json").write_text(json.dumps({"git": revision()}))
    monkeypatch.setattr(run_figure_module, "revision", lambda: {"revision": "f00", "dirty": False})
    assert {path.name: path.read_bytes() for path in draw_run(final)} == before


def test_a_figure_says_which_configuration_and_revision_it_is_of(
    run_dir: Path, experiment: Experiment
) -> None:
    """Figures carry the configuration's hash and the revision in their metadata."""
    text = next(p for p in draw_run(run_dir) if p.name == "figure.svg").read_text(encoding="utf-8")
    source = text.split("<dc:source>")[1].split("</dc:source>")[0]
    assert source.startswith(f"configuration, SHA-256 {config_hash(experiment)}; revision ")


@pytest.mark.parametrize(
    ("rounds", "private", "measured", "axes"),
    [
        (3, True, True, 5),
        (3, False, True, 3),
        (1, True, True, 5),
        (3, True, False, 1),
        (60, True, True, 5),
    ],
)
def test_what_a_run_does_not_have_is_left_out(
    experiment: Experiment, run_rows: Callable[..., Any],
    rounds: int, private: bool, measured: bool, axes: int,
) -> None:  # fmt: skip
    """No privacy, no ε; foreign apps with their own model, no measurements; the time is there."""
    with style.figure_style():
        figure = run_figure(run_rows(rounds, private, measured), experiment, "x")
    assert len(figure.axes) == axes


def test_the_bars_are_as_high_as_the_rounds_are_long(
    experiment: Experiment, run_rows: Callable[..., Any]
) -> None:
    """A stacked bar of where each round's virtual time went: the phases add up to the round."""
    with style.figure_style():
        figure = run_figure(run_rows(3), experiment, "x")
    bars = figure.axes[-1].patches
    tops = [bar.get_y() + bar.get_height() for bar in bars if abs(bar.get_x() + 0.39 - 2) < 0.01]
    assert max(tops) == pytest.approx(400)  # in ms
    texts = [text.get_text() for text in figure.axes[-1].texts]
    assert "consensus 38%" in texts
    assert len(texts) == 6


def test_both_curves_are_drawn_against_round_and_against_time(
    experiment: Experiment, run_rows: Callable[..., Any]
) -> None:
    """AUROC and ε against round and against virtual time."""
    with style.figure_style():
        figure = run_figure(run_rows(3), experiment, "x")
    auroc_round, spent_round, auroc_time, spent_time = figure.axes[:4]
    assert list(auroc_round.lines[-1].get_xdata()) == [0, 1, 2, 3]
    assert list(auroc_time.lines[-1].get_xdata()) == [0, 400, 800, 1200]
    assert list(auroc_round.lines[-1].get_ydata()) == list(auroc_time.lines[-1].get_ydata())
    assert list(spent_round.lines[0].get_xdata()) == [1, 2, 3]
    assert list(spent_time.lines[0].get_xdata()) == [400, 800, 1200]
    assert spent_time.get_xlabel() == "virtual time (ms)"


def test_the_description_says_what_was_run(experiment: Experiment) -> None:
    """Hospitals, strategy, privacy, ledger, network and seed in one line."""
    text = description(experiment, Path(".seed-7.building"))
    assert text == ("7 hospitals, FedAvg, DP-SGD, PBFT with 7 replicas, national network, seed 7")
    plain = load(ROOT / "configs" / "quickstart.yaml", ["ledger=none", "privacy=none"])
    assert "no differential privacy, no ledger" in description(plain, Path("seed-7"))
