"""Many random schedules, on as many processes as asked for, in the order of their seeds.

A seed's result depends on the seed alone, and results come in the order of seeds whatever the
number of processes, so the same seeds give the same report everywhere.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import asdict, dataclass
from itertools import islice
from multiprocessing import get_context

from simulation.consensus.broken import broken_subject
from simulation.consensus.shrink import shrink
from simulation.consensus.soak import SoakResult, Subject, draw_plan, run_seed
from simulation.consensus.subjects import SUBJECTS

CHUNK = 8
"""Seeds that a process is handed at once."""
AHEAD = 4
"""Chunks in flight for each process: enough to keep all busy, few enough to stop early."""


@dataclass(frozen=True, slots=True)
class SeedReport:
    """What one seed showed, in plain data."""

    seed: int
    n: int
    violation: str | None
    """Property, replica, time and what contradicts what; none when all held."""
    property: str | None
    faults: int
    """Lying replicas, crashes, cuts and changes of the weather in its schedule."""
    decided: int
    executed: int
    unexecuted: int
    """Requests of honest clients that were not executed everywhere."""
    messages: int
    view_changes: int


@dataclass(frozen=True, slots=True)
class Group:
    """All seeds of one size of the replica set."""

    n: int
    seeds: int = 0
    faults: int = 0
    violations: int = 0
    decided: int = 0
    executed: int = 0
    unexecuted: int = 0
    messages: int = 0
    view_changes: int = 0

    def data(self) -> dict[str, int]:
        """Plain data, for one JSON object."""
        return asdict(self)


def subject_of(protocol: str, broken: str | None) -> Subject:
    """What is soaked: a protocol, or one with one rule taken out.

    Raises:
        ValueError: naming what there is.
    """
    if protocol not in SUBJECTS:
        raise ValueError(f"--protocol: {protocol} has no soak; choose from {', '.join(SUBJECTS)}")
    return SUBJECTS[protocol] if broken is None else broken_subject(protocol, broken)


def soak(
    protocol: str, broken: str | None, seeds: Iterable[int], jobs: int
) -> Iterator[SeedReport]:
    """The reports of the seeds, in their order."""
    chunks = batched_seeds(seeds)
    if jobs == 1:
        for chunk in chunks:
            yield from _run(protocol, broken, chunk)
        return
    # Fresh processes: a fork of one in which a library has started threads may hang for ever.
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        flying: deque[Future[list[SeedReport]]] = deque()
        try:
            for chunk in chunks:
                flying.append(pool.submit(_run, protocol, broken, chunk))
                if len(flying) >= AHEAD * jobs:
                    yield from flying.popleft().result()
            while flying:
                yield from flying.popleft().result()
        finally:
            # Whoever has seen enough does not wait for the rest.
            for future in flying:
                future.cancel()


def batched_seeds(seeds: Iterable[int]) -> Iterator[tuple[int, ...]]:
    """The seeds in chunks."""
    rest = iter(seeds)
    while chunk := tuple(islice(rest, CHUNK)):
        yield chunk


def groups(reports: Iterable[SeedReport]) -> list[Group]:
    """Sums by size of the replica set, smallest first."""
    found: dict[int, Group] = {}
    for report in reports:
        old = found.get(report.n, Group(report.n))
        found[report.n] = Group(
            n=report.n,
            seeds=old.seeds + 1,
            violations=old.violations + (report.violation is not None),
            faults=old.faults + report.faults,
            decided=old.decided + report.decided,
            executed=old.executed + report.executed,
            unexecuted=old.unexecuted + report.unexecuted,
            messages=old.messages + report.messages,
            view_changes=old.view_changes + report.view_changes,
        )
    return [found[n] for n in sorted(found)]


def plan_lines(protocol: str, broken: str | None, seed: int) -> list[str]:
    """The schedule of a seed as text."""
    return draw_plan(subject_of(protocol, broken), seed).lines()


def shrunk(protocol: str, broken: str | None, seed: int) -> tuple[SeedReport, list[str]]:
    """The smallest schedule found that violates the same property, and what it shows.

    Raises:
        ValueError: when the seed violates nothing.
    """
    subject = subject_of(protocol, broken)
    best = shrink(subject, draw_plan(subject, seed))
    return _report(best), best.plan.lines()


def _run(protocol: str, broken: str | None, chunk: Iterable[int]) -> list[SeedReport]:
    subject = subject_of(protocol, broken)
    return [_report(run_seed(subject, seed)) for seed in chunk]


def _report(result: SoakResult) -> SeedReport:
    violation = result.violation
    return SeedReport(
        seed=result.seed,
        n=result.plan.n,
        violation=None if violation is None else str(violation),
        property=None if violation is None else violation.property,
        faults=result.plan.faults,
        decided=result.decided,
        executed=result.executed,
        unexecuted=result.unexecuted,
        messages=result.messages,
        view_changes=result.view_changes,
    )
