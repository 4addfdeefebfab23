"""SIGKILL at any moment of a run: no half-made run passes for a whole one, and again is the same.

A run is killed in a forked process, either when some wall time has passed, or when it opens,
renames or removes its n-th file: so that the short moments at the end, in which files are sealed
and moved into place, are met as often as the long ones of training.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import sys
import time
from contextlib import suppress
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
import pytest

from simulation.config.experiment import Experiment
from simulation.federation.params import FederationParams
from simulation.learning.params import LogisticParams, TrainingParams
from simulation.records.params import BreastCancerParams, IidParams
from simulation.runs.directory import State, run_directory, state
from simulation.runs.execute import execute
from simulation.runs.manifest import read_manifest
from simulation.runs.seal import DONE
from simulation.runs.verify import NoRunError, verify_run

EXPERIMENT = Experiment(
    name="killed",
    hospitals=4,
    data=BreastCancerParams(),
    partition=IidParams(),
    model=LogisticParams(),
    training=TrainingParams(learning_rate=0.1, batch_size=32),
    federation=FederationParams(rounds=2),
)
SEED = 1
FILE_EVENTS = ("open", "os.mkdir", "os.rename", "os.remove", "sqlite3.connect")
FORK = multiprocessing.get_context("fork")


def work(out: Path, fatal: int | None, count) -> None:
    """The run, in a process of its own; it dies at its file event number ``fatal``."""

    def watch(event: str, arguments: tuple) -> None:
        if event in FILE_EVENTS and str(out) in str(arguments[0]):
            count.value += 1
            if count.value == fatal:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    execute(EXPERIMENT, SEED, out)
    os._exit(0)


def ended(process: BaseProcess) -> int:
    """The exit code of a process, which is given two minutes."""
    process.join(120)
    code = process.exitcode
    process.kill()  # whoever waits for its children at the end would wait for this one
    assert code is not None, "the run hangs"
    return code


def run(out: Path, *, fatal: int | None = None, after_s: float | None = None) -> tuple[int, int]:
    """Run, perhaps to death; returns how the process ended and how many file events there were."""
    # Without a lock, which a process that is killed while it holds it would keep for ever.
    count = FORK.RawValue("i", 0)
    process = FORK.Process(target=work, args=(out, fatal, count))
    process.start()
    if after_s is not None:
        time.sleep(after_s)
        process.kill()
    return ended(process), count.value


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int, float]:
    """A run that nobody kills, its number of file events, and how long it took."""
    out = tmp_path_factory.mktemp("undisturbed")
    execute(EXPERIMENT, SEED, out)  # loads here, once, what all forked processes need
    start = time.monotonic()
    code, events = run(tmp_path_factory.mktemp("again"))
    assert code == 0
    assert events > 20
    return run_directory(out, EXPERIMENT, SEED), events, time.monotonic() - start


def files(place: Path) -> dict[str, bytes]:
    """Everything that does not know the time of day."""
    return {
        path.relative_to(place).as_posix(): path.read_bytes()
        for path in place.rglob("*")
        if path.is_file() and path.name not in ("manifest.json", "DONE")
    }


def judge(out: Path, whole: Path) -> bool:
    """What must hold of a killed run's folder, and of the same run afterwards; whether it died."""
    place = run_directory(out, EXPERIMENT, SEED)
    died = state(place) is State.ABSENT
    assert died or verify_run(place).ok, "what passes for complete is complete"
    for left in out.rglob(".*.building"):
        if not (left / DONE).exists():
            with suppress(NoRunError):
                assert not verify_run(left).ok
    for path in out.rglob("*.sqlite"):
        db = sqlite3.connect(path)
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",), path
        db.close()

    again = execute(EXPERIMENT, SEED, out)

    assert again.failure is None
    assert again.skipped == (not died)
    digests = [read_manifest(folder)["trace_digest"] for folder in (again.directory, whole)]
    assert digests[0] == digests[1]
    assert files(again.directory) == files(whole)
    assert [path.name for path in place.parent.iterdir()] == [place.name], "nothing is left over"
    return died


def kill_often(undisturbed: tuple[Path, int, float], folder: Path, moments: int) -> int:
    """Kill so many runs, half by the clock and half by their files; returns how many died."""
    whole, events, took_s = undisturbed
    rng = np.random.default_rng(9)
    died = 0
    for moment in range(moments):
        out = folder / str(moment)
        if moment % 2:
            code, _ = run(out, fatal=int(rng.integers(1, events + 1)))
            assert code == -signal.SIGKILL
        else:
            run(out, after_s=float(rng.uniform(0, took_s)))
        out.mkdir(exist_ok=True)
        died += judge(out, whole)
    return died


def test_a_killed_run_never_passes_for_a_complete_one(undisturbed, tmp_path: Path) -> None:
    """No run directory ever passes for complete, every SQLite file opens, and the same again ends
    with the digest of an undisturbed run."""
    assert kill_often(undisturbed, tmp_path, 2) >= 1


def test_killed_between_its_last_files(undisturbed, tmp_path: Path) -> None:
    """The narrowest places: around manifest, ``DONE`` and the rename."""
    whole, events, _ = undisturbed
    for fatal in (events - 1, events):
        out = tmp_path / str(fatal)
        run(out, fatal=fatal)
        judge(out, whole)


@pytest.mark.slow
def test_fifty_killed_runs(undisturbed, tmp_path: Path) -> None:
    """The same at 50 random moments."""
    assert kill_often(undisturbed, tmp_path, 50) >= 25
