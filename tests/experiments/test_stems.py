"""What holds a stem together: claim, configuration, module, reference and its row in the list."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import pytest

from experiments import listing, suite
from experiments.runs import study_of
from experiments.stem import REFERENCE, ROOT, Verdict, config_of, stem_module, stems
from experiments.tables import digests, read_table
from simulation.config.errors import ConfigError
from simulation.config.study import load_study, written_digest
from simulation.config.sweep import Size

MADE = [stem for stem in stems() if (REFERENCE / f"{stem}.csv").is_file()]
"""Stems whose reference has been made; the list says of the others that theirs has not."""


def test_every_reference_belongs_to_a_stem() -> None:
    """``results/reference/`` holds whole references, and the picture in the README."""
    expected = {f"{stem}.{kind}" for stem in MADE for kind in suite.KINDS}
    assert {path.name for path in REFERENCE.iterdir()} == expected | {"quickstart.svg"}
    assert "heart_disease" in MADE


@pytest.mark.parametrize("stem", stems())
def test_a_stem_has_all_its_parts(stem: str) -> None:
    """A claim, keys, a table from runs or of its own, a figure, a verdict, a configuration."""
    module, config = stem_module(stem), config_of(stem)
    assert module.CLAIM
    assert not module.CLAIM.endswith(".")
    assert module.KEYS
    assert callable(module.figure)
    assert callable(module.verdict)
    assert hasattr(module, "table") != hasattr(module, "compute")
    if config is None:
        assert not (ROOT / "configs" / f"{stem}.yaml").exists()
    else:
        assert load_study(config).name == stem


@pytest.mark.parametrize("stem", [stem for stem in stems() if config_of(stem)])
def test_the_smoke_size_is_the_smaller_one(stem: str) -> None:
    """Three sizes: smoke runs in seconds, so it must leave most of the quick size out."""
    smoke, quick, full = (study_of(stem, size) for size in Size)
    assert smoke is not None
    assert quick is not None
    assert full is not None
    runs = [len(study.points) * len(study.seeds) for study in (smoke, quick, full)]
    assert runs[0] < runs[1] <= runs[2]
    columns = {tuple(point.labels) for study in (smoke, quick, full) for point in study.points}
    assert len(columns) == 1


@pytest.mark.parametrize("stem", MADE)
def test_a_reference_is_what_its_manifest_says(stem: str) -> None:
    """The manifest seals the table and names size, machine, versions, points and seeds; a changed
    configuration needs a new reference."""
    manifest = suite.read_reference_manifest(stem)
    path = REFERENCE / f"{stem}.csv"
    assert manifest["csv_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert {name: manifest[name] for name in digests(path)} == digests(path)
    assert manifest["size"] == "quick"
    assert manifest["host"]["cores"] > 0
    assert manifest["versions"]["python"]
    assert manifest["minutes"] >= 0
    study = study_of(stem, Size.QUICK)
    if study is not None:
        assert manifest["seeds"] == list(study.seeds)
        assert manifest["config_digest"] == written_digest(ROOT / manifest["config"])
        assert [p["labels"] for p in manifest["points"]] == [dict(p.labels) for p in study.points]
        for point in manifest["points"]:
            assert list(point["trace_digests"]) == [str(seed) for seed in study.seeds]


@pytest.mark.parametrize("stem", MADE)
def test_a_reference_figure_is_a_function_of_the_table(stem: str, tmp_path: Path) -> None:
    """A figure is a pure function of the committed CSV and manifest; its metadata name both.

    ``python -m experiments --redraw`` draws them anew.
    """
    manifest = suite.read_reference_manifest(stem)
    if manifest["versions"]["matplotlib"] != mpl.__version__:
        pytest.skip("the reference was drawn by another version of matplotlib")
    (path,) = suite.draw(stem, REFERENCE, tmp_path, ["svg"])
    assert path.read_bytes() == (REFERENCE / f"{stem}.svg").read_bytes()
    text = path.read_text(encoding="utf-8")
    assert (
        f"table, SHA-256 {manifest['csv_sha256']}; revision {manifest['git']['revision']}" in text
    )
    assert manifest.get("config_digest", f"experiments/{stem}.py") in text


@pytest.mark.parametrize("stem", MADE)
def test_a_verdict_is_one_sentence_with_numbers(stem: str) -> None:
    """Holds or does not hold, and one sentence from the data."""
    verdict = stem_module(stem).verdict(read_table(REFERENCE / f"{stem}.csv"))
    assert isinstance(verdict, Verdict)
    assert isinstance(verdict.holds, bool)
    assert re.search(r"\d", verdict.because)
    assert not verdict.because.endswith(".")


def test_the_list_of_stems_is_fresh() -> None:
    """``python -m experiments --write-readme`` writes it; every verdict is that of the data."""
    page = listing.README.read_text(encoding="utf-8")
    assert page == listing.with_list(page)
    for stem in stems():
        assert page.count(f"\n| `{stem}` |") == 1
        row = page.split(f"\n| `{stem}` |")[1].split("\n")[0]
        assert ("no reference yet" in row) == (stem not in MADE)


def test_an_unknown_stem_is_refused_with_the_known_ones() -> None:
    """The message names what there is to choose from."""
    with pytest.raises(ConfigError, match=r"choose one of .*consensus_scaling"):
        stem_module("zzz")


# ---- adding one ---------------------------------------------------------------------------------

CONFIG = """\
name: my_stem
seeds: [1, 2]
hospitals: 4
ledger: none
consensus: sequencer
workload: {kind: closed, clients: 1, warmup_s: 0.1, measure_s: 0.5}
sweep:
  axes:
    hospitals: [4, 5]
  smoke: {seeds: [1]}
"""
MODULE = '''\
"""More hospitals, same latency."""

from experiments import style
from experiments.statistics import spread
from experiments.stem import Verdict, by_point
from matplotlib.figure import Figure

CLAIM = "A fifth hospital does not halve the latency"
KEYS = ("hospitals",)


def table(runs):
    rows = []
    for labels, members in by_point(runs):
        latency = [run.last("workload", "latency_mean_us") / 1000 for run in members]
        rows.append({**labels, **spread("latency_ms", latency)})
    return rows


def verdict(table):
    four, five = (row["latency_ms"] for row in table)
    return Verdict(five > four / 2, f"{four:.1f} ms with four, {five:.1f} ms with five")


def figure(table):
    drawing = Figure(figsize=(style.COLUMN_IN, 2))
    style.interval_line(drawing.subplots(), table, "hospitals", "latency_ms")
    return drawing
'''
FOLLOW = """\
import shlex, sys
from experiments.__main__ import main
from simulation.cli import app
for line in sys.argv[1:]:
    program, *rest = shlex.split(line)
    code = app(rest, standalone_mode=False) if program == "wardchain" else main(rest[2:])
    assert code == 0, (line, code)
"""


def test_a_stem_is_added_by_following_the_readme(tmp_path: Path) -> None:
    """Adding a figure is documented in ten lines: two files, and the commands that are quoted."""
    section = listing.README.read_text(encoding="utf-8").split("## Adding one")[1].split("\n##")[0]
    text = " ".join(section.split())
    commands = re.findall(r"`((?:wardchain check|python -m experiments)[^`]*)`", text)
    assert len(commands) == 4
    shutil.copytree(ROOT / "experiments", tmp_path / "experiments")
    shutil.copytree(REFERENCE, tmp_path / "results" / "reference")
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    (tmp_path / "simulation").symlink_to(ROOT / "simulation")
    (tmp_path / "configs" / "my_stem.yaml").write_text(CONFIG)
    (tmp_path / "experiments" / "my_stem.py").write_text(MODULE)

    subprocess.run(
        [sys.executable, "-c", FOLLOW, *commands, "python -m experiments my_stem"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        check=True,
        timeout=240,
    )

    page = (tmp_path / "experiments" / "README.md").read_text(encoding="utf-8")
    assert "| `my_stem` | A fifth hospital does not halve the latency | **holds**:" in page
    kept = {path.name for path in (tmp_path / "results" / "reference").glob("my_stem.*")}
    assert kept == {f"my_stem.{kind}" for kind in suite.KINDS}
