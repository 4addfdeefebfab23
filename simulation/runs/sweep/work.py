"""One job, carried out in whatever process it was sent to; all that goes back is plain data."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulation.config.errors import ConfigError
from simulation.config.experiment import Experiment
from simulation.nodes.loads import Load
from simulation.runs.execute import execute
from simulation.runs.sweep.plan import Job
from simulation.trace.events import Event, RoundOpened

TELL_EVERY_S = 0.5
"""How often a running job says how far it is; in wall time, which reaches no result."""


@dataclass(frozen=True)
class Progress:
    """How far a running job is."""

    directory: Path
    share: float
    """Of its rounds, or of a workload's virtual time; from 0 to 1."""


@dataclass(frozen=True)
class Ended:
    """How a job ended."""

    directory: Path
    failure: str | None
    """Why it failed; none when it is done."""
    wall_s: float


Tell = Callable[[Progress], object]


def carry_out(job: Job, tell: Tell) -> Ended:
    """Run a job into its directory. Whatever goes wrong is an answer, not an exception."""
    started = time.monotonic()
    # PyTorch and Opacus warn their own callers of things that the trainer has settled.
    warnings.filterwarnings("ignore", module=r"(torch|opacus)(\..*)?$")
    try:
        result = execute(job.experiment, job.seed, job.out, (_Listener(job, tell),))
    except ConfigError as error:
        return Ended(job.directory, str(error), time.monotonic() - started)
    failure = None if result.failure is None else result.failure.message
    return Ended(job.directory, failure, time.monotonic() - started)


class _Listener:
    """Turns the events of a run into progress, not more often than anybody can read."""

    def __init__(self, job: Job, tell: Tell) -> None:
        self._job, self._tell = job, tell
        self._told, self._rounds = 0.0, 0
        self._total = _total(job.experiment)

    def __call__(self, event: Event) -> None:
        if isinstance(event, RoundOpened):
            self._rounds = event.round - 1
        now = time.monotonic()
        if now - self._told < TELL_EVERY_S:
            return
        self._told = now
        learns = self._job.experiment.learns
        reached = self._rounds if learns else event.t_us
        self._tell(Progress(self._job.directory, min(1.0, reached / self._total)))


def _total(experiment: Experiment) -> float:
    workload: Any = experiment.workload
    if isinstance(workload, Load):
        return (workload.warmup_s + workload.measure_s) * 1e6
    return experiment.federation.rounds
