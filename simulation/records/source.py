"""What the program knows about a source: licence, provenance, files, and how to read it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from simulation.base.rng import Streams
from simulation.records.files import SourceFile
from simulation.records.flat import cohort_of
from simulation.records.schema import Schema
from simulation.records.table import Table
from simulation.records.tables import Cohort


@dataclass(frozen=True)
class Download:
    """How a source's files are fetched from their original home."""

    url: str
    """Address of the archive or file at the data's original home."""
    members: dict[str, str]
    """Member of the archive to the `SourceFile.path` that it becomes; ``""`` for a plain file."""
    convert: Callable[[bytes], bytes] | None = None
    """Turns a member, as it comes, into the pinned file; raises ValueError where it cannot."""


@dataclass(frozen=True)
class Source:
    """One source of records."""

    kind: str
    """The name in a configuration."""
    title: str
    """What it is, in one line."""
    hospitals: str
    """How many hospitals it knows, in words."""
    licence: str
    """Under which terms it may be used."""
    provenance: str
    """Who made it, where it lives, how to cite it."""
    schema: Schema | Callable[[Any], Schema]
    """What its columns mean; for a source whose columns a configuration names, given its params."""
    params: type
    """What a configuration may say about it."""
    read: Callable[[Any], Table]
    """All its rows, given its params. Raises `DataError` when a file is absent or altered."""
    generate: Callable[[Any, int | None, Streams], Table] | None = None
    """For a source that is made, not read: its rows for a number of hospitals, from the run's seed;
    ``read`` then gives one worked example."""
    cohort: Callable[[Any], Cohort] | None = None
    """For a source of longitudinal records: its canonical tables, which ``read`` makes rows of. The
    tables of other sources are made of their rows, by `flat`."""
    generate_cohort: Callable[[Any, int | None, Streams], Cohort] | None = None
    """For a source that is made: the canonical tables that ``generate`` makes rows of."""
    files: tuple[SourceFile, ...] = ()
    """Its original files; none when it ships with the program."""
    most_auroc: float | None = None
    """The highest AUROC that is believable for its task; more sets off the alarm of `leakage`."""
    download: Download | None = None
    """Where they are fetched; none when there is nothing to fetch."""

    def table(self, params: Any, hospitals: int | None, streams: Streams) -> Table:
        """Its rows for a run: made for it, or read."""
        if self.generate is None:
            return self.read(params)
        return self.generate(params, hospitals, streams)

    def tables(self, params: Any, hospitals: int | None, streams: Streams) -> Cohort:
        """Its canonical tables for a run: made for it, read, or made of its rows.

        Raises:
            DataError: as for reading it.
        """
        if self.generate_cohort is not None:
            return self.generate_cohort(params, hospitals, streams)
        if self.cohort is not None:
            return self.cohort(params)
        return cohort_of(self.read(params), self.schema_of(params), self.kind)

    def schema_of(self, params: Any) -> Schema:
        """What its columns mean."""
        return self.schema if isinstance(self.schema, Schema) else self.schema(params)
