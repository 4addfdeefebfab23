"""The runs behind stems: what is there, what is missing, and what is measured of each."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from experiments.stem import Run, config_of, stem_module
from simulation.config.dump import config_hash
from simulation.config.study import Point, Study, load_study
from simulation.config.sweep import Size
from simulation.records.errors import AbsentDataError
from simulation.runs.artifacts import read_metrics
from simulation.runs.directory import FAILED, run_directory
from simulation.runs.manifest import read_manifest
from simulation.runs.sweep.local import on_processes
from simulation.runs.sweep.plan import Job, meet_data, plan
from simulation.runs.sweep.work import Ended

Say = Callable[[str], None]
OTHER_SEEDS = 1_000_000
"""What is added to every seed to get the next list of them."""
BROKEN = ("InvariantError: ", "PropertyViolation: ")
"""How failures begin that say which property a run did not have."""


def study_of(stem: str, size: Size, other_seeds: int = 0) -> Study | None:
    """All experiments of a stem, on its own seeds (0) or on another list of them (1, 2, ...).

    None for a stem that runs no worlds.
    """
    config = config_of(stem)
    if config is None:
        return None
    study = load_study(config, size=size)
    if other_seeds == 0:
        return study
    seeds = [seed + other_seeds * OTHER_SEEDS for seed in study.seeds]
    return load_study(config, size=size, seeds=seeds)


@dataclass(frozen=True)
class Work:
    """What a stem needs before its table can be made."""

    stem: str
    size: Size
    out: Path
    other_seeds: int = 0
    """Which list of seeds: 0 for the stem's own."""
    study: Study | None = None
    """None for a stem without runs."""
    jobs: Sequence[Job] = ()
    """All of its runs."""
    missing: Sequence[Job] = ()
    """Those that are neither done nor, where that is a result, broken."""
    skipped: str | None = None
    """Why nothing can be done, and what to do about it."""


def survey(stem: str, size: Size, out: Path, other_seeds: int = 0) -> Work:
    """What is there of a stem below ``<out>/runs``, and what is missing.

    Raises:
        ConfigError: for what has to be mended before anything can run.
    """
    study = study_of(stem, size, other_seeds)
    work = Work(stem, size, out, other_seeds, study)
    if study is None:
        return work
    made = plan(study, out / "runs")
    missing = [job for job in made.missing if broken_property(stem, job.directory) is None]
    try:
        meet_data(missing)
    except AbsentDataError as error:
        return replace(work, skipped=str(error))
    return replace(work, jobs=made.jobs, missing=missing)


Failures = Mapping[Path, str]
"""Why runs failed, by their directories."""


def run_missing(works: Sequence[Work], say: Say, jobs: int = 1) -> Iterator[tuple[Work, Failures]]:
    """Do all runs that are missing on one crew of processes; each stem comes with its last run.

    All stems share the processes, because a new one needs seconds to import its libraries. A run
    that fails stops no other.
    """
    open_jobs = {job.directory: work for work in works for job in work.missing}
    left = {work.stem: len(work.missing) for work in works}
    failures: dict[str, dict[Path, str]] = {work.stem: {} for work in works}
    for work in works:
        if work.jobs:
            done = len(work.jobs) - len(work.missing)
            say(f"{work.stem}: {len(work.jobs)} runs, {done} done before")
    names = {job.directory: str(job) for work in works for job in work.missing}
    for event in on_processes([job for work in works for job in work.missing], jobs):
        if not isinstance(event, Ended):
            continue
        work = open_jobs[event.directory]
        left[work.stem] -= 1
        how = f"{event.wall_s:.1f} s"
        if event.failure is not None:
            broken = broken_property(work.stem, event.directory)
            how = f"FAILED: {event.failure}" if broken is None else f"{how}: {broken.split(';')[0]}"
            if broken is None:
                failures[work.stem][event.directory] = event.failure
        done = len(work.jobs) - left[work.stem]
        say(f"{work.stem}: [{done}/{len(work.jobs)}] {names[event.directory]}: {how}")
        if left[work.stem] == 0:
            yield work, failures[work.stem]
    for work in works:
        if not work.missing:
            yield work, {}


def broken_property(stem: str, directory: Path) -> str | None:
    """Which property a run did not have, where the stem counts that as a result."""
    if not getattr(stem_module(stem), "BREAKS", False) or not (directory / FAILED).is_file():
        return None
    message = str(read_manifest(directory)["failure"]["message"])
    return next((message.removeprefix(b) for b in BROKEN if message.startswith(b)), None)


def gather(work: Work) -> list[Run]:
    """All runs of a stem, points in the order of the sweep, with what it measures of each."""
    study, out = work.study, work.out
    if study is None:
        return []
    return [
        _run(work.stem, point, seed, run_directory(out / "runs", point.experiment, seed), out)
        for point in study.points
        for seed in study.seeds
    ]


def _run(stem: str, point: Point, seed: int, directory: Path, out: Path) -> Run:
    broken = broken_property(stem, directory)
    rows = read_metrics(directory) if broken is None else []
    run = Run(point.labels, seed, directory, rows, point.experiment, broken=broken)
    measure = getattr(stem_module(stem), "measure", None)
    return run if measure is None else replace(run, measured=_measured(stem, run, measure, out))


def _measured(stem: str, run: Run, measure: Callable[[Run], Any], out: Path) -> Any:
    """What ``measure`` returns, kept until the run or the stem's own code is another."""
    code = hashlib.sha256(Path(str(stem_module(stem).__file__)).read_bytes())
    code.update(run.manifest["trace_digest"].encode())
    assert run.experiment is not None
    name = f"{config_hash(run.experiment)[:12]}-seed-{run.seed}-{code.hexdigest()[:12]}.json"
    place = out / "measured" / stem / name
    if not place.is_file():
        text = json.dumps(measure(run), ensure_ascii=False, allow_nan=False)
        place.parent.mkdir(parents=True, exist_ok=True)
        unfinished = place.with_suffix(".part")
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(place)
    return json.loads(place.read_text(encoding="utf-8"))
