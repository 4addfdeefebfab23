"""Two runs side by side: what was set, what was measured, and where they part ways."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from experiments.statistics import Paired, paired
from simulation.config.dump import to_data
from simulation.config.load import load
from simulation.runs.artifacts import CONFIG, read_metrics, read_trace
from simulation.runs.manifest import read_manifest
from simulation.runs.seal import DONE

SCOPES = ("pooled", "mean", "max", "round", "workload")
"""Scopes of the whole federation."""


@dataclass(frozen=True)
class Setting:
    """A parameter that two configurations have differently."""

    path: str
    first: Any
    second: Any


@dataclass(frozen=True)
class Metric:
    """A metric after the last round, of the two runs and over all seeds that both have."""

    name: str
    first: float | None
    second: float | None
    pairs: Paired | None


@dataclass(frozen=True)
class Parting:
    """The first event at which two traces differ; none on the side that ends before."""

    number: int
    """Counted from 1."""
    first: Mapping[str, Any] | None
    second: Mapping[str, Any] | None


@dataclass(frozen=True)
class Comparison:
    """All that two runs have to say about each other."""

    settings: Sequence[Setting]
    metrics: Sequence[Metric]
    seeds: Sequence[int]
    """That both configurations have done."""
    same_seed: bool
    parting: Parting | None
    """Only asked of runs with the same seed; none when their traces are equal."""


def compare_runs(first: Path, second: Path) -> Comparison:
    """Compare two finished runs, and their configurations over every seed that both have.

    Raises:
        OSError: when one of them is no run directory.
    """
    one, other = (_last(read_metrics(place)) for place in (first, second))
    seeds = [_seeds(place.parent) for place in (first, second)]
    shared = sorted(seeds[0].keys() & seeds[1].keys())
    ends = [{seed: _last(read_metrics(found[seed])) for seed in shared} for found in seeds]
    metrics = [
        Metric(name, one.get(name), other.get(name), _paired(name, *ends))
        for name in dict.fromkeys([*one, *other])
    ]
    same = read_manifest(first)["seed"] == read_manifest(second)["seed"]
    parting = _parting(read_trace(first), read_trace(second)) if same else None
    return Comparison(_settings(first, second), metrics, shared, same, parting)


def _settings(first: Path, second: Path) -> list[Setting]:
    one, other = (
        dict(_flat(to_data(load(place / CONFIG)), "")) for place in (first, second)
    )  # fmt: skip
    return [
        Setting(path, one.get(path, "absent"), other.get(path, "absent"))
        for path in dict.fromkeys([*one, *other])
        if path != "seeds" and one.get(path, "absent") != other.get(path, "absent")
    ]


def _flat(data: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(data, dict) and data:
        for name, value in data.items():
            yield from _flat(value, f"{path}.{name}" if path else name)
    else:
        yield path, data


def _seeds(folder: Path) -> dict[int, Path]:
    """The finished runs of one configuration by seed."""
    found = (path.parent for path in folder.glob(f"seed-*/{DONE}"))
    return {int(place.name.removeprefix("seed-")): place for place in found}


def _last(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Every metric of the whole federation after the last round in which it was taken."""
    wanted = [row for row in rows if row["scope"] in SCOPES]
    wanted.sort(key=lambda row: row["round"])
    return {f"{row['scope']}.{row['metric']}": row["value"] for row in wanted}


def _paired(
    name: str, one: Mapping[int, Mapping[str, float]], other: Mapping[int, Mapping[str, float]]
) -> Paired | None:
    sides = [{seed: ends[name] for seed, ends in side.items() if name in ends}
             for side in (one, other)]  # fmt: skip
    return paired(*sides, name)


def _parting(
    first: Iterator[Mapping[str, Any]], second: Iterator[Mapping[str, Any]]
) -> Parting | None:
    for number, (one, other) in enumerate(zip_longest(first, second), start=1):
        if one != other:
            return Parting(number, one, other)
    return None
