"""What holds a stem together, and what ``python -m experiments`` says and returns."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from experiments import STEMS, heart_disease, suite
from experiments.__main__ import main
from experiments.suite import Run, RunFailedError
from simulation.config.errors import ConfigError
from simulation.records.errors import DataError

PARTS = {"__init__.py", "__main__.py", "run_figure.py", "statistics.py", "style.py", "suite.py"}
README = (suite.ROOT / "experiments" / "README.md").read_text(encoding="utf-8")


# ---- one claim, one stem ------------------------------------------------------------------------


def test_every_module_is_a_part_or_a_stem() -> None:
    """One claim, one stem: no module of an experiment is left out of the list."""
    modules = {path.name for path in (suite.ROOT / "experiments").glob("*.py")}
    assert modules - PARTS == {f"{stem}.py" for stem in STEMS}


def test_every_reference_belongs_to_a_stem() -> None:
    """``results/reference/`` holds what the stems have, and the picture in the README."""
    expected = {f"{s}.{kind}" for s in STEMS for kind in ("csv", "manifest.json", "svg")}
    expected.add("quickstart.svg")
    assert {path.name for path in suite.REFERENCE.iterdir()} == expected


@pytest.mark.parametrize("stem", STEMS)
def test_a_stem_has_all_its_parts(stem: str) -> None:
    """Configuration of the same name, module, reference, and one row in the list."""
    module = suite.stem_module(stem)
    for name in ("VARIANTS", "KEYS", "TOLERANCES", "table", "figure", "summary"):
        assert hasattr(module, name)
    for experiment in suite.experiments_of(stem).values():
        assert experiment.name == stem
    assert README.count(f"\n| `{stem}` |") == 1
    for part in (f"configs/{stem}.yaml", f"reference/{stem}.svg", f"reference/{stem}.csv"):
        assert part in README


@pytest.mark.parametrize("stem", STEMS)
def test_a_reference_is_what_its_manifest_says(stem: str) -> None:
    """The manifest names table, overrides and seeds; a changed one needs a new reference."""
    manifest = suite.read_reference_manifest(stem)
    table = (suite.REFERENCE / f"{stem}.csv").read_bytes()
    assert manifest["csv_sha256"] == hashlib.sha256(table).hexdigest()
    for name, experiment in suite.experiments_of(stem).items():
        variant = manifest["variants"][name]
        assert variant["overrides"] == list(suite.stem_module(stem).VARIANTS[name])
        assert variant["seeds"] == list(experiment.seeds)
        assert list(variant["trace_digests"]) == [str(seed) for seed in experiment.seeds]
    assert manifest["tolerances"] == dict(suite.stem_module(stem).TOLERANCES)


def test_an_unknown_stem_is_refused_with_the_known_ones() -> None:
    """The message names what there is to choose from."""
    with pytest.raises(ConfigError, match="choose from heart_disease"):
        suite.stem_module("suite")


# ---- tables as files ----------------------------------------------------------------------------


def test_a_table_comes_back_as_it_was_written(tmp_path: Path, heart_runs: list[Run]) -> None:
    """CSV with six decimals: text, whole numbers and floats keep their kind."""
    table = heart_disease.table(heart_runs)
    suite.write_table(tmp_path / "one.csv", table)
    again = suite.read_table(tmp_path / "one.csv")
    assert len(again) == len(table)
    for one, other in zip(table, again, strict=True):
        assert [type(v) for v in one.values()] == [type(v) for v in other.values()]
        assert other == pytest.approx(one, abs=5e-7)
    suite.write_table(tmp_path / "two.csv", again)
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()


# ---- the command --------------------------------------------------------------------------------


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, heart_runs: list[Run]
) -> Callable[..., int]:
    """The command with runs that are there already, and a reference folder of its own."""
    for run in heart_runs:
        object.__setattr__(run, "directory", tmp_path)
    (tmp_path / "manifest.json").write_text('{"trace_digest": "ab"}')
    monkeypatch.setattr(suite, "REFERENCE", tmp_path / "reference")
    monkeypatch.setattr(suite, "run_missing", lambda *_: heart_runs)
    return lambda *arguments: main([*arguments, "--out", str(tmp_path / "out")])


def test_an_equal_table_ends_with_0(
    command: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Draws, compares; 0 when everything is equal. ``--update`` makes the reference."""
    assert command("heart_disease", "--update") == 0
    kept = {path.name for path in (tmp_path / "reference").iterdir()}
    assert kept == {f"heart_disease.{kind}" for kind in ("csv", "svg", "manifest.json")}
    assert command() == 0
    assert "equal to the reference" in capsys.readouterr().out
    drawn = {path.suffix for path in (tmp_path / "out" / "figures").iterdir()}
    assert drawn == {".csv", ".json", ".svg", ".png", ".pdf"}


def test_a_difference_ends_with_3_and_names_it(
    command: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exits 3 on a mismatch, naming expected, got and tolerance."""
    command("--update")
    path = tmp_path / "reference" / "heart_disease.csv"
    line = next(t for t in path.read_text().splitlines() if t.startswith("lr 0.01,pooled,auroc,2,"))
    cells = line.split(",")
    assert cells[5] == "0.750000"
    path.write_text(path.read_text().replace(line, ",".join([*cells[:5], "0.753000", *cells[6:]])))
    assert command() == 3
    said = capsys.readouterr().err
    assert (
        "variant lr 0.01, scope pooled, metric auroc, round 2, mean: "
        "expected 0.753, got 0.75, tolerance 0.002"
    ) in said
    assert "1 difference from" in said


def test_ledger_numbers_must_be_equal(command: Callable[..., int], tmp_path: Path) -> None:
    """Ledger-only columns must equal the reference exactly."""
    command("--update")
    path = tmp_path / "reference" / "heart_disease.csv"
    text = path.read_text()
    assert "round,transactions,2,5,4.000000" in text
    path.write_text(text.replace("transactions,2,5,4.000000", "transactions,2,5,4.000001"))
    assert command() == 3


def test_a_missing_reference_is_a_difference(
    command: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing to compare with is not the same as equal."""
    assert command() == 3
    assert "expected a reference table, got no file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"),
    [(ConfigError("name: bad"), 2), (DataError("no file"), 2), (RunFailedError("seed 42"), 1)],
)
def test_what_goes_wrong_is_one_message_and_a_code(
    command: Callable[..., int], monkeypatch: pytest.MonkeyPatch, error: Exception, code: int,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """1 a run failed, 2 wrong input; one clear message, no traceback."""

    def fail(*_: Any) -> list[Run]:
        raise error

    monkeypatch.setattr(suite, "run_missing", fail)
    assert command() == code
    assert f"error: {error}" in capsys.readouterr().err


def test_wrong_arguments_end_with_2(
    command: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unknown stem and a folder that cannot be made are found before anything runs."""
    assert command("heart") == 2
    assert "no experiment is called 'heart'" in capsys.readouterr().err
    (tmp_path / "file").write_text("x")
    assert main(["--out", str(tmp_path / "file")]) == 2
    assert "is a file" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_missing_data_ends_with_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Missing data: one message with the remedy, no half-written run directory."""
    monkeypatch.setenv("WARDCHAIN_DATA", str(tmp_path / "empty"))
    assert main(["--out", str(tmp_path / "out")]) == 2
    assert "wardchain data fetch heart_disease" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
