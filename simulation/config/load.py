"""The way in: a file and its overrides become an `Experiment`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path as FilePath

from simulation.config.errors import ConfigError
from simulation.config.experiment import Experiment
from simulation.config.overrides import apply
from simulation.config.reader import read
from simulation.config.study import resolve


def load(
    file: FilePath, overrides: Sequence[str] = (), seeds: Sequence[int] | None = None
) -> Experiment:
    """Read, override and judge a configuration; a sweep in it is judged and left out.

    Args:
        file: A YAML file.
        overrides: ``path.to.field=value``, as after ``--set``.
        seeds: In place of the file's seeds.

    Raises:
        ConfigError: when anything is wrong with it; the message lists every problem.
    """
    document = read(file)
    apply(document, overrides)
    experiment = resolve(document).experiment()
    return experiment if seeds is None else with_seeds(experiment, seeds)


def with_seeds(experiment: Experiment, seeds: Sequence[int]) -> Experiment:
    """The same experiment with other seeds.

    Raises:
        ConfigError: when they are no seeds.
    """
    try:
        return dataclasses.replace(experiment, seeds=tuple(seeds))
    except ValueError as error:
        raise ConfigError(f"--seed: {str(error).removeprefix('seeds: ')}") from error
