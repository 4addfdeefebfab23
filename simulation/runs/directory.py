"""Where a run lies, and how it gets there: complete or absent, never half.

    <out>/<name>/<first 12 digits of the configuration's hash>/seed-<n>/

A run is built in a hidden sibling and renamed when its last file, ``DONE`` or ``FAILED``, is
written. The sibling is locked while its process lives; one that a killed process left behind is
cleared by the next run of the same seed.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager, suppress
from enum import Enum
from pathlib import Path

from simulation.config.dump import config_hash
from simulation.config.errors import ConfigError
from simulation.config.experiment import Experiment
from simulation.runs.seal import DONE

DEFAULT_OUT = Path("results/runs")
HASH_DIGITS = 12
FAILED = "FAILED"


class State(Enum):
    """What lies at a run's place."""

    ABSENT = "absent"
    DONE = "done"
    FAILED = "failed"


def run_directory(out: Path, experiment: Experiment, seed: int) -> Path:
    """The place of a run."""
    return out / experiment.name / config_hash(experiment)[:HASH_DIGITS] / f"seed-{seed}"


def state(directory: Path) -> State:
    """What lies there.

    Raises:
        ConfigError: when something lies there that is no run.
    """
    if (directory / DONE).exists():
        return State.DONE
    if (directory / FAILED).exists():
        return State.FAILED
    if directory.exists():
        raise ConfigError(
            f"{directory}: exists, but is no finished run (it has neither {DONE} nor {FAILED}); "
            "move it away, or choose another folder with --out"
        )
    return State.ABSENT


def finished(directory: Path) -> Path:
    """The directory itself, when a finished run lies there.

    Raises:
        ConfigError: otherwise; the message says which runs are near.
    """
    if (directory / DONE).is_file() or (directory / FAILED).is_file():
        return directory
    if not directory.exists():
        raise ConfigError(f"{directory}: does not exist; run directories lie under {DEFAULT_OUT}")
    inner = sorted(path.parent for path in directory.glob(f"**/{DONE}"))
    hint = f"try {inner[0]}" if inner else "it has neither DONE nor FAILED"
    raise ConfigError(f"{directory}: is no run directory; {hint}")


def require_writable(directory: Path) -> None:
    """Refuse a place where no directory can be made, before anything is made.

    Raises:
        ConfigError: naming the folder that stands in the way.
    """
    ancestor = directory
    while not ancestor.exists() and ancestor != ancestor.parent:
        ancestor = ancestor.parent
    if not ancestor.is_dir():
        raise ConfigError(f"--out: {ancestor} is a file, not a folder; choose another with --out")
    if not os.access(ancestor, os.W_OK | os.X_OK):
        raise ConfigError(f"--out: {ancestor} is not writable; choose another folder with --out")


@contextmanager
def building(directory: Path) -> Generator[Path, None, None]:
    """A fresh folder that becomes ``directory`` when the block ends well.

    What lay there before (a failed run) is replaced. When the block raises, or the process is
    interrupted, everything is removed.

    Raises:
        ConfigError: when the place cannot be written, or another process builds the same run.
    """
    made = [path for path in (directory.parent, *directory.parent.parents) if not path.exists()]
    build = directory.with_name(f".{directory.name}.building")
    try:
        build.mkdir(parents=True, exist_ok=True)
        lock = os.open(build, os.O_RDONLY)
    except OSError as error:
        _prune(made)
        raise ConfigError(
            f"--out: cannot make {build} ({error.strerror}); choose another folder with --out"
        ) from error
    try:
        _lock(lock, build)
        _clear(build)
        yield build
        _replace(build, directory)
    except BaseException:
        if _locked_here(lock, build):
            shutil.rmtree(build, ignore_errors=True)
            _prune(made)
        raise
    finally:
        os.close(lock)


class _Busy(ConfigError):
    """Another process is building the same run."""


def _lock(lock: int, build: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise _Busy(
            f"{build}: another process is building this run; wait for it, or use another --out"
        ) from error
    if not build.exists():
        raise _Busy(f"{build}: another process has just finished this run; run again")


def _locked_here(lock: int, build: Path) -> bool:
    """Whether the folder at this path is the one that we hold the lock of."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(lock), build.stat())
    except OSError:
        return False


def _clear(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _replace(build: Path, directory: Path) -> None:
    """Rename into place; a directory cannot be renamed over a full one, so that one steps aside."""
    old = directory.with_name(f".{directory.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if directory.exists():
        directory.rename(old)
    build.rename(directory)
    shutil.rmtree(old, ignore_errors=True)


def _prune(made: list[Path]) -> None:
    """Remove the folders that were made on the way, the innermost first, if nothing is in them."""
    with suppress(OSError):
        for path in made:
            path.rmdir()
