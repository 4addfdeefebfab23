"""Stores: the same blocks back, one clean file, and nothing believed when it is opened again."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
from pathlib import Path

import pytest

from simulation.ledger.chain import MemoryStore, SqliteStore, StoreError
from simulation.ledger.copy import LedgerCopy, LedgerFault


def fill(chain, copy: LedgerCopy) -> None:
    """Three certified blocks, the last one without a certificate."""
    chain.sequence.clear()
    others = [chain.copy(node) for node in (1, 2, 3)]
    batches = [[chain.open()], [chain.sign(0), b"rubbish", b""], [chain.sign(1)]]
    for i, batch in enumerate(batches):
        for each in (copy, *others):
            each.execute(batch, view=0, proposer=0, time_us=10 * i)
        if i < 2:
            for each in (copy, *others):
                copy.add_attestation(each.attest(chain.keys[each.node]))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "hospital-00.sqlite"


@pytest.fixture
def written(chain, path: Path) -> LedgerCopy:
    """A copy whose file is complete and closed."""
    copy = chain.copy(0, SqliteStore(path))
    fill(chain, copy)
    copy.store.close()
    return copy


def test_both_stores_give_back_what_they_were_given(chain, path) -> None:
    """A local replica per hospital: SQLite file or memory, to the same effect."""
    memory, file = chain.copy(0, MemoryStore()), chain.copy(0, SqliteStore(path))
    for copy in (memory, file):
        fill(chain, copy)

    for height in (1, 2, 3):
        assert memory.block(height) == file.block(height)
        assert memory.certificate(height) == file.certificate(height)
    assert file.certificate(2) is not None
    assert file.certificate(3) is None
    for copy in (memory, file):
        with pytest.raises(StoreError, match="no block at height 4"):
            copy.block(4)


def test_opening_a_file_replays_it(chain, path, written) -> None:
    """Replaying the chain from genesis on a fresh replica reproduces state bit for bit."""
    again = chain.copy(0, SqliteStore(path))

    assert again.tip == written.tip
    assert again.get("sequence/001") == 1
    assert again.block(2).transactions[1:] == (b"rubbish", b"")
    assert again.certificate(1) is not None
    again.execute([chain.sign(2)], view=0, proposer=0, time_us=99)
    again.store.close()
    assert chain.copy(0, SqliteStore(path)).height == 4


def test_opening_and_closing_changes_no_byte(chain, path, written) -> None:
    """Reading leaves the file as it was."""
    before = path.read_bytes()

    chain.copy(0, SqliteStore(path)).store.close()

    assert path.read_bytes() == before


def test_the_same_history_gives_the_same_file(chain, path, written, tmp_path) -> None:
    """A run's files are a function of the run: no clock, no chance, no left-over files."""
    other = tmp_path / "again" / "hospital-00.sqlite"
    other.parent.mkdir()
    copy = chain.copy(0, SqliteStore(other))
    fill(chain, copy)
    copy.store.close()

    assert other.read_bytes() == path.read_bytes()
    assert [p.name for p in other.parent.iterdir()] == ["hospital-00.sqlite"]


def test_a_file_belongs_to_one_chain_and_one_node(chain, make_chain, path, written) -> None:
    """A store is bound to its genesis and its node."""
    with pytest.raises(StoreError, match="genesis differs"):
        make_chain(name="other").copy(0, SqliteStore(path))
    with pytest.raises(StoreError, match="node differs"):
        chain.copy(1, SqliteStore(path))
    memory = MemoryStore()
    chain.copy(0, memory)
    with pytest.raises(StoreError, match="another"):
        chain.copy(1, memory)


@pytest.mark.parametrize("data", [b"", b"no database at all" * 100])
def test_other_files_are_refused(path: Path, data: bytes) -> None:
    """Only a ledger file of this version is opened."""
    path.write_bytes(data)

    with pytest.raises(StoreError):
        SqliteStore(path)


@pytest.mark.parametrize(
    ("sql", "error", "match"),
    [
        ("DELETE FROM blocks WHERE height = 2", StoreError, "no block at height 2"),
        ("DELETE FROM blocks WHERE height = 1", StoreError, "no block at height 1"),
        ("UPDATE blocks SET header = x'00' WHERE height = 2", StoreError, "block 2"),
        ("UPDATE blocks SET header = 7 WHERE height = 2", StoreError, "block 2"),
        ("DELETE FROM outcomes WHERE height = 2 AND position = 1", LedgerFault, "outcomes"),
        ("UPDATE outcomes SET code = 'ok' WHERE height = 2", LedgerFault, "outcomes"),
        ("DELETE FROM transactions WHERE height = 2", LedgerFault, "transactions"),
        (
            "UPDATE transactions SET payload = x'ff' WHERE height = 2 AND position = 2",
            LedgerFault,
            "transaction_root",
        ),
        ("UPDATE certificates SET certificate = x'00'", StoreError, "certificate 1"),
        ("UPDATE meta SET value = x'32' WHERE key = 'schema'", StoreError, "schema version"),
    ],
)
def test_an_edited_file_is_not_believed(chain, path, written, sql, error, match) -> None:
    """A ledger copy edited on disk: opening it replays and checks."""
    with sqlite3.connect(path) as db:
        db.execute(sql)
    db.close()

    with pytest.raises(error, match=match):
        chain.copy(0, SqliteStore(path))


def test_a_killed_writer_leaves_a_file_that_opens(chain, path) -> None:
    """SIGKILL in the middle of a run: every SQLite file opens, although pages were written."""

    def write_and_die() -> None:
        copy = chain.copy(0, SqliteStore(path))
        for height in range(1, 41):
            copy.execute([bytes([height]) * 100_000], view=0, proposer=0, time_us=height)
        os.kill(os.getpid(), signal.SIGKILL)

    writer = multiprocessing.get_context("fork").Process(target=write_and_die)
    writer.start()
    writer.join(120)
    code = writer.exitcode
    writer.kill()

    assert code == -signal.SIGKILL
    assert path.stat().st_size > 1_000_000, "so much that SQLite had to write before the end"
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert db.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    db.close()
