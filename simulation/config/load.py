"""The way in: a file and its overrides become an `Experiment`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path as FilePath
from typing import cast

from simulation.config.build import Builder
from simulation.config.checks import contradictions
from simulation.config.errors import ConfigError, Problem, dotted
from simulation.config.experiment import Experiment
from simulation.config.overrides import apply
from simulation.config.reader import Document, read


def load(
    file: FilePath, overrides: Sequence[str] = (), seeds: Sequence[int] | None = None
) -> Experiment:
    """Read, override and judge a configuration.

    Args:
        file: A YAML file.
        overrides: ``path.to.field=value``, as after ``--set``.
        seeds: In place of the file's seeds.

    Raises:
        ConfigError: when anything is wrong with it; the message lists every problem.
    """
    document = read(file)
    apply(document, overrides)
    experiment = resolve(document)
    return experiment if seeds is None else with_seeds(experiment, seeds)


def resolve(document: Document) -> Experiment:
    """Judge a document and fill in what it leaves out.

    Raises:
        ConfigError: as for `load`.
    """
    builder = Builder()
    experiment = builder.section(Experiment, document.data, ())
    problems = builder.problems or list(contradictions(cast("Experiment", experiment)))
    if problems:
        raise ConfigError([_line(problem, document) for problem in problems])
    return cast("Experiment", experiment)


def with_seeds(experiment: Experiment, seeds: Sequence[int]) -> Experiment:
    """The same experiment with other seeds.

    Raises:
        ConfigError: when they are no seeds.
    """
    try:
        return dataclasses.replace(experiment, seeds=tuple(seeds))
    except ValueError as error:
        raise ConfigError(f"--seed: {str(error).removeprefix('seeds: ')}") from error


def _line(problem: Problem, document: Document) -> str:
    place = document.place(problem.path)
    return (
        f"{place}: {dotted(problem.path)}: {problem.message}"
        if problem.path
        else (f"{place}: {problem.message}")
    )
