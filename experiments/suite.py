"""From a stem to its table: run what is missing, gather, write, compare.

A stem is a module of this package with the names of `Stem`. What a stem knows is its configuration,
how runs become a table and how a table becomes a figure; everything else is here, once.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

from matplotlib.figure import Figure

from experiments import STEMS, style
from experiments.statistics import Mismatch, Row, compare
from simulation.config.dump import config_hash
from simulation.config.errors import ConfigError
from simulation.config.experiment import Experiment
from simulation.config.load import load
from simulation.runs.artifacts import read_metrics
from simulation.runs.manifest import read_manifest
from simulation.runs.provenance import revision, versions

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "results" / "reference"

Table = list[dict[str, str | int | float]]
"""Rows of equal columns, in the order in which they are written."""


@dataclass(frozen=True)
class Run:
    """A finished run of a stem."""

    variant: str
    """Which of the stem's `Stem.VARIANTS`."""
    seed: int
    directory: Path
    rows: Sequence[Mapping[str, Any]]
    """The run's metrics: round, scope, metric, value, t_us."""


class Stem(Protocol):
    """What a module of this package offers to be a stem."""

    VARIANTS: Mapping[str, Sequence[str]]
    """Name to overrides (``path.to.field=value``) of ``configs/<stem>.yaml``."""
    KEYS: Sequence[str]
    """The columns that name a row of the table."""
    TOLERANCES: Mapping[str, float]
    """How far a float may be from the reference, by ``scope/metric`` or ``metric``; else 0."""

    def table(self, runs: Sequence[Run]) -> Table:
        """The numbers behind the figure."""
        ...

    def figure(self, table: Table) -> Figure:
        """The figure; a pure function of the table."""
        ...

    def summary(self, table: Table) -> list[str]:
        """What the table says, in a few lines of text."""
        ...


class RunFailedError(RuntimeError):
    """A run ended with an exception; the message names its directory."""


def stem_module(stem: str) -> Stem:
    """The module of a stem.

    Raises:
        ConfigError: when there is no such stem.
    """
    if stem not in STEMS:
        raise ConfigError(f"no experiment is called {stem!r}; choose from {', '.join(STEMS)}")
    return cast("Stem", import_module(f"experiments.{stem}"))


def experiments_of(stem: str) -> dict[str, Experiment]:
    """A stem's configurations by variant."""
    config = ROOT / "configs" / f"{stem}.yaml"
    variants = stem_module(stem).VARIANTS
    return {name: load(config, overrides) for name, overrides in variants.items()}


def run_missing(stem: str, out: Path, say: Callable[[str], None]) -> list[Run]:
    """All runs of a stem, below ``out``; those that are done are not run again.

    Raises:
        ConfigError, DataError: for what has to be mended before anything can run.
        RunFailedError: when a run ends with an exception.
    """
    from experiments.run_figure import draw_run
    from simulation.runs.directory import State, run_directory, state
    from simulation.runs.execute import execute
    from simulation.runs.preflight import preflight

    runs: list[Run] = []
    for variant, experiment in experiments_of(stem).items():
        places = {seed: run_directory(out, experiment, seed) for seed in experiment.seeds}
        missing = [seed for seed, place in places.items() if state(place) is not State.DONE]
        if missing:
            preflight(experiment, missing)
        for seed in experiment.seeds:
            say(f"{stem}, {variant}, seed {seed}: {'runs' if seed in missing else 'done before'}")
            result = execute(experiment, seed, out, draw=draw_run)
            if result.failure is not None:
                raise RunFailedError(f"{result.failure.message}; see {result.directory}/FAILED")
            runs.append(Run(variant, seed, result.directory, read_metrics(result.directory)))
    return runs


# ---- files --------------------------------------------------------------------------------------


def write_table(path: Path, table: Table) -> None:
    """Write a table as CSV; floats with six decimals, so that equal tables are equal bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(table[0]), lineterminator="\n")
        writer.writeheader()
        for row in table:
            writer.writerow({k: f"{v:.6f}" if type(v) is float else v for k, v in row.items()})


def read_table(path: Path) -> Table:
    """The rows that `write_table` wrote: with a point a float, all digits an int, else text."""
    with path.open(encoding="utf-8", newline="") as file:
        return [{name: _value(text) for name, text in row.items()} for row in csv.DictReader(file)]


def _value(text: str) -> str | int | float:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def write_results(stem: str, table: Table, runs: Sequence[Run], folder: Path) -> list[Path]:
    """Table, manifest and figure of a stem, as ``<folder>/<stem>.*``."""
    module = stem_module(stem)
    csv_path = folder / f"{stem}.csv"
    write_table(csv_path, table)
    manifest = folder / f"{stem}.manifest.json"
    text = json.dumps(manifest_of(stem, runs, csv_path), indent=2, ensure_ascii=False)
    manifest.write_text(text + "\n", encoding="utf-8")
    # Drawn from the file, as everybody else will draw it.
    with style.figure_style():
        figure = module.figure(read_table(csv_path))
    return [csv_path, manifest, *style.save(figure, folder, stem)]


def manifest_of(stem: str, runs: Sequence[Run], csv_path: Path) -> dict[str, Any]:
    """What a table was made from: configurations, seeds, trace digests, versions."""
    module, experiments = stem_module(stem), experiments_of(stem)
    return {
        "stem": stem,
        "csv_sha256": hashlib.sha256(csv_path.read_bytes()).hexdigest(),
        "config": f"configs/{stem}.yaml",
        "variants": {
            name: {
                "overrides": list(module.VARIANTS[name]),
                "config_hash": config_hash(experiment),
                "seeds": list(experiment.seeds),
                "trace_digests": {
                    str(run.seed): read_manifest(run.directory)["trace_digest"]
                    for run in runs
                    if run.variant == name
                },
            }
            for name, experiment in experiments.items()
        },
        "tolerances": dict(module.TOLERANCES),
        "git": revision(),
        "versions": {**versions(), "matplotlib": _matplotlib()},
    }


def _matplotlib() -> str:
    import matplotlib as mpl

    return mpl.__version__


def read_reference_manifest(stem: str) -> dict[str, Any]:
    """What the committed reference of a stem was made from."""
    return json.loads((REFERENCE / f"{stem}.manifest.json").read_text(encoding="utf-8"))


def differences(stem: str, table: Sequence[Row]) -> list[Mismatch]:
    """Where a table departs from the committed reference of its stem."""
    path = REFERENCE / f"{stem}.csv"
    if not path.is_file():
        return [Mismatch(str(path), "a reference table", "no file", "none")]
    module = stem_module(stem)
    return compare(read_table(path), table, module.KEYS, module.TOLERANCES)
