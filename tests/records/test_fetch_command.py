"""``wardchain data fetch`` shows how far it is, and can be interrupted."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest

from simulation.cli.data import fetch
from simulation.cli.transfer import PlainTransfer
from tests.records.home import Home


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARDCHAIN_DATA", str(tmp_path))


def test_progress_is_told_on_standard_error(
    small_home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Standard output names the files, or is one JSON object, and nothing else."""
    fetch("small", json=True)
    said = capsys.readouterr()
    target = str(tmp_path / "small/a.data")
    assert json.loads(said.out) == {"kind": "small", "files": [target]}
    size = len(small_home.body)
    lines = [f"small: 0 B of {size} B (0 %)", f"small: {size} B of {size} B (100 %)"]
    assert said.err.splitlines() == lines
    fetch("small")
    said = capsys.readouterr()
    assert (said.out, said.err) == (f"{target}\n", "")


def test_a_terminal_gets_a_bar(
    small_home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Drawn on standard error as well."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    fetch("small", json=True)
    said = capsys.readouterr()
    assert json.loads(said.out)["kind"] == "small"
    assert "━" in said.err


def test_an_interrupted_fetch_says_how_to_go_on(
    small_home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The part file stays, and the same command asks for the rest only."""
    small_home.breaks_after = 50

    def interrupt(_: PlainTransfer, here: int, _total: int | None) -> None:
        if here == 50:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(PlainTransfer, "report", interrupt)
        with pytest.raises(click.ClickException) as ended:
            fetch("small")
    part = tmp_path / "small/home.zip.download.part"
    expected = f"interrupted; 'wardchain data fetch small' goes on from {part}"
    assert ended.value.message == expected
    assert part.stat().st_size == 50
    small_home.breaks_after = None
    fetch("small")
    assert small_home.asked[1][0] == "bytes=50-"


def test_plain_lines_are_few(capsys: pytest.CaptureFixture[str]) -> None:
    """One for each tenth; for each megabyte where the home does not say the size."""
    known, unknown = PlainTransfer("a"), PlainTransfer("b")
    for here in range(0, 2_000_001, 1000):
        known.report(here, 2_000_000)
        unknown.report(here, None)
    lines = capsys.readouterr().err.splitlines()
    assert len([line for line in lines if line.startswith("a: ")]) == 11
    assert [line for line in lines if line.startswith("b: ")] == [
        "b: 0 B of an unknown number",
        "b: 1.0 MB of an unknown number",
        "b: 2.0 MB of an unknown number",
    ]
