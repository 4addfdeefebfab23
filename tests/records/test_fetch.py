"""Fetching puts nothing in place that is not the original."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from simulation.records.errors import DataError
from simulation.records.fetch import fetch, unfinished
from simulation.records.r_data import data_frame_csv
from simulation.records.registry import SOURCES
from simulation.records.source import Download
from tests.records.home import Home, archive


def _files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_members_are_put_in_place(small_home: Home, tmp_path: Path) -> None:
    """The files that loading looks for, and nothing else."""
    assert fetch("small", tmp_path) == [tmp_path / "small/a.data"]
    assert (tmp_path / "small/a.data").read_bytes() == b"original"
    assert _files(tmp_path) == ["a.data"]


def test_an_altered_archive_is_refused_and_removed(small_home: Home, tmp_path: Path) -> None:
    """What is pinned is each member, whatever the archive looks like."""
    small_home.body = archive(a=b"altered!")
    expected, got = (hashlib.sha256(data).hexdigest() for data in (b"original", b"altered!"))
    with pytest.raises(DataError, match=rf"another a\.data .*SHA-256 {expected}, got {got}"):
        fetch("small", tmp_path)
    assert _files(tmp_path) == []


_PACKED = archive(a=b"original" * 20)
# Its compressed bytes begin after 30 bytes of header and the name; no block is of type 3.
_DAMAGED = _PACKED[:36] + b"\xff" + _PACKED[37:]


@pytest.mark.parametrize("body", [archive(b=b"original"), b"<html>moved</html>", _DAMAGED])
def test_an_archive_without_the_member_is_refused(
    small_home: Home, tmp_path: Path, body: bytes
) -> None:
    """The message names the member; nothing is left that a later fetch would trip over."""
    small_home.body = body
    with pytest.raises(DataError, match=r"does not hold a readable a\.data"):
        fetch("small", tmp_path)
    assert _files(tmp_path) == []


def test_a_truncated_download_is_kept_as_a_part_and_gone_on_with(
    small_home: Home, tmp_path: Path
) -> None:
    """Nothing is under its final name, and the message says that the same command goes on."""
    small_home.breaks_after = 50
    with pytest.raises(DataError, match=r"broke off.*50 B are kept in .*'wardchain data fetch sma"):
        fetch("small", tmp_path)
    assert _files(tmp_path) == ["home.zip.download.part", "home.zip.download.part.origin"]
    assert unfinished("small", tmp_path) == tmp_path / "small/home.zip.download.part"
    small_home.breaks_after = None
    assert fetch("small", tmp_path)[0].read_bytes() == b"original"
    assert small_home.sent == [len(small_home.body), len(small_home.body) - 50]
    assert unfinished("small", tmp_path) is None


def test_a_damaged_part_does_not_pass(small_home: Home, tmp_path: Path) -> None:
    """What is gone on with is checked as a whole; the next fetch starts over."""
    small_home.breaks_after = 50
    with pytest.raises(DataError, match="broke off"):
        fetch("small", tmp_path)
    (tmp_path / "small/home.zip.download.part").write_bytes(bytes(50))
    small_home.breaks_after = None
    with pytest.raises(DataError, match=r"does not hold a readable a\.data"):
        fetch("small", tmp_path)
    assert _files(tmp_path) == []
    assert fetch("small", tmp_path)[0].read_bytes() == b"original"


def test_originals_are_left_alone_and_altered_files_replaced(
    small_home: Home, tmp_path: Path
) -> None:
    """A second fetch downloads nothing; a damaged file is mended."""
    path = fetch("small", tmp_path)[0]
    path.write_bytes(b"damaged")
    fetch("small", tmp_path)
    assert path.read_bytes() == b"original"
    assert len(small_home.asked) == 2
    fetch("small", tmp_path)
    assert len(small_home.asked) == 2


def test_what_ships_with_the_program_needs_no_fetch(tmp_path: Path) -> None:
    """Nothing is written."""
    assert list(fetch("breast_cancer", tmp_path)) == []
    assert list(tmp_path.iterdir()) == []


def test_an_unreachable_home_is_an_error_with_the_address(small_home: Home, tmp_path: Path) -> None:
    """The remedy is to download by hand."""
    download = Download("http://127.0.0.1:9/nowhere.zip", {"a.data": "small/a.data"})
    SOURCES["small"] = replace(SOURCES["small"], download=download)
    with pytest.raises(
        DataError, match=r"downloaded from .*nowhere.*: no answer .*; download it by hand"
    ):
        fetch("small", tmp_path)
    assert _files(tmp_path) == []


def test_a_source_without_a_pinned_download_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nothing is pretended: which file, with which digest, belongs where."""
    monkeypatch.setitem(SOURCES, "ist", replace(SOURCES["ist"], download=None))
    with pytest.raises(DataError, match=r"ist has no download .*ist-stroke/IST\.csv .*0400322154"):
        fetch("ist", tmp_path)


def test_what_comes_in_another_format_is_converted_before_it_is_compared(
    monkeypatch: pytest.MonkeyPatch, small_home: Home, tmp_path: Path
) -> None:
    """The digest that is pinned is that of the file that is read; nothing else is put in place."""
    small = SOURCES["small"]
    assert small.download is not None
    backwards = replace(small.download, convert=lambda data: data[::-1])
    monkeypatch.setitem(SOURCES, "small", replace(small, download=backwards))
    small_home.body = archive(a=b"lanigiro")
    assert fetch("small", tmp_path)[0].read_bytes() == b"original"


def test_what_cannot_be_converted_is_refused_and_removed(
    monkeypatch: pytest.MonkeyPatch, small_home: Home, tmp_path: Path
) -> None:
    """A page of a server, say, in place of the file; nothing is left."""
    small = SOURCES["small"]
    assert small.download is not None
    from_r = replace(small.download, convert=partial(data_frame_csv, name="IST"))
    monkeypatch.setitem(SOURCES, "small", replace(small, download=from_r))
    with pytest.raises(DataError, match=r"something else than the data of small \(cannot be read"):
        fetch("small", tmp_path)
    assert _files(tmp_path) == []


def test_a_compressed_original_is_left_alone(real_data: Path) -> None:
    """What counts are the original bytes, not how they lie on the disk."""
    found = fetch("ist", real_data)
    assert [path.name for path in found] == ["IST.csv.gz"]
