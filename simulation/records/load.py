"""From what a configuration says to one `Shard` for each hospital.

Order matters: deal rows, split them, and only then compute statistics, on training rows alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from simulation.base.rng import Streams
from simulation.records.errors import DataError
from simulation.records.params import DataParams, Normalisation, PartitionParams
from simulation.records.partition import deal, units_of
from simulation.records.registry import source_of
from simulation.records.shard import Federation, Shard
from simulation.records.table import Index, Labels, Rows, Table

_POOLED = "normalisation: pooled shares statistics between hospitals and is not private"
_SITE = "normalisation: site uses each hospital's own statistics, which epsilon does not cover"


def load(
    data: DataParams, partition: PartitionParams, hospitals: int | None, streams: Streams
) -> Federation:
    """The private records of every hospital.

    ``hospitals`` may be none for the partition ``natural``, which takes the source's own number.

    Raises:
        DataError: when a file is absent or altered, or the request does not fit the source.
    """
    table = source_of(data.kind).read(data)
    parts = deal(table, partition, hospitals, streams)
    rows_of: list[tuple[Index, Index]] = []
    for hospital, part in enumerate(parts):
        patient = None if table.patient is None else table.patient[part.rows]
        seed = _seed(data.split_seed, hospital, streams)
        train, test = _split(table.y[part.rows], patient, data.test_fraction, seed, hospital)
        rows_of.append((part.rows[train], part.rows[test]))
    pooled = table.x[np.concatenate([train for train, _ in rows_of])]
    shards: list[Shard] = []
    for hospital, (train, test) in enumerate(rows_of):
        shift, scale = _scaling(data.normalisation, table, table.x[train], pooled)
        shards.append(
            Shard(
                hospital=hospital,
                train_x=((table.x[train] - shift) / scale).astype(np.float32),
                train_y=table.y[train],
                test_x=((table.x[test] - shift) / scale).astype(np.float32),
                test_y=table.y[test],
                features=table.features,
                name=parts[hospital].name,
            )
        )
    return Federation(data.kind, tuple(shards), (*table.notes, *_notes(data.normalisation)))


def _seed(fixed: int | None, hospital: int, streams: Streams) -> int:
    return fixed if fixed is not None else streams.integer("records", "split", hospital) % 2**32


def _split(
    labels: Labels, patient: Index | None, fraction: float, seed: int, hospital: int
) -> tuple[Index, Index]:
    """Positions of training and test rows, split by patient; FLamby's rule for when to stratify."""
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
            f"{fraction}; use fewer hospitals or a larger min_size"
        ) from error
    if units.member is None:  # the order of the draw is kept: it is that of published splits
        return parts[0], parts[1]
    return units.rows(parts[0]), units.rows(parts[1])


def _scaling(
    normalisation: Normalisation, table: Table, own: Rows, pooled: Rows
) -> tuple[Rows, Rows]:
    match normalisation:
        case "site":
            return _statistics(own)
        case "pooled":
            return _statistics(pooled)
        case "public":
            return (table.high + table.low) / 2, (table.high - table.low) / 2
        case "none":
            return np.zeros(len(table.features)), np.ones(len(table.features))


def _statistics(rows: Rows) -> tuple[Rows, Rows]:
    if len(rows) < 2:
        return rows.mean(axis=0), np.ones(rows.shape[1])
    deviation = rows.std(axis=0, ddof=1)
    # A column that is constant among the training rows is only centred: dividing by almost nothing
    # would turn the first test row that differs into a value of a thousand million.
    constant = (rows == rows[0]).all(axis=0)
    return rows.mean(axis=0), np.where(constant, 1.0, deviation + 1e-9)


def _notes(normalisation: Normalisation) -> tuple[str, ...]:
    match normalisation:
        case "site":
            return (_SITE,)
        case "pooled":
            return (_POOLED,)
        case "public" | "none":
            return ()
