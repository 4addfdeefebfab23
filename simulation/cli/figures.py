"""``wardchain figures``: draw a finished run's figures again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from simulation.cli.exits import DIFFERENCE, DONE, emit, note
from simulation.cli.options import Json, Run


def figures(run: Run, json: Json = False) -> int:
    """Draw the figures of a finished run again; only of one whose files are as they were sealed."""
    from simulation.config.errors import ConfigError
    from simulation.runs.directory import finished
    from simulation.runs.manifest import read_manifest
    from simulation.runs.seal import DONE as SEALED
    from simulation.runs.seal import broken_seals, seal

    if not (finished(run) / SEALED).is_file():
        raise ConfigError(f"{run}: the run failed, so there is nothing to draw; see {run}/FAILED")
    broken = list(broken_seals(run))
    if broken:
        for name, problem in broken:
            note(f"{name}: {problem}")
        note(f"the figures were left alone; wardchain verify {run} tells more")
        return DIFFERENCE
    drawn = [str(path) for path in drawer()(run)]
    seal(run, read_manifest(run))
    if json:
        emit({"run": str(run), "figures": drawn})
    else:
        print("\n".join(drawn))
    return DONE


def drawer() -> Callable[[Path], Sequence[Path]]:
    """What draws a run. It lives beside the package, with the experiments.

    Raises:
        ConfigError: when the experiments or the plotting library are not installed.
    """
    return _drawing("run_figure", "draw_run")


def data_drawer() -> Callable[[Mapping[str, Any], Path], Sequence[Path]]:
    """What draws a description of records.

    Raises:
        ConfigError: when the experiments or the plotting library are not installed.
    """
    return _drawing("data_figure", "draw_data")


def _drawing(module: str, name: str) -> Callable[..., Sequence[Path]]:
    from simulation.config.errors import ConfigError

    try:
        return getattr(import_module(f"experiments.{module}"), name)
    except ImportError as error:
        raise ConfigError(
            f"figures need the folder experiments/ of a clone and matplotlib ({error}); "
            "install with: pip install -e '.[figures]'"
        ) from error
