"""Where a ledger copy keeps its blocks: in memory, or in one SQLite file.

The file holds the genesis, the canonical bytes of every header and certificate, the ordered bytes
of every transaction, and every outcome. Nothing is stored twice in two forms, so there is nothing
that could disagree with itself; everything else (state, indexes) comes back by executing the
blocks.
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from pathlib import Path
from typing import Protocol

from simulation.ledger.block import Block, Certificate, Header, Outcome

SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE meta (
    key TEXT NOT NULL PRIMARY KEY,      -- 'schema', 'genesis', 'node'
    value BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE blocks (
    height INTEGER NOT NULL PRIMARY KEY,
    header BLOB NOT NULL                -- canonical bytes
);
CREATE TABLE transactions (
    height INTEGER NOT NULL,
    position INTEGER NOT NULL,
    payload BLOB NOT NULL,              -- the bytes that were ordered, well-formed or not
    PRIMARY KEY (height, position)
) WITHOUT ROWID;
CREATE TABLE outcomes (
    height INTEGER NOT NULL,
    position INTEGER NOT NULL,
    accepted INTEGER NOT NULL,
    code TEXT NOT NULL,
    PRIMARY KEY (height, position)
) WITHOUT ROWID;
CREATE TABLE certificates (
    height INTEGER NOT NULL PRIMARY KEY,
    certificate BLOB NOT NULL           -- canonical bytes
);
"""
_RECENT_BLOCKS = 32


class StoreError(Exception):
    """The store does not hold what it must: wrong file, wrong chain, missing or damaged rows."""


class BlockStore(Protocol):
    """An append-only sequence of blocks from height 1, and their certificates."""

    @property
    def height(self) -> int:
        """Of the last block; 0 when there is none."""
        ...

    def begin(self, genesis: bytes, node: str) -> None:
        """Bind the store to a chain and a node.

        Raises:
            StoreError: when it already belongs to another.
        """
        ...

    def append(self, block: Block) -> None:
        """Keep the block at ``height + 1``."""
        ...

    def certify(self, height: int, certificate: Certificate) -> None:
        """Keep the first certificate of a block."""
        ...

    def block(self, height: int) -> Block:
        """The block at ``height``.

        Raises:
            StoreError: when there is none, or it is damaged.
        """
        ...

    def certificate(self, height: int) -> Certificate | None:
        """The certificate of the block at ``height``, if one is kept."""
        ...

    def close(self) -> None:
        """Write everything out; the store is not used afterwards."""
        ...


class MemoryStore:
    """Blocks in a list, for sweeps and tests."""

    def __init__(self) -> None:
        self._owner: tuple[bytes, str] | None = None
        self._blocks: list[Block] = []
        self._certificates: dict[int, Certificate] = {}

    @property
    def height(self) -> int:
        """Of the last block; 0 when there is none."""
        return len(self._blocks)

    def begin(self, genesis: bytes, node: str) -> None:
        """Bind the store to a chain and a node; see `BlockStore.begin`."""
        if self._owner not in (None, (genesis, node)):
            raise StoreError("the store belongs to another chain or node")
        self._owner = (genesis, node)

    def append(self, block: Block) -> None:
        """Keep the block at ``height + 1``."""
        self._blocks.append(block)

    def certify(self, height: int, certificate: Certificate) -> None:
        """Keep the first certificate of a block."""
        self._certificates.setdefault(height, certificate)

    def block(self, height: int) -> Block:
        """The block at ``height``; see `BlockStore.block`."""
        if not 1 <= height <= len(self._blocks):
            raise StoreError(f"no block at height {height}")
        return self._blocks[height - 1]

    def certificate(self, height: int) -> Certificate | None:
        """The certificate of the block at ``height``, if one is kept."""
        return self._certificates.get(height)

    def close(self) -> None:
        """Nothing to write."""


class SqliteStore:
    """One SQLite file. The same calls in the same order give the same bytes.

    All writes of a run are one SQLite transaction, written out by `close`, and the journal of a
    file that was empty costs next to nothing: when the process is killed, whatever pages had been
    written are taken back by whoever opens the file next. Nothing waits for the disk, because what
    the machine itself loses with its power, it loses with the whole unfinished run.

    Raises:
        StoreError: when the file exists and is no ledger of this version.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        is_new = not path.exists()
        self._recent: OrderedDict[int, Block] = OrderedDict()
        self._db = sqlite3.connect(path, isolation_level=None)
        try:
            self._db.execute("PRAGMA synchronous = OFF")
            if is_new:
                self._db.executescript(f"PRAGMA page_size = 4096; BEGIN; {_SCHEMA}")
                self._put_meta("schema", str(SCHEMA_VERSION).encode())
            else:
                self._db.execute("BEGIN")
                if self._meta("schema") != str(SCHEMA_VERSION).encode():
                    raise StoreError(f"{path}: not a ledger of schema version {SCHEMA_VERSION}")
            row = self._db.execute("SELECT max(height) FROM blocks").fetchone()
        except sqlite3.Error as error:
            self._db.close()
            raise StoreError(f"{path}: {error}") from error
        self._height = int(row[0] or 0)

    @property
    def height(self) -> int:
        """Of the last block; 0 when there is none."""
        return self._height

    def begin(self, genesis: bytes, node: str) -> None:
        """Bind the store to a chain and a node; see `BlockStore.begin`."""
        for key, value in (("genesis", genesis), ("node", node.encode())):
            kept = self._meta(key)
            if kept is None:
                self._put_meta(key, value)
            elif kept != value:
                raise StoreError(f"{self._path}: {key} differs: the file belongs to another")

    def append(self, block: Block) -> None:
        """Keep the block at ``height + 1``."""
        self._height += 1
        height = self._height
        self._db.execute("INSERT INTO blocks VALUES (?, ?)", (height, block.header.encoded))
        self._db.executemany(
            "INSERT INTO transactions VALUES (?, ?, ?)",
            [(height, i, payload) for i, payload in enumerate(block.transactions)],
        )
        self._db.executemany(
            "INSERT INTO outcomes VALUES (?, ?, ?, ?)",
            [(height, i, int(o.accepted), o.code) for i, o in enumerate(block.outcomes)],
        )
        self._remember(height, block)

    def certify(self, height: int, certificate: Certificate) -> None:
        """Keep the first certificate of a block."""
        self._db.execute(
            "INSERT OR IGNORE INTO certificates VALUES (?, ?)", (height, certificate.encoded)
        )

    def block(self, height: int) -> Block:
        """The block at ``height``; see `BlockStore.block`."""
        recent = self._recent.get(height)
        if recent is not None:
            return recent
        try:
            block = self._read(height)
        except (sqlite3.Error, ValueError, TypeError) as error:
            raise StoreError(f"{self._path}: block {height}: {error}") from error
        if block is None:
            raise StoreError(f"{self._path}: no block at height {height}")
        self._remember(height, block)
        return block

    def certificate(self, height: int) -> Certificate | None:
        """The certificate of the block at ``height``, if one is kept."""
        try:
            row = self._db.execute(
                "SELECT certificate FROM certificates WHERE height = ?", (height,)
            ).fetchone()
            return None if row is None else Certificate.decode(row[0])
        except (sqlite3.Error, ValueError, TypeError) as error:
            raise StoreError(f"{self._path}: certificate {height}: {error}") from error

    def close(self) -> None:
        """Write everything out and close the file."""
        self._db.execute("COMMIT")
        self._db.close()

    def _read(self, height: int) -> Block | None:
        header = self._db.execute(
            "SELECT header FROM blocks WHERE height = ?", (height,)
        ).fetchone()
        if header is None:
            return None
        payloads = self._db.execute(
            "SELECT payload FROM transactions WHERE height = ? ORDER BY position", (height,)
        ).fetchall()
        outcomes = self._db.execute(
            "SELECT accepted, code FROM outcomes WHERE height = ? ORDER BY position", (height,)
        ).fetchall()
        return Block(
            Header.decode(header[0]),
            tuple(row[0] for row in payloads),
            tuple(Outcome(bool(row[0]), row[1]) for row in outcomes),
        )

    def _remember(self, height: int, block: Block) -> None:
        self._recent[height] = block
        if len(self._recent) > _RECENT_BLOCKS:
            self._recent.popitem(last=False)

    def _meta(self, key: str) -> bytes | None:
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else row[0]

    def _put_meta(self, key: str, value: bytes) -> None:
        self._db.execute("INSERT INTO meta VALUES (?, ?)", (key, value))
