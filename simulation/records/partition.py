"""Deals a source's rows to hospitals: its own hospitals, an even shuffle, or skewed by label."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simulation.base.rng import Streams
from simulation.records.errors import DataError
from simulation.records.params import DirichletParams, IidParams, NaturalParams, PartitionParams
from simulation.records.table import Index, Labels, Table

_DRAWS = 1_000


@dataclass(frozen=True, eq=False, repr=False)
class Part:
    """What one hospital gets."""

    rows: Index
    """Row numbers, ascending."""
    name: str = ""
    """The hospital's name in the source; empty when it has none."""


def deal(
    table: Table, partition: PartitionParams, hospitals: int | None, streams: Streams
) -> list[Part]:
    """The rows of each hospital; none is in two. All rows of a patient stay together, except where
    the source itself has them at several hospitals.

    Raises:
        DataError: when the source has no hospitals of its own or another number of them, or when
            no draw gives every hospital its least number of patients.
    """
    if isinstance(partition, NaturalParams):
        return _natural(table, partition, hospitals)
    units = units_of(table.y, table.patient)
    rng = streams.stream("records", "partition")
    match partition:
        case IidParams():
            count = _count(hospitals, len(units.labels), 2)
            dealt = np.array_split(rng.permutation(len(units.labels)), count)
        case DirichletParams():
            count = _count(hospitals, len(units.labels), partition.min_size)
            dealt = _dirichlet(units.labels, partition, count, rng)
    return [Part(units.rows(part)) for part in dealt]


@dataclass(frozen=True, eq=False, repr=False)
class Units:
    """What is dealt and split: patients, with one label each."""

    labels: Labels
    """1 for a patient with any row of label 1, shape (patients,)."""
    member: Index | None
    """Number of each row's patient; none when rows are patients."""

    def rows(self, units: Index) -> Index:
        """Ascending row numbers of some patients."""
        if self.member is None:
            return np.sort(units)
        return np.flatnonzero(np.isin(self.member, units))


def units_of(labels: Labels, patient: Index | None) -> Units:
    """The patients of some rows."""
    if patient is None:
        return Units(labels, None)
    _, member = np.unique(patient, return_inverse=True)
    whole = np.zeros(int(member.max()) + 1, dtype=np.int64)
    np.maximum.at(whole, member, labels)
    return Units(whole, member)


def _natural(table: Table, params: NaturalParams, hospitals: int | None) -> list[Part]:
    if table.site is None:
        raise DataError(
            "partition: this source knows no hospitals, so kind: natural cannot deal it; "
            "use kind: dirichlet or kind: iid"
        )
    rows = [np.flatnonzero(table.site == site) for site in range(len(table.sites))]
    sizes = [
        len(part) if table.patient is None else len(set(table.patient[part].tolist()))
        for part in rows
    ]
    kept = [site for site, size in enumerate(sizes) if size >= params.min_size]
    if hospitals is not None and params.largest and 1 <= hospitals < len(kept):
        kept = sorted(sorted(kept, key=lambda site: (-sizes[site], site))[:hospitals])
    if not kept or (hospitals is not None and hospitals != len(kept)):
        names = ", ".join(table.sites[site] for site in kept[:8]) + (", ..." if kept[8:] else "")
        raise DataError(
            f"hospitals: this source has {len(kept)} hospitals of at least {params.min_size} "
            f"patients ({names}), not {hospitals}; set hospitals: {len(kept)}, or largest: true in "
            "the partition to take the largest, or another partition"
        )
    return [Part(rows[site], table.sites[site]) for site in kept]


def _count(hospitals: int | None, rows: int, least: int) -> int:
    if hospitals is None:
        raise DataError("hospitals: this partition needs a number of hospitals, e.g. hospitals: 7")
    if hospitals < 1 or hospitals * least > rows:
        raise DataError(
            f"hospitals: {rows} patients cannot give {hospitals} hospitals at least {least} each; "
            f"use between 1 and {rows // least}"
        )
    return hospitals


def _dirichlet(
    labels: Labels, params: DirichletParams, count: int, rng: np.random.Generator
) -> list[Index]:
    for _ in range(_DRAWS):
        parts: list[list[Index]] = [[] for _ in range(count)]
        for label in (0, 1):
            units = rng.permutation(np.flatnonzero(labels == label))
            share = rng.dirichlet(np.full(count, params.alpha))
            cuts = np.floor(np.cumsum(share)[:-1] * len(units)).astype(np.int64)
            for part, piece in zip(parts, np.split(units, cuts), strict=True):
                part.append(piece)
        dealt = [np.concatenate(part) for part in parts]
        if min(len(part) for part in dealt) >= params.min_size:
            return dealt
    raise DataError(
        f"min_size: none of {_DRAWS} draws with alpha {params.alpha} gave all {count} hospitals "
        f"{params.min_size} patients; raise alpha, lower min_size or use fewer hospitals"
    )
