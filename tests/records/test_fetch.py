"""Fetching puts nothing in place that is not the original."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

from simulation.records import fetch as fetching
from simulation.records.errors import DataError
from simulation.records.fetch import fetch
from simulation.records.files import SourceFile
from simulation.records.registry import SOURCES
from simulation.records.source import Download, Source


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small source of one member whose home is an archive on this disk."""
    path = tmp_path / "home.zip"
    with zipfile.ZipFile(path, "w") as opened:
        opened.writestr("a.data", b"original")
        opened.writestr("other.txt", b"not wanted")
    source = Source(
        kind="small",
        title="t",
        hospitals="h",
        licence="l",
        provenance="p",
        params=SOURCES["breast_cancer"].params,
        read=SOURCES["breast_cancer"].read,
        files=(SourceFile("small/a.data", hashlib.sha256(b"original").hexdigest(), 8),),
        download=Download("https://example.org/home.zip", {"a.data": "small/a.data"}),
    )
    monkeypatch.setitem(SOURCES, "small", source)
    monkeypatch.setattr(fetching, "_retrieve", lambda *_: path)
    return path


def test_members_are_put_in_place(archive: Path, tmp_path: Path) -> None:
    """The files that loading looks for, and nothing else."""
    del archive
    cache = tmp_path / "cache"
    assert fetch("small", cache) == [cache / "small/a.data"]
    assert (cache / "small/a.data").read_bytes() == b"original"
    assert [p.name for p in (cache / "small").iterdir()] == ["a.data"]


def test_an_altered_archive_is_refused(archive: Path, tmp_path: Path) -> None:
    """What is pinned is each member, whatever the archive looks like."""
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("a.data", b"altered!")
    with pytest.raises(DataError, match=r"another a\.data than the original.*expected SHA-256"):
        fetch("small", tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_an_archive_without_the_member_is_refused(archive: Path, tmp_path: Path) -> None:
    """The message names the member."""
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("b.data", b"original")
    with pytest.raises(DataError, match=r"does not hold a\.data"):
        fetch("small", tmp_path / "cache")
    archive.write_bytes(b"<html>moved</html>")
    with pytest.raises(DataError, match=r"does not hold a\.data"):
        fetch("small", tmp_path / "cache")


def test_originals_are_left_alone_and_altered_files_replaced(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second fetch downloads nothing; a damaged file is mended."""
    del archive
    path = fetch("small", tmp_path)[0]
    path.write_bytes(b"damaged")
    fetch("small", tmp_path)
    assert path.read_bytes() == b"original"

    def unreachable(*_: object) -> Path:
        raise AssertionError("nothing is missing")

    monkeypatch.setattr(fetching, "_retrieve", unreachable)
    fetch("small", tmp_path)


def test_what_ships_with_the_program_needs_no_fetch(tmp_path: Path) -> None:
    """Nothing is written."""
    assert list(fetch("breast_cancer", tmp_path)) == []
    assert list(tmp_path.iterdir()) == []


def test_an_unreachable_home_is_an_error_with_the_address(tmp_path: Path) -> None:
    """The remedy is to download by hand."""
    source = SOURCES["heart_disease"]
    with pytest.raises(DataError, match=r"cannot be downloaded from .*nowhere.*by hand"):
        fetching._retrieve(source, (tmp_path / "nowhere.zip").as_uri(), tmp_path)


def test_a_source_without_a_pinned_download_says_what_to_do(tmp_path: Path) -> None:
    """Nothing is pretended: which file, with which digest, belongs where."""
    with pytest.raises(DataError, match=r"ist has no download .*ist-stroke/IST\.csv .*0400322154"):
        fetch("ist", tmp_path)


def test_a_compressed_original_is_left_alone(real_data: Path) -> None:
    """What counts are the original bytes, not how they lie on the disk."""
    found = fetch("ist", real_data)
    assert [path.name for path in found] == ["IST.csv.gz"]
