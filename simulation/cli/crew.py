"""What a sweep looks like while it runs: a line for each running job, and a bar for all."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from simulation.runs.sweep.plan import Job, Plan
from simulation.runs.sweep.work import Ended
from simulation.runs.sweep.work import Progress as Step


def watch(made: Plan, events: Iterator[Step | Ended]) -> None:
    """Follow a sweep to its end; live in a terminal, one line for each ended run elsewhere."""
    console = Console(stderr=True, highlight=False)
    jobs = {job.directory: job for job in made.missing}
    done = len(made.jobs) - len(made.missing)
    if console.is_terminal:
        _live(console, jobs, len(made.jobs), done, events)
        return
    for event in events:
        if isinstance(event, Ended):
            done += 1
            print(f"[{done}/{len(made.jobs)}] {said(jobs[event.directory], event)}",
                  file=sys.stderr, flush=True)  # fmt: skip


def said(job: Job, ended: Ended) -> str:
    """How one run ended, on one line."""
    how = f"done in {ended.wall_s:.1f} s" if ended.failure is None else f"FAILED: {ended.failure}"
    return f"{job.name}: {job}: {how}"


def _live(
    console: Console, jobs: dict[Path, Job], total: int, done: int, events: Iterator[Step | Ended]
) -> None:
    with Progress(
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"),
        MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn(),
        console=console, transient=True,
    ) as bars:  # fmt: skip
        overall = bars.add_task("all runs", total=total, completed=done)
        running: dict[Path, TaskID] = {}
        for event in events:
            place = event.directory
            if isinstance(event, Ended):
                if place in running:
                    bars.remove_task(running.pop(place))
                bars.advance(overall)
                if event.failure is not None:
                    console.print(said(jobs[place], event), markup=False)
                continue
            if place not in running:
                running[place] = bars.add_task(str(jobs[place]), total=1.0)
            bars.update(running[place], completed=event.share)
