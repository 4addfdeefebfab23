"""From what a configuration says to one `Shard` for each hospital.

Order matters: deal rows, split them, and only then compute statistics, on training rows alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from simulation.base.digest import Digest
from simulation.base.rng import Streams
from simulation.records.base_params import RecordsParams
from simulation.records.history import earlier_rows, names, sequences
from simulation.records.leakage import alarms
from simulation.records.oddities import what_is_odd
from simulation.records.params import DataParams, Normalisation
from simulation.records.partition import deal
from simulation.records.partition_params import PartitionParams
from simulation.records.pipeline import fit
from simulation.records.registry import source_of
from simulation.records.shard import Federation, Shard
from simulation.records.split import Sides, divide
from simulation.records.table import Index, Rows, Table

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
    source = source_of(data.kind)
    table = source.table(data, hospitals, streams)
    parts = deal(table, partition, hospitals, streams)
    sides, late = divide(table, parts, data, streams)
    recipe = (_fitted if table.columns else _scaled)(data, table, [s.train for s in sides])
    if isinstance(data, RecordsParams) and data.history > 1:
        recipe = _sequential(recipe, table, data.history)
    shards = tuple(
        _shard(hospital, part.name, table, side, recipe)
        for hospital, (part, side) in enumerate(zip(parts, sides, strict=True))
    )
    most = source.most_auroc if data.most_auroc is None else data.most_auroc
    notes = (
        *alarms(table, sides, most),
        *table.notes,
        *what_is_odd(table, parts, shards),
        *late,
        *_notes(data.normalisation),
        *recipe.notes,
    )
    return Federation(
        source=data.kind,
        shards=shards,
        notes=notes,
        shared=_shared(table, [side.train for side in sides]),
        pipeline=recipe.digest,
    )


def _shared(table: Table, train: list[Index]) -> tuple[int, int]:
    """How many patients have training rows at several hospitals, and at how many one has them."""
    if table.patient is None:
        return 0, 1
    seen = np.concatenate([np.unique(table.patient[rows]) for rows in train])
    hospitals = np.unique(seen, return_counts=True)[1]
    return int((hospitals > 1).sum()), int(hospitals.max())


Encode = Callable[[Index], NDArray[np.float32]]
"""From row numbers to inputs, shape (rows, features)."""


@dataclass(frozen=True, eq=False, repr=False)
class _Recipe:
    """How rows become inputs."""

    features: tuple[str, ...]
    encoder: Callable[[Index], Encode]
    """A hospital's encoder, from its training rows."""
    digest: Digest | None = None
    notes: tuple[str, ...] = ()


def _scaled(data: DataParams, table: Table, train: list[Index]) -> _Recipe:
    """Columns that are numbers already: shifted and divided."""
    pooled = table.x[np.concatenate(train)]

    def encoder(own: Index) -> Encode:
        shift, scale = _scaling(data.normalisation, table, table.x[own], pooled)
        return lambda rows: ((table.x[rows] - shift) / scale).astype(np.float32)

    return _Recipe(table.features, encoder)


def _fitted(data: DataParams, table: Table, train: list[Index]) -> _Recipe:
    """Raw columns: a pipeline fitted on all training rows, scaled by each hospital's own."""
    assert isinstance(data, RecordsParams)
    pipeline = fit(table, np.concatenate(train), data.rare_share, data.normalisation)

    def encoder(own: Index) -> Encode:
        scale = pipeline.scale_of(table, table.x[own])
        return lambda rows: pipeline.transform(table.x[rows], scale)

    chosen = (_CHOSEN,) if data.normalisation in {"site", "pooled"} else ()
    return _Recipe(pipeline.features, encoder, pipeline.digest, chosen)


def _sequential(recipe: _Recipe, table: Table, steps: int) -> _Recipe:
    """The same recipe, for the last encounters of each row's patient in place of the row alone."""
    earlier = earlier_rows(table, steps)

    def encoder(own: Index) -> Encode:
        encode = recipe.encoder(own)
        return lambda rows: sequences(encode, rows, earlier)

    return replace(recipe, features=names(recipe.features, steps), encoder=encoder)


def _shard(hospital: int, name: str, table: Table, side: Sides, recipe: _Recipe) -> Shard:
    encode = recipe.encoder(side.train)
    patient = side.train if table.patient is None else table.patient[side.train]
    _, codes = np.unique(patient, return_inverse=True)
    return Shard(
        hospital=hospital,
        train_x=encode(side.train),
        train_y=table.y[side.train],
        validation_x=encode(side.validation),
        validation_y=table.y[side.validation],
        test_x=encode(side.test),
        test_y=table.y[side.test],
        features=recipe.features,
        train_patient=codes,
        test_groups={key: group[side.test] for key, group in table.groups.items()},
        name=name,
    )


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
