"""From one file to the experiments of a sweep.

A file may say more than one experiment does: a ``sweep`` of points and the ``tolerances`` of their
table. Neither is part of an experiment, so that a point has the hash of the same experiment
written into a file of its own.
"""

from __future__ import annotations

import copy
import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any, cast

from simulation.config.build import Builder
from simulation.config.checks import contradictions
from simulation.config.errors import ConfigError, Problem, dotted
from simulation.config.experiment import Configuration, Experiment
from simulation.config.overrides import apply, path_of, write
from simulation.config.reader import Document, read
from simulation.config.sweep import Size, SizeParams, SweepParams, ToleranceParams


@dataclass(frozen=True)
class Point:
    """One experiment of a sweep."""

    labels: Mapping[str, Any]
    """Its place: the value, or the variant's name, on every axis."""
    experiment: Experiment


@dataclass(frozen=True)
class Study:
    """All experiments of a sweep in one size."""

    name: str
    size: Size
    seeds: tuple[int, ...]
    """The same for every point, so that points can be compared in pairs."""
    points: tuple[Point, ...]
    tolerances: ToleranceParams


def load_study(
    file: FilePath,
    overrides: Sequence[str] = (),
    seeds: Sequence[int] | None = None,
    size: Size = Size.QUICK,
) -> Study:
    """Read a file with its sweep; one without a sweep is a sweep of one point.

    Args:
        file: A YAML file.
        overrides: ``path.to.field=value``, as after ``--set``; they hold at every point.
        seeds: In place of those of the file or the size.
        size: Which of the three sizes.

    Raises:
        ConfigError: when anything is wrong with the file or one of its points, or an override sets
            what an axis varies.
    """
    document = read(file)
    apply(document, overrides)
    whole = resolve(document)
    sweep = whole.sweep or SweepParams()
    _refuse_overridden(sweep, overrides)
    change = size_of(sweep, size)
    if seeds is None and change is not None:
        seeds = change.seeds
    chosen = tuple(whole.seeds if seeds is None else seeds)
    points = tuple(_points(document, sweep, change, chosen))
    if not points:
        raise ConfigError(f"{document.place(('sweep',))}: sweep.without: leaves no point at all")
    return Study(whole.name, size, chosen, points, whole.tolerances)


def size_of(sweep: SweepParams, size: Size) -> SizeParams | None:
    """What a size changes; none for the file as it stands."""
    return {Size.SMOKE: sweep.smoke, Size.QUICK: None, Size.FULL: sweep.full}[size]


def has_sweep(file: FilePath) -> bool:
    """Whether a file varies anything.

    Raises:
        ConfigError: when the file cannot be read.
    """
    sweep = read(file).data.get("sweep")
    return isinstance(sweep, dict) and bool(cast("dict[str, object]", sweep).get("axes"))


def written_digest(file: FilePath) -> str:
    """Hexadecimal SHA-256 of what a file says about its quick size, without layout and comments.

    Unlike the hash of an experiment it stays as it is when the program learns a new parameter, so
    a committed reference can be held against the file that it was made from.

    Raises:
        ConfigError: when the file cannot be read.
    """
    data = {k: v for k, v in read(file).data.items() if k != "tolerances"}
    sweep = data.get("sweep")
    if isinstance(sweep, dict):
        parts = cast("dict[str, object]", sweep)
        data["sweep"] = {k: v for k, v in parts.items() if k in ("axes", "without")}
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def resolve(document: Document) -> Configuration:
    """Judge a document and fill in what it leaves out.

    Raises:
        ConfigError: when anything is wrong with it; the message lists every problem.
    """
    builder = Builder()
    built = builder.section(Configuration, document.data, ())
    problems = builder.problems or list(contradictions(cast("Configuration", built)))
    if problems:
        raise ConfigError([_line(problem, document) for problem in problems])
    return cast("Configuration", built)


def _points(
    document: Document, sweep: SweepParams, size: SizeParams | None, seeds: tuple[int, ...]
) -> Iterator[Point]:
    axes = [sweep.labels(name, size) for name in sweep.axes]
    for values in itertools.product(*axes):
        labels = dict(zip(sweep.axes, values, strict=True))
        if sweep.keeps(labels):
            yield Point(labels, _experiment(document, sweep, size, labels, seeds))


def _experiment(
    document: Document,
    sweep: SweepParams,
    size: SizeParams | None,
    labels: Mapping[str, Any],
    seeds: tuple[int, ...],
) -> Experiment:
    data = {k: v for k, v in document.data.items() if k not in ("sweep", "tolerances")}
    own = Document(copy.deepcopy(data), document.origin, dict(document.places))
    own.data["seeds"] = list(seeds)
    changes = [("its size", dict(size.set))] if size is not None else []
    changes += [
        (f"{name} = {label}", dict(sweep.changes(name, label))) for name, label in labels.items()
    ]
    place = document.place(("sweep", "axes"))
    for what, values in changes:
        for path, value in values.items():
            write(own, path_of(path), copy.deepcopy(value), f"{place} (sweep, {what})")
    return resolve(own).experiment()


def _refuse_overridden(sweep: SweepParams, overrides: Sequence[str]) -> None:
    varied = sweep.fields()
    for text in overrides:
        path = text.partition("=")[0]
        if path in varied:
            raise ConfigError(
                f"--set {text}: {path} is varied by the sweep, so this would change nothing; "
                "change the axis in the file"
            )


def _line(problem: Problem, document: Document) -> str:
    place = document.place(problem.path)
    where = f"{place}: {dotted(problem.path)}" if problem.path else place
    return f"{where}: {problem.message}"
