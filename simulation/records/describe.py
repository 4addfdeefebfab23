"""What may be said about a source before anything is trained: hospitals, labels, gaps, drift.

The numbers are counts and shares of the rows that a run would use, for whoever prepares a study;
they are computed from all hospitals' records, which no party of a federation could do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simulation.base.rng import Streams
from simulation.records.ceiling import ceiling
from simulation.records.params import DataParams
from simulation.records.partition import Part, deal
from simulation.records.partition_params import PartitionParams
from simulation.records.registry import source_of
from simulation.records.schema import Schema
from simulation.records.split import known_to_several
from simulation.records.table import Index, Table
from simulation.records.tables import day_of


@dataclass(frozen=True, slots=True)
class HospitalLine:
    """One hospital, or all."""

    name: str
    rows: int
    patients: int
    positive: float
    """Share of rows with label 1."""
    missing: float
    """Share of cells that are missing."""
    early: float | None
    """Share of label 1 in the first half of the time, where rows have one."""
    late: float | None
    """Share of label 1 in the second half."""
    shared: int
    """Patients who are known to another hospital as well."""


@dataclass(frozen=True, slots=True)
class Description:
    """A source, as dealt to hospitals."""

    kind: str
    title: str
    inputs: int
    """Raw columns."""
    hospitals: tuple[HospitalLine, ...]
    everybody: HospitalLine
    ceiling_auroc: float | None
    """The best attainable AUROC, where the generating probability of the labels is known."""
    records: dict[str, int]
    """Rows of each canonical table, for a source of longitudinal records."""
    schema: Schema
    """What the columns mean."""
    from_day: str | None
    """Day of the first prediction (ISO 8601), where rows have a time."""
    until_day: str | None
    """Day of the last one."""
    notes: tuple[str, ...]


def describe(
    data: DataParams, partition: PartitionParams | None, hospitals: int | None, streams: Streams
) -> Description:
    """Describe a source; without a partition, by its own hospitals, or as one where it has none.

    Raises:
        DataError: as for loading.
    """
    source = source_of(data.kind)
    table = source.table(data, hospitals, streams)
    if partition is not None:
        parts = deal(table, partition, hospitals, streams)
    elif table.site is not None:
        every = [np.flatnonzero(table.site == i) for i in range(len(table.sites))]
        parts = [Part(rows, name) for rows, name in zip(every, table.sites, strict=True)]
    else:
        parts = [Part(np.arange(len(table.y)), "all")]
    used = np.concatenate([part.rows for part in parts])
    known = known_to_several(table, parts)
    lines = [
        _line(table, part.rows, part.name or f"hospital {i}", known) for i, part in enumerate(parts)
    ]
    times = None if table.time_min is None else table.time_min[used]
    # Records of what is made for a run would be made a second time only to be counted.
    records = {} if source.cohort is None or source.generate is not None else source.cohort(data)
    return Description(
        kind=data.kind,
        title=source.title,
        inputs=len(table.features),
        hospitals=tuple(lines),
        everybody=_line(table, used, "all", known),
        ceiling_auroc=None if table.risk is None else ceiling(table.risk[used]),
        records=records if isinstance(records, dict) else records.counts(),
        schema=source.schema_of(data),
        from_day=None if times is None else day_of(int(times.min())),
        until_day=None if times is None else day_of(int(times.max())),
        notes=table.notes,
    )


def _line(table: Table, rows: Index, name: str, known: Index) -> HospitalLine:
    patients = rows if table.patient is None else np.unique(table.patient[rows])
    early = late = None
    if table.time_min is not None:
        middle = (int(table.time_min.min()) + int(table.time_min.max())) / 2
        first = table.time_min[rows] < middle
        early, late = _share(table.y[rows][first]), _share(table.y[rows][~first])
    return HospitalLine(
        name=name,
        rows=len(rows),
        patients=len(patients),
        positive=float(table.y[rows].mean()),
        missing=float(_missing(table, rows)),
        early=early,
        late=late,
        shared=int(np.isin(patients, known).sum()) if table.patient is not None else 0,
    )


def _share(labels: Index) -> float | None:
    return float(labels.mean()) if len(labels) else None


def _missing(table: Table, rows: Index) -> float:
    """Missing cells: NaN, or the level that a source calls missing."""
    named = [name.endswith(("=missing", "=?")) for name in table.features]
    gaps = np.isnan(table.x[rows]).sum() + (table.x[rows][:, named] == 1).sum()
    return float(gaps) / (len(rows) * len({name.split("=")[0] for name in table.features}))
