"""The rows of a ledger file, read for an audit: nothing decoded, nothing believed.

The store that wrote the file is not used to read it: it would stop at the first surprise, and an
audit has to say what the surprise is.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from simulation.ledger.block import Certificate, Header
from simulation.ledger.state import State


class DamagedFile(Exception):
    """A ledger file cannot be read as one; ``field`` names the table."""

    def __init__(self, field: str, message: str, height: int | None = None) -> None:
        super().__init__(message)
        self.field = field
        self.height = height


@dataclass(frozen=True, slots=True)
class StoredBlock:
    """The rows of one height, as they lie in the file: nothing decoded, nothing believed."""

    header: object
    payloads: tuple[object, ...]
    outcomes: tuple[tuple[object, object], ...]
    certificate: object | None


@dataclass
class Copy:
    """One node's ledger file, and how far the audit has come with it."""

    name: str
    genesis: bytes
    blocks: list[StoredBlock]
    state: State = field(default_factory=State)
    tip: Header | None = None
    is_sound: bool = True
    header: Header | None = None
    """At the height under audit: decoded, if it can be."""
    certificate: Certificate | None = None


def read_copy(path: Path) -> Copy:
    """The rows of a ledger file.

    Raises:
        DamagedFile: when it is no SQLite file, lacks a table, or its heights have gaps.
    """
    uri = f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1"
    try:
        db = sqlite3.connect(uri, uri=True)
    except sqlite3.Error as error:
        raise DamagedFile("file", str(error)) from error
    try:
        meta = _meta(db)
        headers = _rows(db, "blocks", "height, header", "height")
        payloads = _rows(db, "transactions", "height, position, payload", "height, position")
        outcomes = _rows(db, "outcomes", "height, position, accepted, code", "height, position")
        certificates = _rows(db, "certificates", "height, certificate", "height")
    finally:
        db.close()
    genesis = meta.get("genesis")
    if not isinstance(genesis, bytes):
        raise DamagedFile("meta", "holds no genesis", 0)
    if meta.get("node") != path.stem.encode():
        raise DamagedFile("meta", "names another node than the file does", 0)
    for height, row in enumerate(headers, start=1):
        if row[0] != height:
            raise DamagedFile("blocks", f"expected height {height}, found {row[0]!r}", height)
    count = len(headers)
    by_height = _positions("transactions", payloads, count)
    results = _positions("outcomes", outcomes, count)
    signed = _certificates(certificates, count)
    blocks = [
        StoredBlock(
            headers[i][1],
            tuple(row[2] for row in by_height[i]),
            tuple((row[2], row[3]) for row in results[i]),
            signed[i],
        )
        for i in range(count)
    ]
    return Copy(path.stem, genesis, blocks)


def _meta(db: sqlite3.Connection) -> dict[object, object]:
    return {row[0]: row[1] for row in _rows(db, "meta", "key, value", "key")}


def _rows(db: sqlite3.Connection, table: str, columns: str, order: str) -> list[tuple[object, ...]]:
    # All three names are this module's own words, never input.
    statement = f"SELECT {columns} FROM {table} ORDER BY {order}"  # noqa: S608
    try:
        return db.execute(statement).fetchall()
    except (sqlite3.Error, OverflowError) as error:
        raise DamagedFile(table, str(error)) from error


def _positions(
    table: str, rows: Sequence[tuple[object, ...]], count: int
) -> list[list[tuple[object, ...]]]:
    grouped: list[list[tuple[object, ...]]] = [[] for _ in range(count)]
    for row in rows:
        height, position = row[0], row[1]
        if not isinstance(height, int) or not 1 <= height <= count:
            raise DamagedFile(table, f"a row for height {height!r}, which has no block")
        if position != len(grouped[height - 1]):
            raise DamagedFile(table, f"position {position!r} is out of order", height)
        grouped[height - 1].append(row)
    return grouped


def _certificates(rows: Sequence[tuple[object, ...]], count: int) -> list[object | None]:
    signed: list[object | None] = [None] * count
    for height, certificate in rows:
        if not isinstance(height, int) or not 1 <= height <= count:
            raise DamagedFile("certificates", f"a row for height {height!r}, which has no block")
        if signed[height - 1] is not None:
            raise DamagedFile("certificates", "two rows for one height", height)
        signed[height - 1] = certificate
    return signed
