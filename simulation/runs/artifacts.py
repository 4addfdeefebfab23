"""The files of a run, each written in one way only, so that equal content is equal bytes."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from simulation.config.dump import to_yaml
from simulation.config.experiment import Experiment
from simulation.runs.seal import MANIFEST
from simulation.trace.events import Event
from simulation.trace.recorder import event_line

CONFIG = "config.yaml"
METRICS = "metrics.parquet"
TRACE = "trace.jsonl.gz"


def write_config(folder: Path, experiment: Experiment) -> None:
    """The resolved configuration; it runs again as it stands."""
    (folder / CONFIG).write_text(to_yaml(experiment), encoding="utf-8")


def write_metrics(folder: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Tidy rows: round, scope, metric, value, t_us (virtual time)."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema(
        [
            ("round", pa.int32()),
            ("scope", pa.string()),
            ("metric", pa.string()),
            ("value", pa.float64()),
            ("t_us", pa.int64()),
        ]
    )
    table = pa.Table.from_pylist(list(rows), schema=schema)
    pq.write_table(table, folder / METRICS, compression="zstd")


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """The rows that `write_metrics` wrote."""
    import pyarrow.parquet as pq

    return pq.read_table(folder / METRICS).to_pylist()


def write_trace(folder: Path, events: Iterable[Event]) -> None:
    """One JSON line for each event, compressed; neither name nor time of day in the header."""
    with (
        (folder / TRACE).open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed,
    ):
        for event in events:
            packed.write(event_line(event).encode() + b"\n")


def read_trace(folder: Path) -> Iterator[dict[str, Any]]:
    """The events of a run as mappings, in order."""
    with gzip.open(folder / TRACE, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a finished run."""
    return json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
