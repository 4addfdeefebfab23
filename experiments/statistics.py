"""Intervals over seeds, and the comparison of a new table with its reference.

Intervals are percentile bootstrap intervals of the mean (Efron, "Bootstrap methods: another look
at the jackknife", Annals of Statistics 7, 1979) with resamples that depend on a name alone, so
that the same values give the same interval in every process. With five seeds such an interval is
somewhat too narrow; captions give n.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from simulation.base.rng import Streams
from simulation.config.sweep import Tolerance

RESAMPLES = 10_000
CONFIDENCE = 0.95

Row = Mapping[str, str | int | float]
Key = tuple[str | int | float, ...]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over seeds and how far it may be trusted."""

    n: int
    mean: float
    sd: float
    """Sample standard deviation (n − 1); 0 for one value."""
    low: float
    high: float
    """Ends of the bootstrap interval of the mean."""


def estimate(values: Sequence[float], *name: str | int) -> Estimate:
    """Mean, standard deviation and 95 % bootstrap interval of values that differ by their seed.

    ``name`` picks the stream of resamples. Each resample draws n of the n values with replacement.

    Raises:
        ValueError: for no values, or a value that is not finite.
    """
    if not values or not all(math.isfinite(value) for value in values):
        raise ValueError(f"no estimate from {list(values)}")
    n, sample = len(values), np.asarray(values, dtype=np.float64)
    draws = Streams(0).stream("bootstrap", *name).integers(0, n, (RESAMPLES, n))
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(sample[draws].mean(axis=1), [tail, 1 - tail])
    sd = float(sample.std(ddof=1)) if n > 1 else 0.0
    return Estimate(n, float(sample.mean()), sd, float(low), float(high))


def spread(column: str, values: Sequence[float], *name: str | int) -> dict[str, float]:
    """`estimate` as three columns of a table: ``column``, ``column_low`` and ``column_high``."""
    found = estimate(values, column, *name)
    return {column: found.mean, f"{column}_low": found.low, f"{column}_high": found.high}


def outside(row: Row, column: str, mark: float) -> float:
    """How far a mark is from the interval of a mean that `spread` has written; 0 inside.

    A published figure comes from splits of its own, and a mean of few seeds moves by as much as
    one would like to tell apart.
    """
    low, high = (float(row[f"{column}_{end}"]) for end in ("low", "high"))
    return max(low - mark, mark - high, 0.0)


@dataclass(frozen=True, slots=True)
class Paired:
    """How two systems differ on the same seeds."""

    difference: Estimate
    """Second minus first, seed by seed."""
    effect: float
    """Mean difference in its own standard deviations (Cohen's d for pairs); 0 for equal pairs,
    infinite when every pair differs by the same."""


def paired(
    first: Mapping[int, float], second: Mapping[int, float], *name: str | int
) -> Paired | None:
    """The difference of two systems over the seeds that both have; none when they share none.

    Raises:
        ValueError: for a value that is not finite.
    """
    seeds = sorted(first.keys() & second.keys())
    if not seeds:
        return None
    found = estimate([second[seed] - first[seed] for seed in seeds], "paired", *name)
    if found.sd > 0:
        return Paired(found, found.mean / found.sd)
    return Paired(found, math.copysign(math.inf, found.mean) if found.mean else 0.0)


# ---- comparison with a reference ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One difference between a reference and a new table."""

    where: str
    expected: str
    got: str
    tolerance: str
    keys: tuple[tuple[str, str | int | float], ...] = ()
    """The row's key columns and their values."""

    def __str__(self) -> str:
        return f"{self.where}: expected {self.expected}, got {self.got}, tolerance {self.tolerance}"


def compare(
    expected: Sequence[Row],
    got: Sequence[Row],
    keys: Sequence[str],
    tolerances: Mapping[str, float | str],
    means_only: bool = False,
) -> list[Mismatch]:
    """Every difference between two tables.

    Rows are matched by their values in the columns ``keys``. All other columns are compared, and
    must be equal where no tolerance is named. In a table with a column ``metric`` the tolerance is
    the row's, listed under ``scope/metric`` or else ``metric``, and holds for floats; in any other
    table it is the column's, and ``x_sd``, ``x_low`` and ``x_high`` have that of ``x``. With
    ``means_only`` these three are left out: with other seeds they say how those few seeds differ
    among themselves, not what is measured. What must be within the tolerance is then the gap
    between the intervals of two means, where both have one: both were drawn.

    Raises:
        ValueError: when two rows of one table have the same keys, or a tolerance is malformed.
    """
    known = {name: Tolerance.parse(value) for name, value in tolerances.items()}
    reference, table = _by_key(expected, keys), _by_key(got, keys)
    found = [_mismatch(keys, k, "", "a row", "none") for k in reference if k not in table]
    found += [_mismatch(keys, k, "", "no row", "one") for k in table if k not in reference]
    for key, row in reference.items():
        other = table.get(key)
        if other is None:
            continue
        for column in [*row, *(name for name in other if name not in row)]:
            if means_only and _SPREAD.search(column):
                continue
            one, two = row.get(column, "no column"), other.get(column, "no column")
            allowed = _tolerance(row, column, known)
            points = (one, two)
            if means_only:
                points = _nearest(_interval(row, column), _interval(other, column)) or points
            if not _close(*points, allowed):
                found.append(_mismatch(keys, key, column, str(one), str(two), str(allowed)))
    return found


_SPREAD = re.compile("(^|_)(sd|low|high)$")
"""Columns that say how far a mean may be trusted."""


def _tolerance(row: Row, column: str, known: Mapping[str, Tolerance]) -> Tolerance:
    names = [column, _SPREAD.sub("", column)]
    if "metric" in row:
        # Counts beside a metric, such as the number of seeds, are not the metric.
        measured = isinstance(row.get(column), float)
        names = [f"{row.get('scope')}/{row['metric']}", str(row["metric"])] if measured else []
    return next((known[name] for name in names if name in known), Tolerance())


def _interval(row: Row, column: str) -> tuple[float, ...]:
    """Ends of the interval of a mean, where the table has one."""
    prefix = "" if "metric" in row else f"{column}_"
    ends = [row.get(f"{prefix}{end}") for end in ("low", "high")]
    if not isinstance(row.get(column), float) or (prefix == "" and column != "mean"):
        return ()
    return tuple(float(end) for end in ends if isinstance(end, (int, float)))


def _nearest(one: tuple[float, ...], two: tuple[float, ...]) -> tuple[float, float] | None:
    """The points of two intervals that are nearest to each other; none without two of them."""
    if len(one) < 2 or len(two) < 2:
        return None
    point = min(max(one[0], two[0]), one[1])
    return point, min(max(point, two[0]), two[1])


def _close(one: str | int | float, two: str | int | float, tolerance: Tolerance) -> bool:
    if isinstance(one, str) or isinstance(two, str) or math.isnan(one) or math.isnan(two):
        return one == two
    return tolerance.allows(one, two)


def _by_key(rows: Sequence[Row], keys: Sequence[str]) -> dict[Key, Row]:
    found = {tuple(row[key] for key in keys): row for row in rows}
    if len(found) < len(rows):
        raise ValueError(f"two rows share their {', '.join(keys)}")
    return found


def _mismatch(
    keys: Sequence[str], key: Key, column: str, expected: str, got: str, tolerance: str = "none"
) -> Mismatch:
    named = tuple(zip(keys, key, strict=True))
    words = [*(f"{name} {value}" for name, value in named), *([column] if column else [])]
    return Mismatch(", ".join(words), expected, got, tolerance, named)
