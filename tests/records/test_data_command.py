"""``wardchain data``: what it says about sources whose files are not here."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulation.cli.data import fetch, list_


def _files_of(kind: str, text: str) -> str:
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"{kind}: "))
    return next(line for line in lines[start:] if line.startswith("    files: "))


def test_a_source_without_a_download_says_what_to_do_by_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No fetch is suggested where there is nothing to fetch; file and digest are named instead."""
    monkeypatch.setenv("WARDCHAIN_DATA", str(tmp_path))
    list_()
    said = _files_of("ist", capsys.readouterr().out)
    assert "data fetch" not in said
    assert "by hand" in said
    assert str(tmp_path / "ist-stroke" / "IST.csv") in said
    assert "0400322154c1f845" in said


@pytest.mark.parametrize("kind", ["csv"])
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
