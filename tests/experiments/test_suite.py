"""What ``python -m experiments`` says and returns."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from experiments import __main__ as command_line
from experiments import heart_disease, runs, stem, suite
from experiments.__main__ import main
from experiments.runs import Failures, Work
from experiments.stem import Run
from experiments.tables import altered, digests, read_table, write_table
from simulation.config.errors import ConfigError
from simulation.config.sweep import Size

# ---- tables as files ----------------------------------------------------------------------------


def test_a_table_comes_back_as_it_was_written(tmp_path: Path, heart_runs: list[Run]) -> None:
    """CSV with six decimals: text, whole numbers and floats keep their kind."""
    table = heart_disease.table(heart_runs)
    write_table(tmp_path / "one.csv", table)
    again = read_table(tmp_path / "one.csv")
    assert len(again) == len(table)
    for one, other in zip(table, again, strict=True):
        assert [type(v) for v in one.values()] == [type(v) for v in other.values()]
        assert other == pytest.approx(one, abs=5e-7)
    write_table(tmp_path / "two.csv", again)
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()


def test_one_altered_number_is_found_and_named(tmp_path: Path) -> None:
    """The manifest seals every row and column, so that a changed cell is known by its place."""
    path = tmp_path / "t.csv"
    write_table(path, [{"n": n, "messages": 2.0 * n, "bytes": 3.0 * n} for n in (4, 7, 10)])
    sealed = digests(path)
    assert altered(path, sealed, ("n",)) == []
    path.write_text(path.read_text().replace("7,14.000000", "7,15.000000"))
    (found,) = altered(path, sealed, ("n",))
    assert "line 3: n 7, messages: holds 15.0" in found


# ---- the command --------------------------------------------------------------------------------


DRAW = suite.draw


def no_figure(name: str, _: Path, folder: Path) -> list[Path]:
    """In place of the figure, which takes seconds."""
    path = folder / f"{name}.svg"
    path.write_text("<svg/>")
    return [path]


def ends(monkeypatch: pytest.MonkeyPatch, failures: Failures, skipped: str | None = None) -> None:
    """Nothing is run: every stem ends at once, like this."""

    def survey(name: str, size: Size, out: Path, other_seeds: int = 0) -> Work:
        study = runs.study_of(name, size, other_seeds)
        return Work(name, size, out, other_seeds, study, skipped=skipped)

    monkeypatch.setattr(runs, "survey", survey)
    monkeypatch.setattr(runs, "run_missing", lambda works, *_: [(w, failures) for w in works])


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, heart_runs: list[Run]
) -> Callable[..., int]:
    """The command with runs that are there already, and a reference folder of its own."""
    for run in heart_runs:
        object.__setattr__(run, "directory", tmp_path / f"seed-{run.seed}")
        run.directory.mkdir(exist_ok=True)
        text = '{"trace_digest": "ab", "wall_s": 1.0}'
        (run.directory / "manifest.json").write_text(text)
    monkeypatch.setattr(stem, "REFERENCE", tmp_path / "reference")
    ends(monkeypatch, {})
    monkeypatch.setattr(suite, "gather", lambda _: heart_runs)
    monkeypatch.setattr(suite, "draw", no_figure)
    return lambda *arguments: main(
        [*(arguments or ("heart_disease",)), "--out", str(tmp_path / "out")]
    )


def update(command: Callable[..., int]) -> None:
    """Make the reference."""
    assert command("heart_disease", "--update") == 0


def test_an_equal_table_ends_with_0(
    command: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Draws, compares; 0 when everything is equal. ``--update`` makes the reference."""
    update(command)
    monkeypatch.setattr(suite, "draw", DRAW)
    kept = {path.name for path in (tmp_path / "reference").iterdir()}
    assert kept == {f"heart_disease.{kind}" for kind in suite.KINDS}
    capsys.readouterr()
    assert command() == 0
    said = capsys.readouterr()
    assert "| stem | claim | verdict | figure |" in said.out
    assert "does not hold: mean accuracy" in said.out
    assert "differ" not in said.err
    drawn = {path.suffix for path in (tmp_path / "out" / "figures").iterdir()}
    assert drawn == {".csv", ".json", ".svg", ".png", ".pdf"}


def test_a_difference_ends_with_3_and_names_it(
    command: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exits 3 on a mismatch, naming expected, got, tolerance and the run to look at."""
    update(command)
    path = tmp_path / "reference" / "heart_disease.csv"
    line = next(t for t in path.read_text().splitlines() if t.startswith("lr 0.01,pooled,auroc,2,"))
    cells = line.split(",")
    assert cells[5] == "0.750000"
    path.write_text(path.read_text().replace(line, ",".join([*cells[:5], "0.753000", *cells[6:]])))
    assert command() == 3
    said = capsys.readouterr()
    assert (
        "variant lr 0.01, scope pooled, metric auroc, round 2, mean: "
        f"expected 0.753, got 0.75, tolerance 0.002; see {tmp_path}/seed-42 and 4 more"
    ) in said.err
    assert "1 difference from" in said.err
    assert "(1 not as in the reference)" in said.out


def test_an_altered_reference_is_found_in_the_smoke_size_too(
    command: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Smoke runs make other numbers, but the reference must be what its manifest sealed."""
    update(command)
    assert command("heart_disease", "--smoke") == 0
    path = tmp_path / "reference" / "heart_disease.csv"
    path.write_text(path.read_text().replace("lr 0.01,pooled,auroc,2,5,0.750000", "x", 1))
    path.write_text(path.read_text().replace("x", "lr 0.01,pooled,auroc,2,5,0.760000"))
    assert command("heart_disease", "--smoke") == 3
    place = "variant lr 0.01, scope pooled, metric auroc, round 2, mean: holds 0.76"
    assert place in capsys.readouterr().err


def test_ledger_numbers_must_be_equal(command: Callable[..., int], tmp_path: Path) -> None:
    """Ledger-only columns must equal the reference exactly."""
    update(command)
    path = tmp_path / "reference" / "heart_disease.csv"
    text = path.read_text()
    assert "round,transactions,2,5,4.000000" in text
    path.write_text(text.replace("transactions,2,5,4.000000", "transactions,2,5,4.000001"))
    assert command() == 3


def test_other_seeds_are_held_to_the_means_and_the_verdict(
    command: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Ends of intervals are about the seeds themselves; a verdict that turns round is named."""
    update(command)
    path = tmp_path / "reference" / "heart_disease.csv"
    rows = read_table(path)
    write_table(path, [{**row, "low": float(row["low"]) - 5.0} for row in rows])
    assert command("heart_disease", "--other-seeds") == 0
    assert command() == 3

    capsys.readouterr()
    monkeypatch.setattr(
        heart_disease,
        "verdict",
        lambda table: stem.Verdict(min(row["low"] for row in table) < -4, "by its lowest end"),
    )
    assert command("heart_disease", "--other-seeds") == 3
    assert "verdict: expected holds, got does not hold" in capsys.readouterr().err


def test_there_are_as_many_other_lists_of_seeds_as_one_names(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Disjoint ones; what is not the number of a list is refused before anything is looked at."""
    lists = [runs.study_of("heart_disease", Size.QUICK, number) for number in range(3)]
    seeds = [seed for study in lists if study is not None for seed in study.seeds]
    assert len(set(seeds)) == len(seeds) == 3 * len(lists[0].seeds)

    for wrong in ("0", "-1", "heart_disease"):
        with pytest.raises(SystemExit) as ended:
            main(["--other-seeds", wrong])
        assert ended.value.code == 2
    assert "'heart_disease' is not the number of a list, 1 or more" in capsys.readouterr().err


def test_a_missing_reference_is_a_difference(
    command: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing to compare with is not the same as equal."""
    assert command() == 3
    assert "expected a reference table, got no file" in capsys.readouterr().err


def test_wrong_input_is_one_message_and_ends_with_2(
    command: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """2 wrong input; one clear message, no traceback."""

    def fail(*_: Any) -> Work:
        raise ConfigError("name: bad")

    monkeypatch.setattr(runs, "survey", fail)
    assert command() == 2
    assert "error: name: bad" in capsys.readouterr().err


def test_failed_runs_are_named_and_end_with_1(
    command: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """1 a run failed: every one is named, and the stem has a row that says so."""
    ends(monkeypatch, {Path("a"): "boom", Path("b"): "bang"})
    assert command() == 1
    said = capsys.readouterr()
    assert "error: a/FAILED: boom" in said.err
    assert "error: b/FAILED: bang" in said.err
    assert "| failed: a/FAILED: boom" in said.out


def test_wrong_arguments_end_with_2(
    command: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unknown stem and a folder that cannot be made are found before anything runs."""
    assert command("heart_diseases") == 2
    assert (
        "no experiment is called 'heart_diseases'; did you mean heart_disease?"
        in capsys.readouterr().err
    )
    (tmp_path / "file").write_text("x")
    assert main(["--out", str(tmp_path / "file")]) == 2
    assert "is a file" in capsys.readouterr().err
    assert command("heart_disease", "--smoke", "--update") == 2
    assert "references are made in the quick size" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_stem_without_its_data_is_skipped_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Missing data: a row with the reason and the remedy, no half-written run directory."""
    monkeypatch.setenv("WARDCHAIN_DATA", str(tmp_path / "empty"))
    assert main(["heart_disease", "--smoke", "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "| skipped: " in said
    assert "wardchain data fetch heart_disease" in said
    assert not (tmp_path / "out" / "runs").exists()


def test_data_errors_skip_one_stem_and_not_the_others(
    command: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Absent data are no failure: the suite ends with 0 where nothing else is wrong."""
    ends(monkeypatch, {}, skipped="no file; fetch it")
    assert command() == 0
    assert command_line.exit_code([]) == 0


# ---- runs that break ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "breaks", "broken"),
    [
        ("InvariantError: liveness: it waits", True, "liveness: it waits"),
        ("PropertyViolation: agreement", True, "agreement"),
        ("PropertyViolation: agreement", False, None),
        ("ValueError: a bug", True, None),
    ],
)
def test_a_broken_property_is_a_result_where_a_stem_asks_for_it(
    message: str, breaks: bool, broken: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``BREAKS``: such a run is not done again, and no failure; any other exception is one."""
    monkeypatch.setattr(heart_disease, "BREAKS", breaks, raising=False)
    (tmp_path / "FAILED").write_text("x")
    (tmp_path / "manifest.json").write_text(json.dumps({"failure": {"message": message}}))
    assert runs.broken_property("heart_disease", tmp_path) == broken
