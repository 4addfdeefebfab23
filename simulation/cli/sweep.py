"""``wardchain sweep``: every point and seed of a configuration, on as many workers as there are."""

from __future__ import annotations

import os
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from simulation.cli.exits import DONE, RUN_FAILED, emit, note
from simulation.cli.options import Config, Json, Seed, Set

if TYPE_CHECKING:
    from simulation.runs.sweep.plan import Job, Plan
    from simulation.runs.sweep.work import Ended, Progress


class SizeName(Enum):
    """The sizes by name; `simulation.config.sweep.Size` says what they are."""

    SMOKE = "smoke"
    QUICK = "quick"
    FULL = "full"


class Executor(Enum):
    """Where jobs are carried out."""

    LOCAL = "local"
    RAY = "ray"


SizeOption = Annotated[
    SizeName, typer.Option("--size", help="Of the sweep; quick is the file as it stands.")
]
Jobs = Annotated[int, typer.Option("--jobs", min=0, help="Processes; 0: one for each processor.")]
ExecutorOption = Annotated[
    Executor, typer.Option("--executor", help="Processes of this machine, or a Ray cluster.")
]
Address = Annotated[
    str | None,
    typer.Option("--address", help="Of the Ray cluster; without it one is started here."),
]
PlanOnly = Annotated[bool, typer.Option("--plan", help="Say what would be run, and stop.")]
Out = Annotated[Path, typer.Option("--out", help="Folder for run directories.")]

SHOWN = 10
"""Failed runs that are printed with their commands."""


def sweep(
    config: Config,
    set_: Set = None,
    seed: Seed = None,
    size: SizeOption = SizeName.QUICK,
    jobs: Jobs = 1,
    executor: ExecutorOption = Executor.LOCAL,
    address: Address = None,
    out: Out = Path("results/runs"),
    plan_only: PlanOnly = False,
    json: Json = False,
) -> int:
    """Run every point and seed of a sweep; what is done is skipped, what failed is run again.

    Interrupt it at any time: the next call goes on where this one stopped. A failed run stops no
    other; it is a row of the table and makes the exit code 1.
    """
    from simulation.config.errors import ConfigError
    from simulation.config.study import load_study
    from simulation.config.sweep import Size
    from simulation.runs.sweep.plan import meet_data, plan

    if address is not None and executor is Executor.LOCAL:
        raise ConfigError("--address: belongs to --executor ray; name that, or leave it out")
    made = plan(load_study(config, set_ or (), seed, Size(size.value)), out)
    workers = jobs or os.cpu_count() or 1
    for line in plan_lines(made, workers):
        note(line)
    if plan_only:
        return _report(made, None, json)
    meet_data(made.missing)
    from simulation.cli.crew import watch

    try:
        watch(made, _events(made.missing, executor, workers, address))
    except KeyboardInterrupt:
        note("interrupted; the same command goes on from here")
        _report(made, _write(made), json)
        return RUN_FAILED
    return _report(made, _write(made), json)


def _events(
    jobs: Sequence[Job], executor: Executor, workers: int, address: str | None
) -> Iterator[Progress | Ended]:
    if executor is Executor.RAY:
        from simulation.runs.sweep.cluster import on_ray

        return on_ray(jobs, address)
    from simulation.runs.sweep.local import on_processes

    return on_processes(jobs, workers)


def plan_lines(made: Plan, workers: int) -> list[str]:
    """What a sweep will do and about how long it takes."""
    study = made.study
    done = len(made.jobs) - len(made.missing)
    what = (
        f"{study.name}, {study.size.value}: {len(study.points)} points x {len(study.seeds)} seeds"
    )
    runs = f"{len(made.jobs)} runs, {done} done before, {len(made.missing)} to do"
    lines = [f"{what}: {runs}"]
    if made.missing:
        seconds = made.estimate_s(workers)
        if seconds is None:
            lines.append("time: unknown until the first run is done")
        else:
            lines.append(f"time: about {duration(seconds)}, as long as the runs that are done took")
    return lines


def duration(seconds: float) -> str:
    """A span of wall time as people say it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _write(made: Plan) -> Path:
    """The table of all runs, as ``<out>/<name>/sweep-<size>.csv``."""
    from simulation.runs.sweep.rows import rows_of, table_text

    place = made.jobs[0].out / made.study.name / f"sweep-{made.study.size.value}.csv"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(table_text(rows_of(made)), encoding="utf-8")
    return place


def _report(made: Plan, table: Path | None, json: bool) -> int:
    from simulation.runs.directory import State, state
    from simulation.runs.sweep.rows import failure

    states = {job.directory: state(job.directory) for job in made.jobs}
    counts = Counter(states.values())
    failed = [job for job in made.jobs if states[job.directory] is State.FAILED]
    code = RUN_FAILED if failed and table is not None else DONE
    numbers = {
        "done": counts[State.DONE], "failed": len(failed), "pending": counts[State.ABSENT]
    }  # fmt: skip
    if json:
        failures = [{"run": str(job), "error": failure(job.directory), "replay": replay(job)}
                    for job in failed]  # fmt: skip
        where = None if table is None else str(table)
        emit({**numbers, "table": where, "failures": failures, "exit_code": code})
        return code
    for job in failed[:SHOWN]:
        print(f"failed: {job}: {failure(job.directory)}\n  replay: {replay(job)}")
    if len(failed) > SHOWN:
        print(f"and {len(failed) - SHOWN} more in the table")
    if table is not None:
        print(f"table: {table}")
    print(" · ".join(f"{count} {name}" for name, count in numbers.items()))
    return code


def replay(job: Job) -> str:
    """The command that runs a job again, alone."""
    config = str(job.directory / "config.yaml")
    return shlex.join(["wardchain", "run", config, "--seed", str(job.seed), "--out", str(job.out)])
