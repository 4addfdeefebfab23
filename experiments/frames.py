"""Results as pandas data frames, for whoever goes on from here in a notebook.

from experiments.frames import metrics_frame, table_frame

table_frame("poisoning").groupby("rule")["auroc"].min()
metrics_frame("results/runs/heart_disease").query("scope == 'pooled' and metric == 'auroc'")
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pandas as pd

from experiments import stem as stem_parts
from experiments.stem import stem_module
from simulation.config.errors import ConfigError
from simulation.runs.artifacts import METRICS, read_manifest, read_metrics
from simulation.runs.directory import FAILED, HASH_DIGITS
from simulation.runs.seal import DONE

RUN = ("name", "config", "seed")
"""The columns that say which run a row is of; the rest is what `read_metrics` has."""


def table_frame(source: str | Path) -> pd.DataFrame:
    """The table of a stem's committed reference, by the stem's name, or any table file.

    What a table calls ``none`` (no model, nothing to attack) is missing; so a column of numbers is
    one of numbers.

    Raises:
        ConfigError: when there is no such stem or file, or the stem has no reference yet.
    """
    path = Path(source)
    if path.suffix != ".csv":
        stem_module(str(source))
        path = stem_parts.REFERENCE / f"{source}.csv"
    if not path.is_file():
        raise ConfigError(f"{path}: there is no such table; make it, or name another")
    frame = pd.read_csv(path, keep_default_na=False)
    for column in frame.columns:
        with suppress(ValueError):  # words: "none" is one of them
            frame[column] = pd.to_numeric(frame[column].mask(frame[column].isin(["none", ""])))
    return frame


def metrics_frame(*places: str | Path) -> pd.DataFrame:
    """The metrics of all finished runs at some places: run directories, or folders that hold some.

    One row for each round, scope and metric of each run, with the run's name, the first digits of
    its configuration's hash, and its seed. ``frame.attrs["failed"]`` lists the runs that failed,
    which have no metrics.

    Raises:
        ConfigError: for a place without any run.
    """
    frames: list[pd.DataFrame] = []
    failed: list[str] = []
    for place in map(Path, places):
        runs = sorted({path.parent for path in place.rglob(DONE)})
        broken = sorted({path.parent for path in place.rglob(FAILED)})
        if not runs and not broken:
            raise ConfigError(f"{place}: holds no run; run directories end in seed-<n>")
        frames += [_of_run(run) for run in runs if (run / METRICS).is_file()]
        failed += map(str, broken)
    frame = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=[*RUN])
    frame.attrs["failed"] = failed
    return frame


def _of_run(run: Path) -> pd.DataFrame:
    manifest = read_manifest(run)
    frame = pd.DataFrame(read_metrics(run))
    known = (manifest["name"], manifest["config_hash"][:HASH_DIGITS], manifest["seed"])
    for position, (column, value) in enumerate(zip(RUN, known, strict=True)):
        frame.insert(position, column, value)
    return frame
