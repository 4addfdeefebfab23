"""From raw columns to inputs: what is fitted on training rows, as a value with a digest.

The *plan* says which inputs there are and is the same at all hospitals; two hospitals with the same
digest make the same inputs of the same row, up to scale. The *scale* is each hospital's own, except
with pooled normalisation, where it is part of the plan's digest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulation.base.digest import Digest, Tag, tagged_hash
from simulation.base.encoding import encode
from simulation.records.base_params import Normalisation
from simulation.records.errors import DataError
from simulation.records.table import Rows, Table

LIMIT = 10.0
"""Scaled numbers are cut to this many interquartile ranges, so that one outlier, or a value at a
hospital that never measured it in training, moves no weight by more."""


@dataclass(frozen=True, slots=True)
class Input:
    """One raw column's inputs."""

    column: int
    """Position of the raw column."""
    name: str
    """Its name."""
    levels: tuple[str, ...] = ()
    """Levels with an indicator each; those that are not listed share the indicator ``other``,
    except the reference, which has none."""
    reference: str = ""
    """The level without an indicator."""
    missing: bool = False
    """Whether an indicator says that the number is missing."""

    def features(self) -> tuple[str, ...]:
        """Names of the inputs."""
        if self.reference:
            return tuple(f"{self.name}={level}" for level in (*self.levels, "other"))
        return (self.name, f"{self.name}=missing") if self.missing else (self.name,)


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Scale:
    """What numbers are shifted and divided by."""

    shift: Rows
    """Shape (raw columns,)."""
    width: Rows
    """Shape (raw columns,), above 0."""


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Pipeline:
    """Which inputs are made of a table's raw columns, and how they are scaled."""

    inputs: tuple[Input, ...]
    levels: tuple[tuple[str, ...], ...]
    """Levels of every raw column, as the source declares them."""
    normalisation: Normalisation
    pooled: Scale | None
    """The common scale; none where each hospital has its own."""

    @property
    def features(self) -> tuple[str, ...]:
        """Names of all inputs, in order."""
        return tuple(name for given in self.inputs for name in given.features())

    @property
    def digest(self) -> Digest:
        """Commits to everything that decides what an input means (floats by their bits)."""
        pooled = [] if self.pooled is None else [self.pooled.shift, self.pooled.width]
        return tagged_hash(
            Tag.PIPELINE,
            encode(
                {
                    "inputs": [
                        [g.column, g.name, list(g.levels), g.reference, g.missing]
                        for g in self.inputs
                    ],
                    "levels": [list(levels) for levels in self.levels],
                    "normalisation": self.normalisation,
                    "pooled": [[float(v).hex() for v in part.tolist()] for part in pooled],
                }
            ),
        )

    def scale_of(self, table: Table, train: NDArray[np.float64]) -> Scale:
        """A hospital's scale, from its raw training rows; the pooled one where there is one."""
        return self.pooled or _scale(self.normalisation, table, train)

    def transform(self, x: Rows, scale: Scale) -> NDArray[np.float32]:
        """Inputs, shape (rows, inputs), of raw rows, shape (rows, raw columns)."""
        columns: list[Rows] = []
        for given in self.inputs:
            raw = x[:, given.column]
            if given.reference:
                columns.extend(self._indicators(given, raw))
                continue
            known = np.isfinite(raw)
            scaled = (raw - scale.shift[given.column]) / scale.width[given.column]
            if self.normalisation != "none":
                scaled = np.clip(scaled, -LIMIT, LIMIT)
            columns.append(np.where(known, scaled, 0.0))
            if given.missing:
                columns.append((~known).astype(np.float64))
        return np.column_stack(columns).astype(np.float32)

    def _indicators(self, given: Input, raw: Rows) -> list[Rows]:
        names = self.levels[given.column]
        kept = [names.index(level) for level in given.levels]
        rest = ~np.isin(raw, [*kept, names.index(given.reference)])
        return [*((raw == level).astype(np.float64) for level in kept), rest.astype(np.float64)]


def fit(
    table: Table, train: NDArray[np.int64], rare_share: float, normalisation: Normalisation
) -> Pipeline:
    """The plan for a table, from its training rows at all hospitals.

    With normalisation ``public`` or ``none`` no row is looked at: every column and level is kept.

    Raises:
        DataError: when ``public`` is asked for and a column has no published range.
    """
    free = normalisation in {"public", "none"}
    rows = table.x[train]
    if normalisation == "public":
        unknown = [n for n, low in zip(table.features, table.low, strict=True) if not low > -np.inf]
        if unknown:
            raise DataError(
                f"normalisation: public needs a published range, and {len(unknown)} columns have "
                f"none ({', '.join(unknown[:3])}); use normalisation: site"
            )
    inputs: list[Input] = []
    for i, column in enumerate(table.columns):
        if column.levels:
            made = _levels(i, column.name, column.levels, rows[:, i], None if free else rare_share)
        else:
            made = _number(i, column.name, rows[:, i], None if free else rare_share)
        if made is not None:
            inputs.append(made)
    return Pipeline(
        inputs=tuple(inputs),
        levels=tuple(column.levels for column in table.columns),
        normalisation=normalisation,
        pooled=None if normalisation == "site" else _scale(normalisation, table, rows),
    )


def _levels(
    column: int, name: str, levels: Sequence[str], raw: Rows, rare_share: float | None
) -> Input | None:
    if rare_share is None:
        return Input(column, name, tuple(levels[1:]), levels[0])
    counts = np.bincount(raw.astype(np.int64), minlength=len(levels))
    order = sorted(range(len(levels)), key=lambda level: (-counts[level], level))
    kept = [level for level in order if counts[level] > 0]
    kept = [level for level in kept if counts[level] >= rare_share * len(raw)]
    if counts.max() == len(raw):
        return None  # one level only: nothing to learn from
    first, *others = kept or order
    return Input(column, name, tuple(levels[i] for i in sorted(others)), levels[first])


def _number(column: int, name: str, raw: Rows, rare_share: float | None) -> Input | None:
    if rare_share is None:
        return Input(column, name, missing=name.startswith("last_"))
    known = np.isfinite(raw)
    if (known & (raw != 0)).mean() < max(rare_share, 1e-9):
        return None
    absent = float((~known).mean())
    return Input(column, name, missing=absent > 0 and rare_share <= absent <= 1 - rare_share)


def _scale(normalisation: Normalisation, table: Table, rows: Rows) -> Scale:
    count = len(table.columns)
    shift, width = np.zeros(count), np.ones(count)
    if normalisation == "none":
        return Scale(shift, width)
    for i, column in enumerate(table.columns):
        low, high = table.low[i], table.high[i]
        values = rows[:, i][np.isfinite(rows[:, i])]
        if column.levels or (low, high) == (0.0, 1.0):
            continue  # an indicator stays 0 or 1
        if normalisation == "public" or len(values) < 2:
            if low < high:
                shift[i], width[i] = (high + low) / 2, (high - low) / 2
            continue
        quarter, shift[i], three = np.quantile(values, (0.25, 0.5, 0.75))
        deviation = float(values.std())
        # Counts are mostly zero: their interquartile range is, too, and says nothing of the rest.
        width[i] = (three - quarter) or (deviation if deviation > 0 else 1.0)
    return Scale(shift, width)
