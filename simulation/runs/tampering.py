"""What damage is made of: the copy, the dice, and what was done where."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

T = TypeVar("T")


class CannotTamper(ValueError):
    """The run has nothing to damage in this way, or the copy cannot be made."""


@dataclass(frozen=True, slots=True)
class Damage:
    """What was done, and what an audit has to name."""

    told: str
    """One sentence."""
    height: int | None
    """None where no block is concerned."""
    hospital: str | None
    """Whose copy, vault or receipt; None where it is nobody's own."""
    fields: tuple[str, ...]
    """What may be named as the field: the first of these that the audit comes to."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A copy of a run, to do anything with."""

    run: Path
    rng: np.random.Generator

    def choose(self, what: str, things: Sequence[T]) -> T:
        """One of these.

        Raises:
            CannotTamper: when there is none.
        """
        if not things:
            raise CannotTamper(f"{self.run.name}: the run has no {what} to damage")
        return things[int(self.rng.integers(len(things)))]

    def flip(self, data: bytes) -> bytes:
        """The bytes with one bit turned."""
        bit = int(self.rng.integers(8 * len(data)))
        return data[: bit // 8] + bytes([data[bit // 8] ^ 1 << bit % 8]) + data[bit // 8 + 1 :]

    def ledger(self) -> Path:
        """One of the ledger files."""
        return self.choose("ledger file", sorted((self.run / "ledger").glob("*.sqlite")))

    @contextmanager
    def open(self, path: Path) -> Generator[sqlite3.Connection, None, None]:
        """A ledger file to change; what is changed stays when the block ends well."""
        db = sqlite3.connect(path)
        try:
            with db:
                yield db
        finally:
            db.close()

    def height(self, db: sqlite3.Connection, least: int = 1) -> int:
        """One of the heights from ``least`` on that hold a transaction."""
        query = "SELECT DISTINCT height FROM transactions WHERE height >= ? ORDER BY height"
        return self.choose("block", [row[0] for row in db.execute(query, (least,))])
