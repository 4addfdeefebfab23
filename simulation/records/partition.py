"""Deals a source's patients to hospitals: its own, an even shuffle, or skewed on purpose.

Partition libraries for federated learning deal rows; here a patient may have several, which stay
together, so what is dealt are patients. flwr-datasets moreover brings its own table format and
sixteen packages (datasets, aiohttp, seaborn, ...) for what takes a line of NumPy each.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simulation.base.rng import Streams
from simulation.records.errors import DataError
from simulation.records.partition_params import (
    DirichletParams,
    FeatureShiftParams,
    IidParams,
    NaturalParams,
    PartitionParams,
    QuantityParams,
)
from simulation.records.table import Index, Labels, Rows, Table

_DRAWS = 1_000


@dataclass(frozen=True, eq=False, repr=False)
class Part:
    """What one hospital gets."""

    rows: Index
    """Row numbers, ascending."""
    name: str = ""
    """The hospital's name in the source; empty when it has none."""
    left_out: int = 0
    """Patients that the cap has left out."""


def deal(
    table: Table, partition: PartitionParams, hospitals: int | None, streams: Streams
) -> list[Part]:
    """The rows of each hospital; none is in two. All rows of a patient stay together, except where
    the source itself has them at several hospitals.

    Raises:
        DataError: when the source has no hospitals of its own or another number of them, when it
            has no such feature, or when no draw gives every hospital its least number of patients.
    """
    if isinstance(partition, NaturalParams):
        parts = _natural(table, partition, hospitals)
    else:
        units = units_of(table.y, table.patient)
        rng = streams.stream("records", "partition")
        parts = [Part(units.rows(d)) for d in _dealt(table, units, partition, hospitals, rng)]
    cap = partition.cap
    if cap is None:
        return parts
    return [_capped(table, part, cap, streams, i) for i, part in enumerate(parts)]


def _dealt(
    table: Table,
    units: Units,
    partition: IidParams | DirichletParams | QuantityParams | FeatureShiftParams,
    hospitals: int | None,
    rng: np.random.Generator,
) -> list[Index]:
    """Units of each hospital."""
    everybody = len(units.labels)
    match partition:
        case IidParams():
            return np.array_split(rng.permutation(everybody), _count(hospitals, everybody, 2))
        case FeatureShiftParams():
            count = _count(hospitals, everybody, 2)
            return np.array_split(_by_feature(table, units, partition, rng), count)
        case DirichletParams():
            count = _count(hospitals, everybody, partition.min_size)
            return _label_skew(units.labels, partition, count, rng)
        case QuantityParams():
            count = _count(hospitals, everybody, partition.min_size)
            sure, rest = np.split(rng.permutation(everybody), [count * partition.min_size])
            shares = _in_shares(rest, partition.alpha, count, rng)
            return [np.concatenate(p) for p in zip(np.split(sure, count), shares, strict=True)]


def _capped(table: Table, part: Part, cap: int, streams: Streams, hospital: int) -> Part:
    """At most ``cap`` patients of a hospital, drawn at random."""
    patient = None if table.patient is None else table.patient[part.rows]
    units = units_of(table.y[part.rows], patient)
    if len(units.labels) <= cap:
        return part
    rng = streams.stream("records", "partition", "cap", hospital)
    kept = rng.choice(len(units.labels), size=cap, replace=False)
    return Part(part.rows[units.rows(kept)], part.name, len(units.labels) - cap)


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


def _label_skew(
    labels: Labels, params: DirichletParams, count: int, rng: np.random.Generator
) -> list[Index]:
    """Each class dealt in shares of its own: the first draw in which every hospital has enough."""
    for _ in range(_DRAWS):
        each = [
            _in_shares(rng.permutation(np.flatnonzero(labels == label)), params.alpha, count, rng)
            for label in (0, 1)
        ]
        dealt = [np.concatenate(parts) for parts in zip(*each, strict=True)]
        if min(len(part) for part in dealt) >= params.min_size:
            return dealt
    raise DataError(
        f"min_size: none of {_DRAWS} draws with alpha {params.alpha} gave all {count} hospitals "
        f"{params.min_size} patients; raise alpha, lower min_size or use fewer hospitals"
    )


def _in_shares(units: Index, alpha: float, count: int, rng: np.random.Generator) -> list[Index]:
    """Units cut at shares drawn from Dirichlet(alpha)."""
    share = rng.dirichlet(np.full(count, alpha))
    cuts = np.floor(np.cumsum(share)[:-1] * len(units)).astype(np.int64)
    return np.split(units, cuts)


def _by_feature(
    table: Table, units: Units, params: FeatureShiftParams, rng: np.random.Generator
) -> Index:
    """Units in the order of their input, blurred."""
    if params.feature not in table.features:
        raise DataError(
            f"feature: this source has no input {params.feature!r}; choose one of "
            f"{', '.join(table.features[:12])}{', ...' if len(table.features) > 12 else ''}"
        )
    value = table.x[:, table.features.index(params.feature)]
    known = np.isfinite(value)
    member = np.arange(len(value)) if units.member is None else units.member
    size = len(units.labels)
    count = np.bincount(member[known], minlength=size)
    total = np.bincount(member[known], weights=value[known], minlength=size)
    mean = total / np.maximum(count, 1)
    has = np.flatnonzero(count > 0)
    rank = _evenly(np.lexsort([rng.random(len(has)), mean[has]]))  # ties by chance, not by the file
    blurred = params.strength * rank + (1 - params.strength) * rng.random(len(has))
    place = rng.random(size)
    place[has] = _evenly(np.argsort(blurred, kind="stable"))
    return np.argsort(place, kind="stable")


def _evenly(order: Index) -> Rows:
    """Each position's rank, from 0 to below 1."""
    rank = np.empty(len(order))
    rank[order] = np.arange(len(order)) / len(order)
    return rank
