"""What a stem is made of: runs come in, a table goes out, and a verdict on one claim.

A *stem* is a module of this package that declares a ``CLAIM``. `Stem` lists what else it offers.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from simulation.config.experiment import Experiment
    from simulation.config.sweep import Size

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "results" / "reference"

Table = list[dict[str, str | int | float]]
"""Rows of equal columns, in the order in which they are written."""


@dataclass(frozen=True)
class Verdict:
    """What the data say about a claim."""

    holds: bool
    because: str
    """One sentence with the numbers that decide, made from the table."""

    def __str__(self) -> str:
        return f"{'holds' if self.holds else 'does not hold'}: {self.because}"


@dataclass(frozen=True)
class Run:
    """A finished run of a stem."""

    labels: Mapping[str, Any]
    """Its place in the sweep: the value, or the variant's name, on every axis."""
    seed: int
    directory: Path
    rows: Sequence[Mapping[str, Any]]
    """The run's metrics: round, scope, metric, value, t_us."""
    experiment: Experiment | None = None
    """The resolved configuration."""
    measured: Any = None
    """What the stem's ``measure`` returned for this run."""
    broken: str | None = None
    """Which property of every run this one did not have, and ended at; it has no metrics then."""

    @cached_property
    def manifest(self) -> Mapping[str, Any]:
        """The run's manifest; ``summary`` has messages, ledger and privacy in total."""
        from simulation.runs.manifest import read_manifest

        return read_manifest(self.directory)

    def series(self, scope: str, metric: str) -> list[tuple[int, float]]:
        """Round and value of one metric, in the order of rounds."""
        return [
            (row["round"], row["value"])
            for row in self.rows
            if row["scope"] == scope and row["metric"] == metric
        ]

    def last(self, scope: str, metric: str) -> float:
        """One metric after the last round in which it was taken.

        Raises:
            LookupError: when the run has no such metric.
        """
        found = self.series(scope, metric)
        if not found:
            raise LookupError(f"{self.directory}: no metric {metric} of {scope}")
        return max(found)[1]


def by_point(runs: Sequence[Run]) -> list[tuple[Mapping[str, Any], list[Run]]]:
    """The runs of every point, seeds in order; points in the order of the sweep."""
    found: list[tuple[Mapping[str, Any], list[Run]]] = []
    for run in runs:
        for labels, members in found:
            if labels == run.labels:
                members.append(run)
                break
        else:
            found.append((run.labels, [run]))
    return found


class Stem(Protocol):
    """What a module of this package offers to be a stem.

    One that runs worlds has ``configs/<stem>.yaml`` and ``table``; one that does not has
    ``compute`` in its place, and ``TOLERANCES`` like those of a configuration where it needs them.
    One may have ``measure``: what a run's metrics do not hold, as JSON data; it is called once for
    each run and kept beside the runs. One that asks how much consensus survives has ``BREAKS =
    True``: a run that ends because a property does not hold is a result, and `Run.broken` names it.
    """

    CLAIM: str
    """One sentence that can turn out to be false."""
    KEYS: Sequence[str]
    """The columns that name a row of the table."""
    table: Callable[[Sequence[Run]], Table]
    """The numbers behind the figure, from all runs of the sweep."""
    compute: Callable[[Size], Table]
    """The table of a stem without runs."""
    measure: Callable[[Run], Any]
    """More about a run than its metrics."""

    def figure(self, table: Table) -> Figure:
        """The figure; a pure function of the table."""
        ...

    def verdict(self, table: Table) -> Verdict:
        """Whether the claim holds, from the table alone."""
        ...


@cache
def stems() -> tuple[str, ...]:
    """Names of all stems: the modules of this package with a ``CLAIM``, in alphabetical order.

    They are read and not imported, so that asking for help needs no plotting library.
    """
    return tuple(sorted(path.stem for path in Path(__file__).parent.glob("*.py") if _claims(path)))


def _claims(path: Path) -> bool:
    names = [
        target.id
        for statement in ast.parse(path.read_text(encoding="utf-8")).body
        for target in _targets(statement)
        if isinstance(target, ast.Name)
    ]
    return "CLAIM" in names


def _targets(statement: ast.stmt) -> Sequence[ast.expr]:
    match statement:
        case ast.Assign(targets=targets):
            return targets
        case ast.AnnAssign(target=target):
            return [target]
        case _:
            return []


def stem_module(stem: str) -> Stem:
    """The module of a stem.

    Raises:
        ConfigError: when there is no such stem.
    """
    from simulation.config.errors import ConfigError, nearest

    if stem not in stems():
        raise ConfigError(f"no experiment is called {stem!r}; {nearest(stem, stems())}")
    return cast("Stem", import_module(f"experiments.{stem}"))


def config_of(stem: str) -> Path | None:
    """The configuration of a stem; none for one without runs."""
    return None if hasattr(stem_module(stem), "compute") else ROOT / "configs" / f"{stem}.yaml"
