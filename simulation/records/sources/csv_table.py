"""A table of the user's own. Nothing is pinned unless the configuration pins it."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from pathlib import Path

import numpy as np

from simulation.records.assemble import minutes
from simulation.records.errors import DataError
from simulation.records.groups import Group
from simulation.records.params import CsvParams, NumberInput
from simulation.records.schema import Field, Schema
from simulation.records.source import Source
from simulation.records.table import Index, Table
from simulation.records.tabular import (
    Text,
    encode_inputs,
    encode_labels,
    number_groups,
    read_text,
)

_MOST_VALUES = 20


def read(params: CsvParams) -> Table:
    """The rows of the table, in the order of the file.

    Raises:
        DataError: when the file is absent, has another digest than given, or breaks a rule of its
            schema; the message names file, line, column and rule.
    """
    others = [n for n in (params.hospital, params.patient, params.time) if n is not None]
    wanted = [*(given.name for given in params.inputs), params.label, *others, *params.subgroups]
    text = read_text(_bytes(params), params.path, wanted, params.delimiter)
    encoded = encode_inputs(text, params.inputs)
    labels = encode_labels(text, params.label, params.positive, params.negative)
    site, sites, patient = None, (), None
    for name in others:
        empty = text.columns[name] == ""
        if empty.any():
            raise text.error(int(np.argmax(empty)), name, "must not be empty")
    if params.hospital is not None:
        site, sites = number_groups(text.columns[params.hospital])
    if params.patient is not None:
        patient, _ = number_groups(text.columns[params.patient])
    return Table(
        features=encoded.features,
        x=encoded.x,
        y=labels,
        low=encoded.low,
        high=encoded.high,
        site=site,
        sites=sites,
        patient=patient,
        time_min=None if params.time is None else _times(text, params.time),
        groups={name: _group(text, name) for name in params.subgroups},
        notes=() if params.patient is None else _repeated(text),
    )


def schema(params: CsvParams) -> Schema:
    """What a configuration says of the table's columns."""
    return Schema(
        label=f"{params.label}: {', '.join(params.positive)}",
        hospital="none in the data" if params.hospital is None else params.hospital,
        fields=tuple(
            Field(given.name, given.name, unit=given.unit, fill=given.missing)
            if isinstance(given, NumberInput)
            else Field(given.name, given.name, "condition", missing=("",))
            for given in params.inputs
        ),
        missing="an empty cell, ? or NA: the input's constant for it, a level, or an error",
    )


def _repeated(text: Text) -> tuple[str, ...]:
    """Rows that say again what an earlier row of the same patient says: counted, and kept."""
    seen: set[tuple[str, ...]] = set()
    again: list[int] = []
    for line, *cells in zip(text.lines.tolist(), *text.columns.values(), strict=True):
        if tuple(cells) in seen:
            again.append(line)
        seen.add(tuple(cells))
    note = (
        f"data: {text.path}: {len(again)} rows repeat an earlier row of the same patient in every "
        f"column that is read (the first on line {min(again, default=0)}); they are kept, and "
        "count twice"
    )
    return (note,) if again else ()


def _times(text: Text, column: str) -> Index:
    found: list[int] = []
    for row, cell in enumerate(text.columns[column].tolist()):
        try:
            found.append(minutes(cell))
        except (ValueError, OverflowError) as error:
            raise text.error(row, column, "must be a date or time, ISO 8601") from error
    return np.array(found)


def _group(text: Text, column: str) -> Group:
    values = len(np.unique(text.columns[column]))
    if values > _MOST_VALUES:
        raise DataError(
            f"data: {text.path}, column {column}: has {values} values, too many for subgroups; at "
            f"most {_MOST_VALUES}"
        )
    return text.columns[column]


def _bytes(params: CsvParams) -> bytes:
    path = Path(params.path).expanduser()
    try:
        data = path.read_bytes()
        found = hashlib.sha256(data).hexdigest()
        if params.sha256 is not None and found != params.sha256.lower():
            raise DataError(
                f"data: {path} has SHA-256 {found}, the configuration expects {params.sha256}"
            )
        return gzip.decompress(data) if path.suffix == ".gz" else data
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"data: cannot read the table {path}: {error}") from error


SOURCE = Source(
    kind="csv",
    title="Any table: a CSV file with a header line, described in the configuration",
    hospitals="by a column, or partition iid or dirichlet",
    licence="the user's own data",
    provenance="a file of the user's",
    schema=schema,
    params=CsvParams,
    read=read,
)
