"""Who is learned from, who chooses hyperparameters and who is tested: rows, divided by patient.

At random, or by time, so that what is tested lies after what was learned. Nobody is on two sides,
not even a patient whom several hospitals know.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulation.base.rng import Streams
from simulation.records.base_params import SplitParams
from simulation.records.errors import DataError
from simulation.records.partition import Part, units_of
from simulation.records.table import Index, Labels, Table
from simulation.records.tables import day_of


@dataclass(frozen=True, eq=False, repr=False)
class Sides:
    """Row numbers of one hospital; none is on two sides."""

    train: Index
    """Rows that models are fitted to."""
    validation: Index
    """Rows that choose between models; none unless they were asked for."""
    test: Index
    """Rows that models are judged by."""


def divide(
    table: Table, parts: list[Part], data: SplitParams, streams: Streams
) -> tuple[list[Sides], tuple[str, ...]]:
    """The sides of each hospital, ascending in hospitals, and what was left out on the way.

    Raises:
        DataError: when a hospital has too few patients, or a time is asked for that is not there.
    """
    if data.split == "time":
        return _by_time(table, parts, data)
    return _at_random(table, parts, data, streams), ()


# ---- at random ----------------------------------------------------------------------------------


def _at_random(table: Table, parts: list[Part], data: SplitParams, streams: Streams) -> list[Sides]:
    """A patient whom several hospitals know is put on one side for all of them, by one draw; each
    hospital's other patients are then split as if they were alone.
    """
    shared = known_to_several(table, parts)
    drawn = streams.stream("records", "split", "shared").random(len(shared))
    testing = shared[drawn < data.test_fraction]
    choosing = shared[
        (drawn >= data.test_fraction) & (drawn < data.test_fraction + data.validation_fraction)
    ]
    sides: list[Sides] = []
    for hospital, part in enumerate(parts):
        patient = None if table.patient is None else table.patient[part.rows]
        common = np.zeros(len(part.rows), dtype=np.bool_)
        if patient is not None:
            common = np.isin(patient, shared)
        own, none = part.rows[~common], part.rows[:0]
        # Too few to have sides of their own beside the shared ones: they are learned from.
        few = patient is not None and common.any() and len(np.unique(patient[~common])) < 3
        side = Sides(own, none, none) if few else _alone(table, own, data, streams, hospital)
        if patient is not None and common.any():
            rows, who = part.rows[common], patient[common]
            tested, chosen = np.isin(who, testing), np.isin(who, choosing)
            side = Sides(
                np.concatenate([side.train, rows[~tested & ~chosen]]),
                np.concatenate([side.validation, rows[chosen]]),
                np.concatenate([side.test, rows[tested]]),
            )
        sides.append(side)
    return sides


def known_to_several(table: Table, parts: list[Part]) -> Index:
    """Patients who have rows at more than one hospital, ascending."""
    if table.patient is None:
        return np.array([], dtype=np.int64)
    each = [np.unique(table.patient[part.rows]) for part in parts]
    patients, hospitals = np.unique(np.concatenate(each), return_counts=True)
    return patients[hospitals > 1]


def _alone(table: Table, rows: Index, data: SplitParams, streams: Streams, hospital: int) -> Sides:
    """The sides of one hospital's own patients: the test side first, so that it is the same with
    and without a validation side.
    """
    patient = None if table.patient is None else table.patient[rows]
    seed = _seed(data.split_seed, streams, "records", "split", hospital)
    rest, test = in_two(table.y[rows], patient, data.test_fraction, seed, hospital)
    train, validation = rest, rest[:0]
    if data.validation_fraction:
        seed = _seed(data.split_seed, streams, "records", "split", hospital, "validation")
        share = data.validation_fraction / (1 - data.test_fraction)
        owner = None if patient is None else patient[rest]
        first, second = in_two(table.y[rows[rest]], owner, share, seed, hospital)
        train, validation = rest[first], rest[second]
    return Sides(rows[train], rows[validation], rows[test])


def _seed(fixed: int | None, streams: Streams, *name: str | int) -> int:
    return fixed if fixed is not None else streams.integer(*name) % 2**32


def in_two(
    labels: Labels, patient: Index | None, fraction: float, seed: int, hospital: int
) -> tuple[Index, Index]:
    """Positions of the rows that stay and of a fraction of them, split by patient; FLamby's rule
    for when to stratify.

    Raises:
        DataError: when there are too few patients.
    """
    from sklearn.model_selection import train_test_split

    units = units_of(labels, patient)
    size = len(units.labels)
    counts = np.bincount(units.labels, minlength=2)
    present = counts[counts > 0]
    tests = int(np.ceil(fraction * size))
    possible = len(present) > 1 and present.min() > 2 and 2 <= tests <= size - 2
    try:
        parts: Any = train_test_split(
            np.arange(size),
            test_size=fraction,
            random_state=seed,
            shuffle=True,
            stratify=units.labels if possible else None,
        )
    except ValueError as error:
        raise DataError(
            f"test_fraction: hospital {hospital} has {size} patients, too few to split at "
            f"{fraction:g}; use fewer hospitals or a larger min_size"
        ) from error
    if units.member is None:  # the order of the draw is kept: it is that of published splits
        return parts[0], parts[1]
    return units.rows(parts[0]), units.rows(parts[1])


# ---- by time ------------------------------------------------------------------------------------


def _by_time(
    table: Table, parts: list[Part], data: SplitParams
) -> tuple[list[Sides], tuple[str, ...]]:
    """Cuts at the same moments at every hospital, by shares of all rows."""
    time = table.time_min
    if time is None:
        raise DataError(
            "split: time needs rows with a time, and this source has none; use split: random"
        )
    used = np.concatenate([part.rows for part in parts])
    wanted = (1 - data.test_fraction - data.validation_fraction, 1 - data.test_fraction)
    cuts = np.sort(time[used])[[int(share * len(used)) for share in wanted]]
    side = np.searchsorted(cuts, time, side="right")  # 0: train, 1: validation, 2: test
    ends = np.append(cuts, np.iinfo(np.int64).max)
    unknown = time + table.horizon_min > ends[side]
    unknown[side == 2] = False
    twice = _again(table.patient, side, used[~unknown[used]])
    out = unknown | twice
    sides = [
        Sides(*(part.rows[(side[part.rows] == which) & ~out[part.rows]] for which in range(3)))
        for part in parts
    ]
    note = (
        f"split: tested from {day_of(int(cuts[1]))} on, trained until {day_of(int(cuts[0]))}; left "
        f"out: {int(unknown[used].sum())} rows whose outcome was not yet known when the next side "
        f"begins, {int(twice[used].sum())} of patients who are on an earlier side"
    )
    return sides, (note,)


def _again(patient: Index | None, side: Index, rows: Index) -> NDArray[np.bool_]:
    """Whether a row's patient is on an earlier side already, shape (all rows,)."""
    again = np.zeros(len(side), dtype=np.bool_)
    if patient is not None:
        who, member = np.unique(patient[rows], return_inverse=True)
        first = np.full(len(who), 2, dtype=np.int64)
        np.minimum.at(first, member, side[rows])
        again[rows] = side[rows] > first[member]
    return again
