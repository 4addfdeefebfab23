"""One experiment, one seed, one run directory: run it unless it is done."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from simulation.config.experiment import Experiment
from simulation.runs.artifacts import write_config, write_metrics, write_trace
from simulation.runs.directory import FAILED, State, building, run_directory, state
from simulation.runs.failure import Failure, failure_of
from simulation.runs.manifest import Manifest, manifest_of, write_manifest
from simulation.runs.seal import seal
from simulation.trace.events import Event
from simulation.trace.recorder import Listener, Recorder

if TYPE_CHECKING:
    from simulation.world import Outcome

Simulate = Callable[[Experiment, int, Path, Sequence[Listener]], "Outcome"]
"""The world: runs an experiment with a seed, writes ledgers and vault below a folder."""

Draw = Callable[[Path], object]
"""Draws a run's figures into its folder."""


@dataclass(frozen=True, slots=True)
class Result:
    """What `execute` did."""

    directory: Path
    seed: int
    skipped: bool
    """Whether the run was already done, so that nothing was run."""
    failure: Failure | None = None
    """Why the run failed, if it did."""
    figure_problem: str | None = None
    """Why no figure was drawn, if none was."""


def execute(
    experiment: Experiment,
    seed: int,
    out: Path,
    listeners: Sequence[Listener] = (),
    draw: Draw | None = None,
    simulate: Simulate | None = None,
) -> Result:
    """Run one seed of an experiment into its directory below ``out``.

    A run that is done is skipped, a failed one is run again. An exception in the run leaves a
    directory with the file ``FAILED``; an interruption leaves nothing.

    Raises:
        ConfigError: when the directory cannot be written, or is being written by another process.
    """
    directory = run_directory(out, experiment, seed)
    if state(directory) is State.DONE:
        return Result(directory, seed, skipped=True)
    with building(directory) as folder:
        write_config(folder, experiment)
        failure, problem = _run(experiment, seed, folder, listeners, draw, simulate or _world)
    return Result(directory, seed, skipped=False, failure=failure, figure_problem=problem)


def prepare() -> None:
    """Import what every run needs: it takes seconds, which are no part of the first run."""
    import_module("simulation.world")
    import_module("pyarrow.parquet")
    with suppress(ImportError):  # pyarrow takes pandas along when it makes its first table
        import_module("pandas")


def _run(
    experiment: Experiment,
    seed: int,
    folder: Path,
    listeners: Sequence[Listener],
    draw: Draw | None,
    simulate: Simulate,
) -> tuple[Failure | None, str | None]:
    """Fill a folder with a run, its last file included."""
    if simulate is _world:
        prepare()
    started, clock, processor = datetime.now(UTC), time.monotonic(), time.process_time()
    # The run's own recorder is lost with an exception; this keeps what had happened until then.
    seen: list[Event] = []
    try:
        outcome = simulate(experiment, seed, folder, (seen.append, *listeners))
    except Exception as error:
        failure = failure_of(error, seen[-1].t_us if seen else 0)
        manifest = manifest_of(
            experiment,
            seed,
            status="failed",
            exit_status=1,
            started=_utc(started),
            wall_s=_since(clock),
            processor_s=round(time.process_time() - processor, 3),
            virtual_us=failure.t_us,
            trace_digest=_digest(seen),
            failure=failure.data(),
        )
        _leave_failed(folder, seen, manifest, failure)
        return failure, None
    write_metrics(folder, outcome.metrics)
    write_trace(folder, outcome.events)
    manifest = manifest_of(
        experiment,
        seed,
        status="done",
        exit_status=0,
        started=_utc(started),
        wall_s=_since(clock),
        processor_s=round(time.process_time() - processor, 3),
        virtual_us=outcome.virtual_us,
        trace_digest=outcome.trace_digest,
        invariants=outcome.invariants,
        summary=outcome.summary,
    )
    manifest.warnings.extend(outcome.notes)
    problem = None if draw is None else _draw(draw, folder)
    seal(folder, manifest.data())
    return None, problem


def _world(
    experiment: Experiment, seed: int, folder: Path, listeners: Sequence[Listener]
) -> Outcome:
    from simulation.world import simulate

    return simulate(experiment, seed, folder, listeners)


def _leave_failed(
    folder: Path, events: Sequence[Event], manifest: Manifest, failure: Failure
) -> None:
    write_trace(folder, events)
    write_manifest(folder, manifest)
    (folder / FAILED).write_text(failure.text(), encoding="utf-8")


def _draw(draw: Draw, folder: Path) -> str | None:
    """A figure that cannot be drawn is no reason to throw away the run that it shows."""
    try:
        draw(folder)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


def _digest(events: Sequence[Event]) -> str:
    recorder = Recorder()
    for event in events:
        recorder.record(event)
    return recorder.digest


def _since(clock: float) -> float:
    return round(time.monotonic() - clock, 3)


def _utc(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
