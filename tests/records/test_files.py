"""Only the original bytes are used, and the error says what to do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from simulation.base.rng import Streams
from simulation.records.errors import DataError
from simulation.records.files import data_root
from simulation.records.load import load
from simulation.records.params import HeartDiseaseParams, NaturalParams


def read_heart() -> None:
    load(HeartDiseaseParams(), NaturalParams(), 4, Streams(1))


def test_the_original_files_are_accepted(copy_of_heart: Path) -> None:
    """Otherwise the tests below would prove nothing."""
    del copy_of_heart
    read_heart()


def test_an_altered_file_is_refused(copy_of_heart: Path) -> None:
    """Many public copies have ``?`` replaced; one changed byte is enough. The message has both
    digests and the remedy."""
    path = copy_of_heart / "processed.hungarian.data"
    data = path.read_bytes()
    path.write_bytes(data.replace(b"?", b"0", 1))
    with pytest.raises(DataError) as caught:
        read_heart()
    message = str(caught.value)
    assert str(path) in message
    assert "d1ad108f785768cd3d7e82dc522e6f5a61eea93cccfb3a46ee8076f73fc3d796" in message
    assert re.search(r"got [0-9a-f]{64}", message)
    assert "wardchain data fetch heart_disease" in message


def test_a_missing_file_is_named_with_the_remedy(copy_of_heart: Path) -> None:
    """Which path, and what to do."""
    (copy_of_heart / "processed.va.data").unlink()
    with pytest.raises(DataError) as caught:
        read_heart()
    message = str(caught.value)
    assert str(copy_of_heart / "processed.va.data") in message
    assert "wardchain data fetch heart_disease" in message
    assert "WARDCHAIN_DATA" in message


def test_a_data_error_is_wrong_input() -> None:
    """The command turns ValueError into exit code 2, without a traceback."""
    assert issubclass(DataError, ValueError)


def test_the_folder_is_the_environments_or_the_users_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """``WARDCHAIN_DATA`` overrides the cache folder."""
    monkeypatch.setenv("WARDCHAIN_DATA", str(tmp_path / "mine"))
    assert data_root() == tmp_path / "mine"
    monkeypatch.setenv("WARDCHAIN_DATA", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert data_root() == tmp_path / "cache" / "wardchain"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert data_root() == Path.home() / ".cache" / "wardchain"
