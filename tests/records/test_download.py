"""A download that broke off goes on with what is missing, and with nothing else."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from simulation.records.download import ResumableDownload
from tests.records.home import Home, serving

BODY = bytes(range(256)) * 1000
STOP = 100_001


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Generator[Home, None, None]:
    """A home that breaks off in the middle of its first answer, unless told otherwise."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving(Home(BODY, breaks_after=STOP)) as served:
        yield served


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Where the file is to be."""
    return tmp_path / "file"


def _break_off(home: Home, target: Path) -> None:
    with pytest.raises(OSError, match=f"broke off after {STOP} of {len(BODY)} bytes"):
        ResumableDownload(target)(home.address, str(target), None)
    home.breaks_after = None


def test_exactly_the_missing_bytes_are_asked_for(home: Home, target: Path) -> None:
    """The second request names the bytes from where the first stopped, and the same version."""
    _break_off(home, target)
    assert not target.exists()
    assert (target.parent / "file.part").read_bytes() == BODY[:STOP]
    ResumableDownload(target)(home.address, str(target), None)
    assert home.asked == [(None, None), (f"bytes={STOP}-", '"v1"')]
    assert home.sent == [len(BODY), len(BODY) - STOP]
    assert target.read_bytes() == BODY
    assert [path.name for path in target.parent.iterdir()] == ["file"]


def test_bytes_are_reported_from_where_it_goes_on(home: Home, target: Path) -> None:
    """The total is that of the whole file, and the count never falls."""
    _break_off(home, target)
    seen: list[tuple[int, int | None]] = []
    ResumableDownload(target, lambda *step: seen.append(step))(home.address, str(target), None)
    assert seen[0] == (STOP, len(BODY))
    assert seen[-1] == (len(BODY), len(BODY))
    assert seen == sorted(seen)


def test_a_home_without_ranges_starts_over(home: Home, target: Path) -> None:
    """An answer with everything (200) replaces what is kept."""
    home.ranges = False
    _break_off(home, target)
    ResumableDownload(target)(home.address, str(target), None)
    assert home.sent == [len(BODY), len(BODY)]
    assert target.read_bytes() == BODY


@pytest.mark.parametrize("believes", [True, False])
def test_a_changed_file_starts_over(home: Home, target: Path, believes: bool) -> None:
    """Two versions are never joined, even if the home ignores the condition (If-Range)."""
    _break_off(home, target)
    home.body, home.etag, home.believes_if_range = BODY[::-1], '"v2"', believes
    ResumableDownload(target)(home.address, str(target), None)
    assert target.read_bytes() == BODY[::-1]


def test_a_file_that_has_become_shorter_starts_over(home: Home, target: Path) -> None:
    """Nothing lies beyond its end (416)."""
    _break_off(home, target)
    home.body, home.believes_if_range = b"short", False
    ResumableDownload(target)(home.address, str(target), None)
    assert target.read_bytes() == b"short"


def test_the_time_of_the_last_change_stands_in_for_a_weak_etag(home: Home, target: Path) -> None:
    """RFC 9110, 13.1.5: a client must not send a weak entity tag in If-Range."""
    home.etag, home.changed = 'W/"v1"', "Wed, 01 Jan 2020 00:00:00 GMT"
    _break_off(home, target)
    ResumableDownload(target)(home.address, str(target), None)
    assert home.asked[1] == (f"bytes={STOP}-", home.changed)
    assert target.read_bytes() == BODY


def test_without_a_version_nothing_is_gone_on_with(home: Home, target: Path) -> None:
    """What cannot be told from another version is asked for again."""
    home.etag = ""
    _break_off(home, target)
    assert ResumableDownload(target).kept_bytes(home.address) == 0
    ResumableDownload(target)(home.address, str(target), None)
    assert home.asked[1] == (None, None)
    assert target.read_bytes() == BODY


def test_another_address_is_another_file(home: Home, target: Path) -> None:
    """What is kept of one address is no part of what another gives."""
    _break_off(home, target)
    other = home.address + "?other"
    ResumableDownload(target)(other, str(target), None)
    assert home.asked[1] == (None, None)
    assert target.read_bytes() == BODY
