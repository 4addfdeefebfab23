"""Damage to one ledger file: what somebody could do who has the disk and no hospital's key."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from simulation.base.merkle import merkle_root
from simulation.ledger.block import Certificate, Header, Outcome, receipts_root
from simulation.ledger.transaction import transaction_id
from simulation.runs.tampering import CannotTamper, Damage, Scene

ROW_COLUMNS = (("blocks", "header"), ("transactions", "payload"), ("certificates", "certificate"))


def ledger_bit(scene: Scene) -> Damage:
    """One bit of a stored header, transaction or certificate."""
    return row_bit(scene, scene.ledger())


def row_bit(scene: Scene, path: Path) -> Damage:
    """One bit of a stored header, transaction or certificate of this ledger file."""
    table, column = scene.choose("column", ROW_COLUMNS)
    with scene.open(path) as db:
        height = scene.height(db)
        # The names are this module's own.
        data = db.execute(
            f"SELECT {column} FROM {table} WHERE height = ?",  # noqa: S608
            (height,),
        ).fetchone()[0]
        db.execute(
            f"UPDATE {table} SET {column} = ? WHERE height = ? AND {column} = ?",  # noqa: S608
            (scene.flip(data), height, data),
        )
    fields = {
        "blocks": ("header", *_HEADER_FIELDS),
        "transactions": ("transactions",),
        "certificates": ("certificate",),
    }
    told = f"one bit of a {column} at height {height} in {path.name}"
    return Damage(told, height, path.stem, fields[table])


def block_rehashed(scene: Scene) -> Damage:
    """A transaction is replaced by rubbish, and all that hangs on it is hashed anew to the end."""
    path = scene.ledger()
    with scene.open(path) as db:
        height = scene.height(db)
        db.execute(
            "UPDATE transactions SET payload = ? WHERE height = ? AND position = 0",
            (b"forged", height),
        )
        db.execute(
            "UPDATE outcomes SET accepted = 0, code = ? WHERE height = ? AND position = 0",
            ("malformed", height),
        )
        _hash_again(db, height)
    told = f"the first transaction at height {height} in {path.name} is forged and all re-hashed"
    return Damage(told, height, path.stem, ("transaction_root", "receipts_root", "transactions"))


def transaction_dropped(scene: Scene) -> Damage:
    """A transaction and its outcome are taken out, and the rest moves up."""
    path = scene.ledger()
    with scene.open(path) as db:
        height = scene.height(db)
        count = db.execute(
            "SELECT count(*) FROM transactions WHERE height = ?", (height,)
        ).fetchone()[0]
        position = int(scene.rng.integers(count))
        for table in ("transactions", "outcomes"):
            # The names are this module's own.
            db.execute(
                f"DELETE FROM {table} WHERE height = ? AND position = ?",  # noqa: S608
                (height, position),
            )
            for later in range(position + 1, count):
                db.execute(
                    f"UPDATE {table} SET position = ? WHERE height = ? AND position = ?",  # noqa: S608
                    (later - 1, height, later),
                )
    told = f"transaction {position} at height {height} in {path.name} is dropped"
    return Damage(told, height, path.stem, ("transactions",))


def certificate_swapped(scene: Scene) -> Damage:
    """Two signatures within a certificate change places."""
    path = scene.ledger()
    with scene.open(path) as db:
        height = scene.height(db)
        data = db.execute(
            "SELECT certificate FROM certificates WHERE height = ?", (height,)
        ).fetchone()[0]
        certificate = Certificate.decode(data)
        if len(certificate.signatures) < 2:
            raise CannotTamper("a certificate of one signature has none to swap it with")
        first, second, *rest = certificate.signatures
        swapped = replace(certificate, signatures=(second, first, *rest))
        db.execute(
            "UPDATE certificates SET certificate = ? WHERE height = ?", (swapped.encoded, height)
        )
    told = f"two signatures of the certificate at height {height} in {path.name} are swapped"
    return Damage(told, height, path.stem, ("certificate",))


def state_edited(scene: Scene) -> Damage:
    """A header names another state, as if a contract had done something else."""
    path = scene.ledger()
    with scene.open(path) as db:
        height = scene.height(db)
        header = _header(db, height)
        edited = replace(header, state_root=scene.flip(header.state_root))
        db.execute("UPDATE blocks SET header = ? WHERE height = ?", (edited.encoded, height))
    return Damage(
        f"the state root at height {height} in {path.name}", height, path.stem, ("state_root",)
    )


def outcome_edited(scene: Scene) -> Damage:
    """A transaction is said to have ended otherwise."""
    path = scene.ledger()
    with scene.open(path) as db:
        height = scene.height(db)
        db.execute(
            "UPDATE outcomes SET accepted = 1 - accepted WHERE height = ? AND position = 0",
            (height,),
        )
    told = f"the first outcome at height {height} in {path.name} is turned round"
    return Damage(told, height, path.stem, ("outcomes",))


def copy_deleted(scene: Scene) -> Damage:
    """A hospital's whole ledger file is gone."""
    path = scene.ledger()
    path.unlink()
    return Damage(f"{path.name} is deleted", 0, path.stem, (f"ledger/{path.name}",))


def genesis_edited(scene: Scene) -> Damage:
    """One bit of the genesis file."""
    path = scene.run / "genesis.cbor"
    if not path.is_file():
        raise CannotTamper("the run has no ledger, so no genesis")
    path.write_bytes(scene.flip(path.read_bytes()))
    return Damage("one bit of genesis.cbor", 0, None, ("genesis.cbor",))


KINDS: dict[str, Callable[[Scene], Damage]] = {
    "ledger-bit": ledger_bit,
    "block-rehashed": block_rehashed,
    "transaction-dropped": transaction_dropped,
    "certificate-swapped": certificate_swapped,
    "state-edited": state_edited,
    "outcome-edited": outcome_edited,
    "copy-deleted": copy_deleted,
    "genesis-edited": genesis_edited,
}

_HEADER_FIELDS = (
    "version", "chain", "height", "view", "parent", "transaction_root", "state_root",
    "receipts_root", "proposer", "time_us",
)  # fmt: skip


def _header(db: sqlite3.Connection, height: int) -> Header:
    row = db.execute("SELECT header FROM blocks WHERE height = ?", (height,)).fetchone()
    return Header.decode(row[0])


def _hash_again(db: sqlite3.Connection, first: int) -> None:
    """Roots and parents from a changed block to the last: the chain is whole, but nobody signed."""
    last = db.execute("SELECT max(height) FROM blocks").fetchone()[0]
    parent: bytes | None = None
    for height in range(first, last + 1):
        header = _header(db, height)
        if parent is None:
            payloads = [row[0] for row in _rows(db, "payload", "transactions", height)]
            outcomes = [
                Outcome(bool(a), c) for a, c in _rows(db, "accepted, code", "outcomes", height)
            ]
            ids = [transaction_id(payload) for payload in payloads]
            header = replace(
                header,
                transaction_root=merkle_root(payloads),
                receipts_root=receipts_root(ids, outcomes),
            )
        else:
            header = replace(header, parent=parent)
        db.execute("UPDATE blocks SET header = ? WHERE height = ?", (header.encoded, height))
        parent = header.digest


def _rows(db: sqlite3.Connection, columns: str, table: str, height: int) -> list[tuple[Any, ...]]:
    # The names are this module's own.
    query = f"SELECT {columns} FROM {table} WHERE height = ? ORDER BY position"  # noqa: S608
    return db.execute(query, (height,)).fetchall()
