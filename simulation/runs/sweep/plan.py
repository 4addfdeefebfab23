"""What a sweep has to do: one job for each point and seed, those that are done left out.

Points that mean the same share their runs, and a run that `wardchain run` has made is one of them,
because a run's place is the hash of its resolved configuration.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from simulation.config.experiment import Experiment
from simulation.config.study import Study
from simulation.runs.directory import State, require_writable, run_directory, state
from simulation.runs.manifest import read_manifest
from simulation.runs.preflight import preflight


@dataclass(frozen=True)
class Job:
    """One run: an experiment and a seed."""

    name: str
    labels: Mapping[str, Any]
    """Its place in the sweep, the first of them where several points mean the same."""
    experiment: Experiment
    seed: int
    out: Path

    @property
    def directory(self) -> Path:
        """Where the run lies, or will."""
        return run_directory(self.out, self.experiment, self.seed)

    def __str__(self) -> str:
        words = [f"{name.rpartition('.')[2]} {label}" for name, label in self.labels.items()]
        return ", ".join([*words, f"seed {self.seed}"])


@dataclass(frozen=True)
class Plan:
    """All jobs of a study, in the order of its points and seeds."""

    study: Study
    jobs: tuple[Job, ...]
    missing: tuple[Job, ...]
    """Those that are not done: never run, or failed."""
    known_s: float | None
    """Wall time of the median run that is done, in seconds; none when none is."""

    def estimate_s(self, workers: int) -> float | None:
        """How long the missing jobs will take, in seconds; none when no run tells."""
        if self.known_s is None:
            return None
        return self.known_s * -(-len(self.missing) // workers)


def plan(study: Study, out: Path) -> Plan:
    """The jobs of a study, below ``out``.

    Raises:
        ConfigError: when the place cannot be written, or holds something that is no run.
    """
    require_writable(out / study.name)
    jobs: dict[Path, Job] = {}
    for point in study.points:
        for seed in study.seeds:
            job = Job(study.name, point.labels, point.experiment, seed, out)
            jobs.setdefault(job.directory, job)
    done = {place for place in jobs if state(place) is State.DONE}
    walls = [read_manifest(place)["wall_s"] for place in sorted(done)]
    missing = tuple(job for place, job in jobs.items() if place not in done)
    return Plan(study, tuple(jobs.values()), missing, median(walls) if walls else None)


def meet_data(jobs: Sequence[Job]) -> None:
    """Find out before anything runs what only data, apps and accountant can say.

    The first job of every source of records is asked; what is wrong with a later point alone is
    found when its turn comes, and is a row of the sweep like any failure.

    Raises:
        ConfigError: with the path to the field.
        AbsentDataError: when the data are not on this machine.
    """
    met: list[object] = []
    for job in jobs:
        if job.experiment.data not in met:
            met.append(job.experiment.data)
            preflight(job.experiment, [job.seed])
