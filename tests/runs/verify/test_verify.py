"""The audit finds every change of a finished run, and says where it is."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from simulation.base.encoding import EncodingError
from simulation.base.keys import SigningKey
from simulation.base.tensors import decode_model
from simulation.ledger.block import HEADER_FIELDS, Certificate, Header, attest
from simulation.ledger.genesis import Genesis
from simulation.ledger.voters import Voters
from simulation.runs.seal import DONE, MANIFEST
from simulation.runs.verify import NoRunError, verify_run
from simulation.runs.verify_ledger import Finding
from simulation.vault.audit_key import AuditKey
from simulation.vault.envelope import read_envelope
from simulation.vault.store import DirectoryVault

FLIPS = 256


def flip(data: bytes, bit: int) -> bytes:
    return data[: bit // 8] + bytes([data[bit // 8] ^ 1 << bit % 8]) + data[bit // 8 + 1 :]


def voters_of(run: Path) -> Voters:
    return Genesis.decode((run / "genesis.cbor").read_bytes()).voters


def first(run: Path) -> Finding:
    report = verify_run(run)
    assert report.findings, "the change was missed"
    return report.findings[0]


def test_an_untouched_run_has_no_findings(pristine: Path) -> None:
    """None reported on an untouched run, and the audit has looked at everything."""
    report = verify_run(pristine)

    assert report.findings == ()
    assert report.ok
    assert report.copies == 6
    assert report.blocks == 6 * 11
    assert report.certificates == 6 * 11
    assert report.rounds == 3
    assert report.openings == 4 + 5
    assert report.aggregates == 2
    assert report.evidence == ()
    assert report.objects == 10 + 13 + 3
    assert report.files == 6 + 26 + 5 + 2
    assert report.receipts == 2
    assert report.events == 3 * 3 + 6 * 11
    assert report.metrics > 3
    assert report.row()["findings"] == []


def test_auditing_changes_nothing(finished_run: Path) -> None:
    """An audit only reads."""
    before = {p: p.read_bytes() for p in finished_run.rglob("*") if p.is_file()}

    verify_run(finished_run)

    assert {p: p.read_bytes() for p in finished_run.rglob("*") if p.is_file()} == before


def test_every_flipped_bit_is_found(finished_run: Path) -> None:
    """Flip one bit in any file of a finished run: verify finds it; none missed."""
    rng = np.random.default_rng(7)
    files = sorted(path for path in finished_run.rglob("*") if path.is_file())
    missed: list[str] = []

    for i in range(FLIPS):
        path = files[i % len(files)]
        data = path.read_bytes()
        bit = int(rng.integers(8 * len(data)))
        path.write_bytes(flip(data, bit))
        if verify_run(finished_run).ok:
            missed.append(f"{path.name} bit {bit}")
        path.write_bytes(data)

    assert missed == []
    assert len(files) * 3 < FLIPS
    assert verify_run(finished_run).ok


@pytest.mark.parametrize("name", [MANIFEST, DONE, "config.yaml", "genesis.cbor"])
def test_a_missing_file_is_found(finished_run: Path, name: str) -> None:
    """The seal covers the set of files, too."""
    (finished_run / name).unlink()

    assert not verify_run(finished_run).ok


def test_a_file_that_was_added_is_found(finished_run: Path) -> None:
    """The seal covers the set of files, too."""
    (finished_run / "vault" / "more").write_bytes(b"x")

    fields = {finding.field for finding in verify_run(finished_run).findings}

    assert "vault/more" in fields


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    """There is nothing to audit where no run has finished."""
    with pytest.raises(NoRunError, match="no such directory"):
        verify_run(tmp_path / "nowhere")
    with pytest.raises(NoRunError, match="no finished run"):
        verify_run(tmp_path)


# ---- changes behind a fresh seal ----------------------------------------------------------------


Change = Callable[[sqlite3.Connection], None]


def edit(run: Path, node: str, change: Change, reseal: Callable[[Path], None]) -> Finding:
    """Change a ledger file, seal the run again, and return the first finding."""
    with sqlite3.connect(run / "ledger" / f"{node}.sqlite") as db:
        change(db)
    db.close()
    reseal(run)
    return first(run)


@pytest.mark.parametrize("field", HEADER_FIELDS)
def test_a_changed_header_field_is_named(
    finished_run: Path, reseal: Callable[[Path], None], field: str
) -> None:
    """It names the first height, hospital and field that disagree, whoever sealed the run."""

    def change(db: sqlite3.Connection) -> None:
        data = db.execute("SELECT header FROM blocks WHERE height = 5").fetchone()[0]
        values = {name: getattr(Header.decode(data), name) for name in HEADER_FIELDS}
        old = values[field]
        values[field] = old + 1 if isinstance(old, int) else flip(old, 77)
        db.execute("UPDATE blocks SET header = ? WHERE height = 5", (Header(**values).encoded,))

    found = edit(finished_run, "hospital-02", change, reseal)

    assert (found.height, found.hospital, found.field) == (5, "hospital-02", field)


def change_last_header(run: Path, name: str, keys: list[SigningKey] | None = None) -> None:
    """Change a field of the last header in every copy; with keys, certify what comes out."""
    for path in sorted((run / "ledger").iterdir()):
        with sqlite3.connect(path) as db:
            data = db.execute("SELECT header FROM blocks WHERE height = 11").fetchone()[0]
            values = {field: getattr(Header.decode(data), field) for field in HEADER_FIELDS}
            old = values[name]
            values[name] = old - 8000 if name == "time_us" else old
            if name != "time_us":
                values[name] = old + 1 if isinstance(old, int) else flip(old, 77)
            header = Header(**values)
            db.execute("UPDATE blocks SET header = ? WHERE height = 11", (header.encoded,))
            if keys is not None:
                votes = [attest(header, i, keys[i]) for i in range(3)]
                data = Certificate.of(votes, voters_of(run)).encoded
                db.execute("UPDATE certificates SET certificate = ? WHERE height = 11", (data,))
        db.close()


NAMED = {
    "version": "version",
    "chain": "chain",
    "height": "height",
    "parent": "parent",
    "transaction_root": "transactions",
    "state_root": "state_root",
    "receipts_root": "receipts_root",
    "time_us": "time_us",
}


@pytest.mark.parametrize("name", HEADER_FIELDS)
def test_a_header_changed_in_all_copies_is_named(
    finished_run: Path, reseal: Callable[[Path], None], name: str
) -> None:
    """Without the hospitals' keys nobody certifies a header that they did not sign."""
    change_last_header(finished_run, name)
    reseal(finished_run)

    found = first(finished_run)

    expected = NAMED.get(name, "certificate")
    assert (found.height, found.hospital, found.field) == (11, "coordinator", expected)


@pytest.mark.parametrize("name", NAMED)
def test_what_a_quorum_signs_still_has_to_follow(
    finished_run: Path, reseal: Callable[[Path], None], keys: list[SigningKey], name: str
) -> None:
    """Even a quorum cannot sign a header that does not follow from the chain."""
    change_last_header(finished_run, name, keys)
    reseal(finished_run)

    found = first(finished_run)

    # Votes name the chain of the genesis, so a header of another chain is not even certified.
    assert (found.height, found.hospital, found.field) == (11, "coordinator", NAMED[name])


def test_a_fork_signed_by_two_quorums_is_named(
    finished_run: Path, reseal: Callable[[Path], None], keys: list[SigningKey]
) -> None:
    """Equality of all honest replicas: two certified histories cannot both be true."""
    path = finished_run / "ledger" / "hospital-02.sqlite"
    with sqlite3.connect(path) as db:
        data = db.execute("SELECT header FROM blocks WHERE height = 11").fetchone()[0]
        header = replace(Header.decode(data), view=1)
        votes = [attest(header, i, keys[i]) for i in range(3)]
        certificate = Certificate.of(votes, voters_of(finished_run))
        db.execute("UPDATE blocks SET header = ? WHERE height = 11", (header.encoded,))
        db.execute(
            "UPDATE certificates SET certificate = ? WHERE height = 11", (certificate.encoded,)
        )
    db.close()
    reseal(finished_run)

    found = first(finished_run)

    assert (found.height, found.hospital, found.field) == (11, "hospital-02", "copies")
    assert "view" in found.message


def test_a_copy_may_end_before_the_others(
    finished_run: Path, reseal: Callable[[Path], None]
) -> None:
    """Copies are compared at equal height; a last block may still lack its certificate."""
    with sqlite3.connect(finished_run / "ledger" / "hospital-04.sqlite") as db:
        for table in ("blocks", "transactions", "outcomes", "certificates"):
            db.execute(f"DELETE FROM {table} WHERE height = 11")
    db.close()
    with sqlite3.connect(finished_run / "ledger" / "hospital-01.sqlite") as db:
        db.execute("DELETE FROM certificates WHERE height = 11")
    db.close()
    reseal(finished_run)

    report = verify_run(finished_run)

    assert report.ok
    assert (report.blocks, report.certificates) == (65, 64)


def statement(sql: str, *arguments: object) -> Change:
    def change(db: sqlite3.Connection) -> None:
        db.execute(sql, arguments)
        assert db.total_changes > 0

    return change


def flip_bit(table: str, column: str, where: str, bit: int) -> Change:
    def change(db: sqlite3.Connection) -> None:
        data = db.execute(f"SELECT {column} FROM {table} WHERE {where}").fetchone()[0]
        db.execute(f"UPDATE {table} SET {column} = ? WHERE {where}", (flip(data, bit),))

    return change


LEDGER_CHANGES = {
    "a bit of a header": (flip_bit("blocks", "header", "height = 4", 3), 4, "header"),
    "a bit of a transaction": (
        flip_bit("transactions", "payload", "height = 6 AND position = 1", 999),
        6,
        "transactions",
    ),
    "a bit of a signature": (
        flip_bit("transactions", "payload", "height = 2 AND position = 0", -3),
        2,
        "transactions",
    ),
    "a transaction as text": (
        statement("UPDATE transactions SET payload = 'x' WHERE height = 7"),
        7,
        "transactions",
    ),
    "a transaction removed": (
        statement("DELETE FROM transactions WHERE height = 6 AND position = 6"),
        6,
        "transactions",
    ),
    "a transaction removed in the middle": (
        statement("DELETE FROM transactions WHERE height = 6 AND position = 1"),
        6,
        "transactions",
    ),
    "an outcome turned": (
        statement("UPDATE outcomes SET accepted = 1 WHERE height = 6 AND position = 2"),
        6,
        "outcomes",
    ),
    "an outcome renamed": (
        statement("UPDATE outcomes SET code = 'ok' WHERE height = 6 AND position = 2"),
        6,
        "outcomes",
    ),
    "an outcome of another type": (
        statement("UPDATE outcomes SET accepted = 'no' WHERE height = 3"),
        3,
        "outcomes",
    ),
    "a bit of a certificate's signature": (
        flip_bit("certificates", "certificate", "height = 6", -9),
        6,
        "certificate",
    ),
    "a bit of a certificate's bitmap": (
        flip_bit("certificates", "certificate", "height = 6", 16),
        6,
        "certificate",
    ),
    "a certificate of another height": (
        statement(
            "UPDATE certificates SET certificate ="
            " (SELECT certificate FROM certificates WHERE height = 3) WHERE height = 4"
        ),
        4,
        "certificate",
    ),
    "a certificate that is a number": (
        statement("UPDATE certificates SET certificate = 5 WHERE height = 4"),
        4,
        "certificate",
    ),
    "a block removed": (statement("DELETE FROM blocks WHERE height = 4"), 4, "blocks"),
    "the genesis": (flip_bit("meta", "value", "key = 'genesis'", 900), 0, "genesis"),
    "the owner": (
        statement("UPDATE meta SET value = x'00' WHERE key = 'node'"),
        0,
        "meta",
    ),
}


@pytest.mark.parametrize("name", LEDGER_CHANGES)
def test_a_changed_row_is_named(
    finished_run: Path, reseal: Callable[[Path], None], name: str
) -> None:
    """It names the first height, hospital and field that disagree, whoever sealed the run."""
    change, height, field = LEDGER_CHANGES[name]

    found = edit(finished_run, "hospital-01", change, reseal)

    assert (found.height, found.hospital, found.field) == (height, "hospital-01", field)


def test_random_bits_of_stored_bytes_are_found_behind_a_fresh_seal(
    finished_run: Path, reseal: Callable[[Path], None]
) -> None:
    """No bit of a header, transaction or certificate can be changed and sealed over."""
    rng = np.random.default_rng(3)
    path = finished_run / "ledger" / "hospital-03.sqlite"
    pristine = path.read_bytes()
    columns = [("blocks", "header"), ("transactions", "payload"), ("certificates", "certificate")]

    for i in range(60):
        table, column = columns[i % 3]
        height = int(rng.integers(1, 12))
        where = f"height = {height}" + (" AND position = 0" if table == "transactions" else "")
        with sqlite3.connect(path) as db:
            size = db.execute(f"SELECT length({column}) FROM {table} WHERE {where}").fetchone()[0]
            flip_bit(table, column, where, int(rng.integers(8 * size)))(db)
        db.close()
        reseal(finished_run)
        found = first(finished_run)
        assert (found.height, found.hospital) == (height, "hospital-03"), (table, found)
        path.write_bytes(pristine)


def test_a_file_that_is_no_database_is_named(
    finished_run: Path, reseal: Callable[[Path], None]
) -> None:
    """A copy that cannot be read is a finding, not an exception."""
    (finished_run / "ledger" / "hospital-00.sqlite").write_bytes(b"not a database" * 99)
    reseal(finished_run)

    assert first(finished_run).hospital == "hospital-00"


def test_a_removed_copy_is_named(finished_run: Path, reseal: Callable[[Path], None]) -> None:
    """Every hospital has its own local replica."""
    (finished_run / "ledger" / "hospital-04.sqlite").unlink()
    reseal(finished_run)

    found = first(finished_run)

    assert (found.height, found.hospital) == (0, "hospital-04")


def test_a_copy_of_another_hospitals_file_is_named(
    finished_run: Path, reseal: Callable[[Path], None]
) -> None:
    """A file belongs to one node."""
    folder = finished_run / "ledger"
    shutil.copy(folder / "hospital-00.sqlite", folder / "hospital-04.sqlite")
    reseal(finished_run)

    found = first(finished_run)

    assert (found.height, found.hospital, found.field) == (0, "hospital-04", "meta")


def test_a_changed_genesis_file_is_named(
    finished_run: Path, reseal: Callable[[Path], None]
) -> None:
    """The genesis file is held against the copies'."""
    path = finished_run / "genesis.cbor"
    path.write_bytes(flip(path.read_bytes(), 300))
    reseal(finished_run)

    found = first(finished_run)

    assert (found.height, found.field) == (0, "genesis.cbor")


# ---- models -------------------------------------------------------------------------------------


def test_every_changed_vault_object_is_named(
    finished_run: Path, reseal: Callable[[Path], None]
) -> None:
    """Every vault object is held against its address, and its round and hospital are named."""
    rng = np.random.default_rng(5)
    owners: set[str | None] = set()

    for path in sorted((finished_run / "vault").glob("*/*")):
        data = path.read_bytes()
        path.write_bytes(flip(data, int(rng.integers(8 * len(data)))))
        reseal(finished_run)
        (found,) = verify_run(finished_run).findings
        assert found.field == f"vault/{found.hospital}/{path.name}"
        assert found.hospital == path.parent.name
        assert found.height in (4, 8, 11)
        owners.add(found.hospital)
        path.write_bytes(data)

    assert owners == {f"hospital-0{i}" for i in range(5)} | {"coordinator"}


def test_a_removed_vault_object_is_named(
    finished_run: Path, reseal: Callable[[Path], None]
) -> None:
    """Every opening's object is present."""
    path = min((finished_run / "vault" / "hospital-03").iterdir())
    path.unlink()
    reseal(finished_run)

    (found,) = verify_run(finished_run).findings

    assert (found.hospital, found.field) == ("hospital-03", f"vault/hospital-03/{path.name}")
    assert "no such object" in found.message


def test_an_object_in_no_vault_is_named_at_each_holder(
    finished_run: Path, reseal: Callable[[Path], None]
) -> None:
    """Its owner and all who have signed for it are named; no aggregate can be computed of it."""
    name = min((finished_run / "vault" / "hospital-00").iterdir()).name
    holders = sorted(path.parent.name for path in (finished_run / "vault").glob(f"*/{name}"))
    for path in (finished_run / "vault").glob(f"*/{name}"):
        path.unlink()
    reseal(finished_run)

    report = verify_run(finished_run)

    assert sorted(str(found.hospital) for found in report.findings) == holders
    assert report.aggregates == 1


def test_without_the_auditor_s_key_nothing_sealed_is_computed_again(
    finished_run: Path, reseal: Callable[[Path], None]
) -> None:
    """A missing key is a finding, and the only one: addresses and ledger need none."""
    (finished_run / "auditor.pem").unlink()
    reseal(finished_run)

    report = verify_run(finished_run)

    (found,) = report.findings
    assert (found.hospital, found.field) == (None, "auditor.pem")
    assert report.aggregates == 0


def test_another_auditor_s_key_is_named(finished_run: Path, reseal: Callable[[Path], None]) -> None:
    """The genesis names the auditor."""
    AuditKey.of(b"b" * 32).write(finished_run)
    reseal(finished_run)

    found = first(finished_run)

    assert found.field == "auditor.pem"
    assert "not the key that the genesis names" in found.message


def test_the_vault_s_keeper_sees_no_model(pristine: Path) -> None:
    """A vault operator sees ciphertext only: no object decodes, no two are equal in any part."""
    seen: set[bytes] = set()
    for path in (pristine / "vault").glob("*/*"):
        data = path.read_bytes()
        with pytest.raises(EncodingError):
            decode_model(data)
        assert b"weight" not in data
        seen.add(read_envelope(data).box[:16])
    assert len(seen) == 9 + 3


def test_a_stray_object_under_a_false_name_is_found(
    finished_run: Path, reseal: Callable[[Path], None]
) -> None:
    """An object that no round speaks of still has to be what its name says."""
    (finished_run / "vault" / "hospital-02" / "bafyreia").write_bytes(b"x")
    reseal(finished_run)

    found = first(finished_run)

    assert (found.height, found.hospital) == (None, "hospital-02")
    assert found.field == "vault/hospital-02/bafyreia"


def test_a_stray_object_under_its_own_name_is_none_of_our_business(
    finished_run: Path, reseal: Callable[[Path], None]
) -> None:
    """Updates that no aggregate used may lie in the vault."""
    DirectoryVault(finished_run / "vault" / "hospital-02").put(b"something else")
    reseal(finished_run)

    assert verify_run(finished_run).ok
