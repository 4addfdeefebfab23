"""Intervals over seeds, and the comparison of a new table with its reference.

Intervals are percentile bootstrap intervals of the mean (Efron, "Bootstrap methods: another look
at the jackknife", Annals of Statistics 7, 1979) with resamples that depend on a name alone, so
that the same values give the same interval in every process. With five seeds such an interval is
somewhat too narrow; captions give n.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from simulation.base.rng import Streams

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


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One difference between a reference and a new table."""

    where: str
    expected: str
    got: str
    tolerance: str

    def __str__(self) -> str:
        return f"{self.where}: expected {self.expected}, got {self.got}, tolerance {self.tolerance}"


def compare(
    expected: Sequence[Row],
    got: Sequence[Row],
    keys: Sequence[str],
    tolerances: Mapping[str, float],
) -> list[Mismatch]:
    """Every difference between two tables.

    Rows are matched by their values in the columns ``keys``. All other columns are compared: text
    and whole numbers must be equal; floats may differ by the row's tolerance, which is listed under
    ``scope/metric`` or else under ``metric``, and must be equal where there is none.

    Raises:
        ValueError: when two rows of one table have the same keys.
    """
    reference, table = _by_key(expected, keys), _by_key(got, keys)
    found = [
        Mismatch(_where(keys, k), "a row", "none", "none") for k in reference if k not in table
    ]
    found += [
        Mismatch(_where(keys, k), "no row", "one", "none") for k in table if k not in reference
    ]
    for key, row in reference.items():
        other = table.get(key)
        if other is None:
            continue
        metric = str(row.get("metric"))
        tolerance = tolerances.get(f"{row.get('scope')}/{metric}", tolerances.get(metric, 0.0))
        for column in [*row, *(name for name in other if name not in row)]:
            one, two = row.get(column, "no column"), other.get(column, "no column")
            if not _close(one, two, tolerance):
                where = f"{_where(keys, key)}, {column}"
                found.append(Mismatch(where, str(one), str(two), f"{tolerance:g}"))
    return found


def _close(one: str | int | float, two: str | int | float, tolerance: float) -> bool:
    if one == two:
        return True
    if isinstance(one, float) and isinstance(two, float):
        # Decimal fractions read back from a file are a little off: 0.72 − 0.70 is 0.020000…018.
        return abs(one - two) <= tolerance * (1 + 1e-9)
    return False


def _by_key(rows: Sequence[Row], keys: Sequence[str]) -> dict[Key, Row]:
    found = {tuple(row[key] for key in keys): row for row in rows}
    if len(found) < len(rows):
        raise ValueError(f"two rows share their {', '.join(keys)}")
    return found


def _where(keys: Sequence[str], key: Key) -> str:
    return ", ".join(f"{name} {value}" for name, value in zip(keys, key, strict=True))
