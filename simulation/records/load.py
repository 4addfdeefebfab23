"""From what a configuration says to one `Shard` for each hospital.

Order matters: deal rows, split them, and only then compute statistics, on training rows alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from simulation.base.rng import Streams
from simulation.records.base_params import RecordsParams
from simulation.records.errors import DataError
from simulation.records.params import DataParams, Normalisation, PartitionParams
from simulation.records.partition import Part, deal, units_of
from simulation.records.pipeline import fit
from simulation.records.registry import source_of
from simulation.records.shard import Federation, Shard
from simulation.records.table import Index, Labels, Rows, Table

_POOLED = "normalisation: pooled shares statistics between hospitals and is not private"
_CHOSEN = "pipeline: which inputs are common enough to keep is decided on all training rows"
_SITE = "normalisation: site uses each hospital's own statistics, which epsilon does not cover"


def load(
    data: DataParams, partition: PartitionParams, hospitals: int | None, streams: Streams
) -> Federation:
    """The private records of every hospital.

    ``hospitals`` may be none for the partition ``natural``, which takes the source's own number.

    Raises:
        DataError: when a file is absent or altered, or the request does not fit the source.
    """
    table = source_of(data.kind).table(data, hospitals, streams)
    parts = deal(table, partition, hospitals, streams)
    rows_of = _sides(table, parts, data, streams)
    notes = (*table.notes, *_notes(data.normalisation))
    if table.columns:
        return _from_raw(data, table, parts, rows_of, notes)
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
    return Federation(data.kind, tuple(shards), notes)


def _from_raw(
    data: DataParams,
    table: Table,
    parts: list[Part],
    rows_of: list[tuple[Index, Index]],
    notes: tuple[str, ...],
) -> Federation:
    """Fit the pipeline on all training rows, scale by each hospital's own."""
    assert isinstance(data, RecordsParams)
    everybody = np.concatenate([train for train, _ in rows_of])
    pipeline = fit(table, everybody, data.rare_share, data.normalisation)
    shards: list[Shard] = []
    for hospital, (train, test) in enumerate(rows_of):
        scale = pipeline.scale_of(table, table.x[train])
        shards.append(
            Shard(
                hospital=hospital,
                train_x=pipeline.transform(table.x[train], scale),
                train_y=table.y[train],
                test_x=pipeline.transform(table.x[test], scale),
                test_y=table.y[test],
                features=pipeline.features,
                name=parts[hospital].name,
            )
        )
    chosen = (_CHOSEN,) if data.normalisation in {"site", "pooled"} else ()
    return Federation(data.kind, tuple(shards), (*notes, *chosen), pipeline.digest)


def _sides(
    table: Table, parts: list[Part], data: DataParams, streams: Streams
) -> list[tuple[Index, Index]]:
    """Training and test rows of each hospital, ascending in hospitals.

    A patient whom several hospitals know is put on one side for all of them, by one draw; each
    hospital's other patients are then split as if they were alone.
    """
    shared = _shared(table, parts)
    testing = np.array([], dtype=np.int64)
    if len(shared):
        drawn = streams.stream("records", "split", "shared").random(len(shared))
        testing = shared[drawn < data.test_fraction]
    sides: list[tuple[Index, Index]] = []
    for hospital, part in enumerate(parts):
        seed = _seed(data.split_seed, hospital, streams)
        patient = None if table.patient is None else table.patient[part.rows]
        alone = np.ones(len(part.rows), dtype=np.bool_)
        if patient is not None and len(shared):
            alone = ~np.isin(patient, shared)
        own = part.rows[alone]
        owner = None if patient is None else patient[alone]
        train, test = own, own
        if len(own) or patient is None:
            train, test = _split(table.y[own], owner, data.test_fraction, seed, hospital)
            train, test = own[train], own[test]
        if patient is not None and not alone.all():
            common, tested = part.rows[~alone], np.isin(patient[~alone], testing)
            train = np.concatenate([train, common[~tested]])
            test = np.concatenate([test, common[tested]])
        sides.append((train, test))
    return sides


def _shared(table: Table, parts: list[Part]) -> Index:
    """Patients who have rows at more than one hospital."""
    if table.patient is None:
        return np.array([], dtype=np.int64)
    each = [np.unique(table.patient[part.rows]) for part in parts]
    patients, hospitals = np.unique(np.concatenate(each), return_counts=True)
    return patients[hospitals > 1]


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
