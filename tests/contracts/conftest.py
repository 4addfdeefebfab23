"""A ledger with a task, and members who sign what they are told to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pytest

from simulation.base.encoding import Value
from simulation.base.keys import SigningKey
from simulation.contracts import default_contracts, task
from simulation.ledger.chain import MemoryStore
from simulation.ledger.copy import LedgerCopy
from simulation.ledger.genesis import Genesis, Member
from simulation.ledger.transaction import Transaction

HOSPITALS = 4
COORDINATOR = 4
STRANGER = 5
INITIAL = b"i" * 32
SALT = b"s" * 32


def update_root(hospital: int) -> bytes:
    return bytes([hospital]) * 32


@dataclass
class Bench:
    """One copy, driven transaction by transaction; every transaction is a block."""

    initial: bytes | None = INITIAL
    sequence: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.keys = [SigningKey(bytes([i + 1]) * 32) for i in range(HOSPITALS + 2)]
        members = tuple(
            Member(i, "hospital" if i < HOSPITALS else "coordinator", self.keys[i].public.encoded)
            for i in range(HOSPITALS + 1)
        )
        parameters: dict[str, Value] = {"name": "t", "initial_root": self.initial}
        self.genesis = Genesis("t", members, HOSPITALS, 3, parameters)
        self.copy = LedgerCopy(self.genesis, default_contracts(), MemoryStore(), 0)

    def do(self, sender: int, kind: str, body: Mapping[str, Value]) -> str:
        """Sign, execute, and return the outcome's code."""
        self.sequence[sender] = self.sequence.get(sender, 0) + 1
        transaction = Transaction(
            self.genesis.chain_id, sender, self.sequence[sender], 10_000, kind, body
        )
        payload = transaction.sign(self.keys[sender]).encoded
        block = self.copy.execute([payload], view=0, proposer=0, time_us=0)
        assert block is not None
        return block.outcomes[0].code

    # ---- bodies that are right unless told otherwise --------------------------------------------

    def opening_body(self, number: int = 1, **change: Value) -> dict[str, Value]:
        root = task.status(self.copy).root
        return {"round": number, "base_root": root, "eligible": [0, 1, 2]} | change

    def commitment(self, hospital: int, number: int = 1) -> bytes:
        base = task.round(self.copy, number)
        return task.commitment(
            self.genesis.chain_id,
            "t",
            number,
            base.base_root if base else INITIAL,
            hospital,
            update_root(hospital),
            SALT,
        )

    def commit_body(self, hospital: int, number: int = 1, **change: Value) -> dict[str, Value]:
        current = task.round(self.copy, number)
        return {
            "round": number,
            "commitment": self.commitment(hospital, number),
            "base_root": current.base_root if current else INITIAL,
            "nbytes": 1234,
            "examples": 100,
            "dp": None,
        } | change

    def aggregate_body(
        self, hospitals: tuple[int, ...] = (0, 2), number: int = 1, **change: Value
    ) -> dict[str, Value]:
        current = task.round(self.copy, number)
        base = current.base_root if current else INITIAL
        openings: list[Value] = [
            {"hospital": h, "update_root": update_root(h), "salt": SALT, "cid": f"bafy{h}"}
            for h in hospitals
        ]
        return {
            "round": number,
            "openings": openings,
            "out_root": bytes([100 + number]) * 32 if hospitals else base,
            "out_cid": "bafyout",
        } | change

    # ---- shortcuts ------------------------------------------------------------------------------

    def open(self, number: int = 1, **change: Value) -> str:
        return self.do(COORDINATOR, "task.open", self.opening_body(number, **change))

    def commit(self, hospital: int, number: int = 1, **change: Value) -> str:
        return self.do(hospital, "task.commit", self.commit_body(hospital, number, **change))

    def aggregate(
        self, hospitals: tuple[int, ...] = (0, 2), number: int = 1, **change: Value
    ) -> str:
        body = self.aggregate_body(hospitals, number, **change)
        return self.do(COORDINATOR, "task.aggregate", body)

    def entries(self) -> dict[str, Value]:
        return dict(self.copy._state.items())


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture(scope="session")
def make_bench() -> Callable[..., Bench]:
    return Bench
