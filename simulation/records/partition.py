"""Deals a source's rows to hospitals: its own hospitals, an even shuffle, or skewed by label."""

from __future__ import annotations

import numpy as np

from simulation.base.rng import Streams
from simulation.records.errors import DataError
from simulation.records.params import DirichletParams, IidParams, NaturalParams, PartitionParams
from simulation.records.table import Index, Table

_DRAWS = 1_000


def deal(
    table: Table, partition: PartitionParams, hospitals: int | None, streams: Streams
) -> list[Index]:
    """Row numbers of each hospital, ascending; every row goes to exactly one hospital.

    Raises:
        DataError: when the source has no hospitals of its own or another number of them, or when
            no draw gives every hospital its least number of rows.
    """
    match partition:
        case NaturalParams():
            return _natural(table, hospitals)
        case IidParams():
            count = _count(hospitals, len(table.y), 2)
            order = streams.stream("records", "partition").permutation(len(table.y))
            return [np.sort(part) for part in np.array_split(order, count)]
        case DirichletParams():
            count = _count(hospitals, len(table.y), partition.min_size)
            return _dirichlet(table, partition, count, streams)


def _natural(table: Table, hospitals: int | None) -> list[Index]:
    if table.site is None:
        raise DataError(
            "partition: this source knows no hospitals, so kind: natural cannot deal it; "
            "use kind: dirichlet or kind: iid"
        )
    if hospitals is not None and hospitals != len(table.sites):
        raise DataError(
            f"hospitals: this source has {len(table.sites)} hospitals ({', '.join(table.sites)}), "
            f"not {hospitals}; set hospitals: {len(table.sites)}, or another partition"
        )
    return [np.flatnonzero(table.site == site) for site in range(len(table.sites))]


def _count(hospitals: int | None, rows: int, least: int) -> int:
    if hospitals is None:
        raise DataError("hospitals: this partition needs a number of hospitals, e.g. hospitals: 7")
    if hospitals < 1 or hospitals * least > rows:
        raise DataError(
            f"hospitals: {rows} rows cannot give {hospitals} hospitals at least {least} rows each; "
            f"use between 1 and {rows // least}"
        )
    return hospitals


def _dirichlet(table: Table, params: DirichletParams, count: int, streams: Streams) -> list[Index]:
    rng = streams.stream("records", "partition")
    for _ in range(_DRAWS):
        parts: list[list[Index]] = [[] for _ in range(count)]
        for label in (0, 1):
            rows = rng.permutation(np.flatnonzero(table.y == label))
            share = rng.dirichlet(np.full(count, params.alpha))
            cuts = np.floor(np.cumsum(share)[:-1] * len(rows)).astype(np.int64)
            for part, piece in zip(parts, np.split(rows, cuts), strict=True):
                part.append(piece)
        dealt = [np.sort(np.concatenate(part)) for part in parts]
        if min(len(rows) for rows in dealt) >= params.min_size:
            return dealt
    raise DataError(
        f"min_size: none of {_DRAWS} draws with alpha {params.alpha} gave all {count} hospitals "
        f"{params.min_size} rows; raise alpha, lower min_size or use fewer hospitals"
    )
