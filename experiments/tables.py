"""Tables as files: written so that equal tables are equal bytes, and sealed row by row.

The manifest of a reference holds a digest of each row and each column, so that a number that
somebody changed by hand is found and named without running anything.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.stem import Table

DIGITS = 8
"""Hexadecimal digits of a digest: they find accidents and edits; the whole file has all 64."""


def write_table(path: Path, table: Table) -> None:
    """Write a table as CSV; floats with six decimals."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(table_text(table), encoding="utf-8", newline="")


def table_text(table: Table) -> str:
    """The text of a table's file."""
    file = io.StringIO()
    writer = csv.DictWriter(file, list(table[0]), lineterminator="\n")
    writer.writeheader()
    for row in table:
        writer.writerow({k: f"{v:.6f}" if type(v) is float else v for k, v in row.items()})
    return file.getvalue()


def read_table(path: Path) -> Table:
    """The rows that `write_table` wrote: with a point a float, all digits an int, else text."""
    with path.open(encoding="utf-8", newline="") as file:
        return [{name: _value(text) for name, text in row.items()} for row in csv.DictReader(file)]


def _value(text: str) -> str | int | float:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def digests(path: Path) -> dict[str, Any]:
    """Digests of a table's file, of every row and of every column."""
    data = path.read_bytes()
    with path.open(encoding="utf-8", newline="") as file:
        cells = list(csv.reader(file))
    columns = zip(*cells, strict=True)
    return {
        "csv_sha256": hashlib.sha256(data).hexdigest(),
        "rows": " ".join(_digest(row) for row in cells[1:]),
        "columns": {column[0]: _digest(column) for column in columns},
    }


def altered(path: Path, sealed: Mapping[str, Any], keys: Sequence[str]) -> list[str]:
    """What of a table's file is not as its manifest says, each place in words."""
    found = digests(path)
    if found["csv_sha256"] == sealed["csv_sha256"]:
        return []
    rows, expected = found["rows"].split(), sealed["rows"].split()
    if list(found["columns"]) != list(sealed["columns"]) or len(rows) != len(expected):
        return [f"{path}: rows or columns were added or taken away"]
    columns = [
        name for name, digest in found["columns"].items() if digest != sealed["columns"][name]
    ]
    return [
        f"{path}, line {number + 2}: {where(keys, row)}, {column}: holds {row[column]}, and held "
        "another value when the manifest was written"
        for number, row in enumerate(read_table(path))
        if rows[number] != expected[number]
        for column in columns
    ]


def where(keys: Sequence[str], row: Mapping[str, Any]) -> str:
    """A row's place in words."""
    return ", ".join(f"{name} {row.get(name)}" for name in keys)


def _digest(cells: Sequence[str]) -> str:
    return hashlib.sha256("\x1f".join(cells).encode()).hexdigest()[:DIGITS]
