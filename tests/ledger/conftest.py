"""Members with real keys, a chain, and somebody who signs for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pytest

from simulation.base.encoding import Value
from simulation.base.keys import SigningKey
from simulation.contracts import default_contracts
from simulation.ledger.block import Block, Certificate
from simulation.ledger.chain import BlockStore, MemoryStore
from simulation.ledger.copy import LedgerCopy
from simulation.ledger.genesis import Genesis, Member
from simulation.ledger.transaction import Transaction

INITIAL = bytes(range(32))


@dataclass
class Chain:
    """Four hospitals that vote, one that follows, a coordinator; n = 4, quorum 3."""

    hospitals: int = 5
    replicas: int = 4
    quorum: int = 3
    name: str = "test"
    sequence: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.keys = [SigningKey(bytes([i + 1]) * 32) for i in range(self.hospitals + 1)]
        members = tuple(
            Member(i, "hospital" if i < self.hospitals else "coordinator", key.public.encoded)
            for i, key in enumerate(self.keys)
        )
        task: dict[str, Value] = {"name": self.name, "initial_root": INITIAL}
        self.genesis = Genesis(self.name, members, self.replicas, self.quorum, task)
        self.coordinator = self.hospitals

    def copy(self, node: int = 0, store: BlockStore | None = None) -> LedgerCopy:
        return LedgerCopy(self.genesis, default_contracts(), store or MemoryStore(), node)

    def transaction(
        self,
        sender: int,
        kind: str = "task.nothing",
        body: Mapping[str, Value] | None = None,
        *,
        seq: int | None = None,
        expiry: int = 1000,
    ) -> Transaction:
        if seq is None:
            seq = self.sequence[sender] = self.sequence.get(sender, 0) + 1
        return Transaction(self.genesis.chain_id, sender, seq, expiry, kind, body or {})

    def sign(
        self,
        sender: int,
        kind: str = "task.nothing",
        body: Mapping[str, Value] | None = None,
        *,
        seq: int | None = None,
        expiry: int = 1000,
    ) -> bytes:
        transaction = self.transaction(sender, kind, body, seq=seq, expiry=expiry)
        return transaction.sign(self.keys[sender]).encoded

    def open(self, number: int = 1, base: bytes = INITIAL) -> bytes:
        body: dict[str, Value] = {
            "round": number,
            "base_root": base,
            "eligible": list(range(self.hospitals)),
        }
        return self.sign(self.coordinator, "task.open", body)

    def certify(self, copies: list[LedgerCopy]) -> Certificate:
        """Exchange the attestations of the copies' tips; the first copy's certificate."""
        votes = [copy.attest(self.keys[copy.node]) for copy in copies]
        certificates = [c for copy in copies for v in votes if (c := copy.add_attestation(v))]
        return certificates[0]

    def certified(self, batches: list[list[bytes]]) -> list[tuple[Block, Certificate]]:
        """The blocks and certificates that the replicas make of these batches."""
        copies = [self.copy(node) for node in range(self.replicas)]
        made: list[tuple[Block, Certificate]] = []
        for i, batch in enumerate(batches):
            blocks = [
                copy.execute(batch, view=0, proposer=0, time_us=10 * (i + 1)) for copy in copies
            ]
            assert blocks[0] is not None
            made.append((blocks[0], self.certify(copies)))
        return made


@pytest.fixture
def chain() -> Chain:
    return Chain()


@pytest.fixture(scope="session")
def make_chain() -> Callable[..., Chain]:
    return Chain
