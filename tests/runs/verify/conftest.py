"""A small finished run, written with the ledger and the vault alone: no torch, no SimPy."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simulation.base.digest import short
from simulation.base.encoding import Value
from simulation.base.ids import node_name
from simulation.base.keys import SigningKey
from simulation.base.rng import Streams
from simulation.base.tensors import decode_model, encode_model, model_root
from simulation.contracts import default_contracts, task
from simulation.contracts.aggregation import aggregate_models, inputs_root
from simulation.contracts.commitments import holding
from simulation.contracts.rules import FixedFedAvg
from simulation.ledger.chain import SqliteStore
from simulation.ledger.copy import LedgerCopy
from simulation.ledger.genesis import Genesis, Member
from simulation.ledger.receipt import issue_receipt
from simulation.ledger.transaction import Transaction, transaction_id
from simulation.runs.artifacts import write_metrics, write_trace
from simulation.runs.seal import DONE, MANIFEST, seal
from simulation.trace.events import BlockAppended, Measured, RoundClosed, RoundOpened
from simulation.trace.metrics import metric_rows
from simulation.trace.recorder import Recorder
from simulation.vault.audit_key import AuditKey
from simulation.vault.envelope import enclose, object_context
from simulation.vault.store import DirectoryVault

HOSPITALS = 5
REPLICAS = 4
COORDINATOR = HOSPITALS
QUORUM = 3
AUDITOR_KEY = AuditKey.of(b"a" * 32)


def member_keys() -> list[SigningKey]:
    return [SigningKey(Streams(1).key("key", i)) for i in range(HOSPITALS + 1)]


class Federation:
    """Five hospitals (four vote, one follows) and a coordinator, three rounds, the last void."""

    def __init__(self, folder: Path) -> None:
        self.keys = member_keys()
        self.rng = Streams(1).stream("models")
        self.vaults = [
            DirectoryVault(folder / "vault" / node_name(i, HOSPITALS)) for i in range(HOSPITALS + 1)
        ]
        self.model = self._arrays()
        self.genesis = Genesis(
            name="fixture",
            members=tuple(
                Member(i, "hospital" if i < HOSPITALS else "coordinator", key.public.encoded)
                for i, key in enumerate(self.keys)
            ),
            replicas=REPLICAS,
            quorum=QUORUM,
            task={
                "name": "fixture",
                "initial_root": model_root(self.model),
                "rule": {"kind": "fedavg"},
                "auditor": AUDITOR_KEY.public,
            },
        )
        AUDITOR_KEY.write(folder)
        (folder / "ledger").mkdir()
        (folder / "genesis.cbor").write_bytes(self.genesis.encoded)
        self.copies = [
            LedgerCopy(
                self.genesis,
                default_contracts(),
                SqliteStore(folder / "ledger" / f"{self.genesis.name_of(node)}.sqlite"),
                node,
            )
            for node in range(HOSPITALS + 1)
        ]
        self.sequence = [0] * (HOSPITALS + 1)
        self.results: list[bytes] = []

    def _arrays(self) -> dict[str, np.ndarray]:
        shapes = {"weight": (3, 4), "bias": (3,)}
        return {n: self.rng.normal(size=s).astype(np.float32) for n, s in shapes.items()}

    def sign(self, sender: int, kind: str, body: dict[str, Value]) -> bytes:
        self.sequence[sender] += 1
        transaction = Transaction(
            self.genesis.chain_id, sender, self.sequence[sender], 1000, kind, body
        )
        return transaction.sign(self.keys[sender]).encoded

    def store(self, number: int, owner: int, data: bytes, holders: tuple[int, ...]) -> str:
        """Seal a model, and put it into the vaults of its holders."""
        context = object_context(self.genesis.chain_id, "fixture", number, owner)
        secrets = self.rng.bytes(32), self.rng.bytes(32)
        envelope = enclose(data, secrets[0], AUDITOR_KEY.public, context, secrets[1])
        cids = {self.vaults[holder].put(envelope.encoded) for holder in holders}
        return cids.pop()

    def decide(self, payloads: list[bytes]) -> None:
        """One batch through all copies: replicas execute and attest, the others follow."""
        replicas, followers = self.copies[:REPLICAS], self.copies[REPLICAS:]
        height = self.copies[0].height
        blocks = [
            copy.execute(payloads, view=0, proposer=0, time_us=1000 * (height + 1))
            for copy in replicas
        ]
        votes = [copy.attest(self.keys[copy.node]) for copy in replicas]
        certificates = []
        for copy in replicas:
            # Each replica hears the others in its own order, so the certificates differ.
            order = votes[copy.node :] + votes[: copy.node]
            certificates += [c for vote in order if (c := copy.add_attestation(vote))]
        assert len(certificates) == REPLICAS
        for copy in followers:
            assert copy.follow(blocks[1], certificates[1])

    def trace(self) -> Recorder:
        """What an observer would have written down of it."""
        recorder = Recorder()
        for number, out_root in enumerate(self.results, start=1):
            now = 10_000 * number
            recorder.record(RoundOpened(now, number, HOSPITALS, "00000000", -1))
            for copy in self.copies:
                for height in range(4 * number - 3, min(4 * number, copy.height) + 1):
                    header = copy.block(height).header
                    digests = (short(header.digest), short(header.state_root))
                    count = len(copy.block(height).transactions)
                    recorder.record(BlockAppended(now + 1, copy.node, height, *digests, count))
            recorder.record(Measured(now + 2, number, "hospital-01", "auroc", 0.5 + number / 10))
            closed = RoundClosed(now + 3, number, 4, 0, 1, "aggregated", short(out_root))
            recorder.record(closed)
        return recorder

    def summary(self) -> dict[str, Any]:
        """What the world would say at the end."""
        tip = self.copies[0].tip
        ledger = {
            "chain": self.genesis.chain_id.hex(),
            "height": tip.height,
            "head": tip.digest.hex(),
            "state_root": tip.state_root.hex(),
        }
        return {"model": self.results[-1].hex(), "ledger": ledger}

    def receipts(self, folder: Path) -> None:
        """A receipt of each hospital's first commitment."""
        for copy in self.copies[:2]:
            payload = copy.block(2).transactions[copy.node]
            receipt = issue_receipt(copy, transaction_id(payload))
            assert receipt is not None
            place = folder / "receipts" / copy.name
            place.mkdir(parents=True)
            (place / "round-001-commit.receipt").write_bytes(receipt.encoded)

    def round(self, number: int, participants: list[int]) -> None:
        base, chain = model_root(self.model), self.genesis.chain_id
        eligible = list(range(HOSPITALS))
        body: dict[str, Value] = {"round": number, "base_root": base, "eligible": eligible}
        self.decide([self.sign(COORDINATOR, "task.open", body)])
        commits, reveals, rows = [], [], []
        for hospital in eligible:
            if hospital not in participants:
                body = {"round": number, "reason": "budget-exceeded"}
                commits.append(self.sign(hospital, "task.decline", body))
                continue
            update = self._arrays()
            root, data = model_root(update), encode_model(update)
            salt = self.rng.bytes(32)
            digest = task.commitment(chain, "fixture", number, base, hospital, root, salt)
            body = {
                "round": number,
                "commitment": digest,
                "base_root": base,
                "nbytes": len(data),
                "examples": 100,
                "dp": None,
                "cid": None,
            }
            commits.append(self.sign(hospital, "task.commit", body))
            cid = self.store(number, hospital, data, (hospital, 1, 3))
            statement = holding(chain, "fixture", number, hospital, root, cid)
            body = {
                "round": number,
                "update_root": root,
                "salt": salt,
                "cid": cid,
                "holdings": [[r, self.keys[r].sign(statement)] for r in (1, 3)],
            }
            reveals.append((hospital, body))
            rows.append((hospital, 100, data))
        # Some of what gets ordered is rubbish; it belongs to the ledger's history all the same.
        self.decide([*commits[:2], b"rubbish", *commits[2:], *commits[:1]])
        if rows:
            self.decide([self.sign(h, "task.reveal", body) for h, body in reveals])
            self.model = decode_model(aggregate_models(FixedFedAvg(), tuple(rows)))
        out_root = model_root(self.model)
        self.results.append(out_root)
        inputs = [(h, w, model_root(decode_model(data))) for h, w, data in rows]
        body = {
            "round": number,
            "hospitals": [h for h, _, _ in rows],
            "inputs_root": inputs_root(inputs),
            "out_root": out_root,
            "out_cid": self.store(number, COORDINATOR, encode_model(self.model), (COORDINATOR,)),
        }
        ends = [self.sign(COORDINATOR, "task.aggregate", body)]
        if rows:
            word = {"round": number, "out_root": out_root}
            ends += [self.sign(replica, "task.confirm", word) for replica in range(QUORUM)]
        self.decide(ends)


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run that nobody may change; tests take a copy with `finished_run`."""
    folder = tmp_path_factory.mktemp("pristine") / "run"
    folder.mkdir()
    federation = Federation(folder)
    federation.round(1, [0, 1, 3, 4])
    federation.round(2, [0, 1, 2, 3, 4])
    federation.round(3, [])
    federation.receipts(folder)
    for copy in federation.copies:
        copy.store.close()
    (folder / "config.yaml").write_text("name: fixture\nhospitals: 5\n")
    recorder = federation.trace()
    write_trace(folder, recorder.events)
    write_metrics(folder, metric_rows(recorder.events))
    manifest = {
        "name": "fixture",
        "seed": 1,
        "trace_digest": recorder.digest,
        "summary": federation.summary(),
    }
    seal(folder, manifest)
    return folder


@pytest.fixture
def keys() -> list[SigningKey]:
    """The secret keys of the run's members, in the hands of whoever asks."""
    return member_keys()


@pytest.fixture
def finished_run(pristine: Path, tmp_path: Path) -> Path:
    """A copy of the finished run, to do anything with."""
    return Path(shutil.copytree(pristine, tmp_path / "run"))


@pytest.fixture
def reseal() -> Callable[[Path], None]:
    """Seal again, as somebody who wants to hide a change would."""

    def do(run: Path) -> None:
        manifest: dict[str, Any] = json.loads((run / MANIFEST).read_text())
        (run / DONE).unlink()
        seal(run, manifest)

    return do
