"""A run's place: complete or absent, never half, and nobody else's."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from simulation.config.dump import config_hash
from simulation.config.errors import ConfigError
from simulation.config.experiment import Experiment
from simulation.runs.directory import (
    State,
    building,
    finished,
    require_writable,
    run_directory,
    state,
)


def _finish(folder: Path, word: str = "DONE") -> None:
    (folder / word).write_text("")


def test_the_place_is_name_hash_and_seed(experiment: Experiment, tmp_path: Path) -> None:
    """``<out>/<name>/<12 digits of the hash>/seed-<n>``."""
    place = run_directory(tmp_path, experiment, 7)

    assert place == tmp_path / "small" / config_hash(experiment)[:12] / "seed-7"


def test_a_run_appears_as_a_whole(tmp_path: Path) -> None:
    """While it is built there is nothing at its place."""
    place = tmp_path / "a" / "seed-1"

    with building(place) as folder:
        (folder / "file").write_text("x")
        assert not place.exists()
        assert folder.parent == place.parent
        assert state(place) is State.ABSENT
        _finish(folder)

    assert state(place) is State.DONE
    assert [path.name for path in place.parent.iterdir()] == ["seed-1"]


@pytest.mark.parametrize("error", [RuntimeError("x"), KeyboardInterrupt()])
def test_an_exception_leaves_nothing(tmp_path: Path, error: BaseException) -> None:
    """Neither the run nor the folders that were made on the way to it."""

    def build() -> None:
        with building(tmp_path / "a" / "b" / "seed-1") as folder:
            (folder / "file").write_text("x")
            raise error

    with pytest.raises(type(error)):
        build()

    assert list(tmp_path.iterdir()) == []


def test_a_failed_run_is_replaced(tmp_path: Path) -> None:
    """Failed is tried again; what it left is gone then."""
    place = tmp_path / "seed-1"
    with building(place) as folder:
        (folder / "old").write_text("")
        _finish(folder, "FAILED")
    assert state(place) is State.FAILED

    with building(place) as folder:
        _finish(folder)

    assert sorted(path.name for path in place.iterdir()) == ["DONE"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["seed-1"]


def test_a_failed_run_stays_until_its_successor_is_complete(tmp_path: Path) -> None:
    """An interrupted second try does not take the evidence of the first with it."""
    place = tmp_path / "seed-1"
    with building(place) as folder:
        _finish(folder, "FAILED")

    with pytest.raises(KeyboardInterrupt), building(place):
        raise KeyboardInterrupt

    assert state(place) is State.FAILED


def test_what_a_killed_process_left_is_cleared(tmp_path: Path) -> None:
    """A building folder that nobody holds the lock of belongs to a dead process."""
    left = tmp_path / ".seed-1.building"
    (left / "vault").mkdir(parents=True)
    (left / "vault" / "object").write_text("half")

    with building(tmp_path / "seed-1") as folder:
        assert list(folder.iterdir()) == []
        _finish(folder)

    assert [path.name for path in tmp_path.iterdir()] == ["seed-1"]


def test_a_run_that_another_process_builds_is_left_alone(tmp_path: Path) -> None:
    """Two processes with one seed: the second is told, and takes nothing away."""
    other = tmp_path / ".seed-1.building"
    other.mkdir()
    (other / "file").write_text("theirs")
    lock = os.open(other, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)

    with (
        pytest.raises(ConfigError, match="another process is building this run"),
        building(tmp_path / "seed-1"),
    ):
        pass

    assert (other / "file").read_text() == "theirs"
    os.close(lock)


def test_an_unwritable_place_is_refused_and_untouched(tmp_path: Path) -> None:
    """A file where a folder should be: one message, nothing made."""
    blocker = tmp_path / "file"
    blocker.write_text("x")

    with pytest.raises(ConfigError, match=r"--out: .*file is a file, not a folder"):
        require_writable(blocker / "runs" / "seed-1")
    with pytest.raises(ConfigError, match="--out"), building(blocker / "runs" / "seed-1"):
        pass

    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_refused(tmp_path: Path) -> None:
    """The message names the folder that may not be written."""
    tmp_path.chmod(0o500)

    with pytest.raises(ConfigError, match="is not writable"):
        require_writable(tmp_path / "runs")


def test_something_else_at_the_place_is_not_overwritten(tmp_path: Path) -> None:
    """A folder that is no run may be somebody's work."""
    (tmp_path / "seed-1").mkdir()

    with pytest.raises(ConfigError, match="exists, but is no finished run"):
        state(tmp_path / "seed-1")


def test_a_reader_is_helped_to_the_run(tmp_path: Path) -> None:
    """A path near a run names the run."""
    with building(tmp_path / "a" / "seed-1") as folder:
        _finish(folder)

    assert finished(tmp_path / "a" / "seed-1") == tmp_path / "a" / "seed-1"
    with pytest.raises(ConfigError, match=r"is no run directory; try .*a/seed-1"):
        finished(tmp_path)
    with pytest.raises(ConfigError, match="does not exist"):
        finished(tmp_path / "b")
