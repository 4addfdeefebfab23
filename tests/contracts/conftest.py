"""A ledger with a task, and members who sign what they are told to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pytest

from simulation.base.encoding import Value
from simulation.base.keys import SigningKey
from simulation.contracts import default_contracts, task
from simulation.contracts.aggregation import inputs_root
from simulation.contracts.commitments import holding
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
    more: Mapping[str, Value] = field(default_factory=dict)
    """Further parameters of the task."""
    time_us: int = 0
    hospitals: int = HOSPITALS
    replicas: int = HOSPITALS
    coordinator: int = COORDINATOR
    quorums: tuple[int, ...] = ()
    sequence: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.keys = [SigningKey(bytes([i + 1]) * 32) for i in range(12)]
        members = tuple(
            Member(i, "hospital" if i < self.hospitals else "coordinator", key.public.encoded)
            for i, key in enumerate(self.keys)
            if i in (*range(self.hospitals), self.coordinator)
        )
        parameters: dict[str, Value] = {"name": "t", "initial_root": self.initial, **self.more}
        self.genesis = Genesis("t", members, self.replicas, 3, parameters, self.quorums)
        self.copy = LedgerCopy(self.genesis, default_contracts(), MemoryStore(), 0)

    def do(self, sender: int, kind: str, body: Mapping[str, Value]) -> str:
        """Sign, execute, and return the outcome's code."""
        self.sequence[sender] = self.sequence.get(sender, 0) + 1
        transaction = Transaction(
            self.genesis.chain_id, sender, self.sequence[sender], 10_000, kind, body
        )
        payload = transaction.sign(self.keys[sender]).encoded
        block = self.copy.execute([payload], view=0, proposer=0, time_us=self.time_us)
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
            "cid": f"bafy{hospital}" if self.is_bare else None,
        } | change

    @property
    def is_bare(self) -> bool:
        return self.more.get("protocol") == "hash_only"

    def reveal_body(
        self, hospital: int, number: int = 1, holders: tuple[int, ...] = (0, 1), **change: Value
    ) -> dict[str, Value]:
        root, cid = update_root(hospital), f"bafy{hospital}"
        statement = holding(self.genesis.chain_id, "t", number, hospital, root, cid)
        return {
            "round": number,
            "update_root": root,
            "salt": SALT,
            "cid": cid,
            "holdings": [[h, self.keys[h].sign(statement)] for h in holders],
        } | change

    def aggregate_body(
        self, hospitals: tuple[int, ...] = (0, 2), number: int = 1, **change: Value
    ) -> dict[str, Value]:
        current = task.round(self.copy, number)
        base = current.base_root if current else INITIAL
        return {
            "round": number,
            "hospitals": list(hospitals),
            "inputs_root": inputs_root([(h, 100, update_root(h)) for h in hospitals]),
            "out_root": bytes([100 + number]) * 32 if hospitals else base,
            "out_cid": "bafyout",
        } | change

    # ---- shortcuts ------------------------------------------------------------------------------

    def open(self, number: int = 1, **change: Value) -> str:
        return self.do(self.coordinator, "task.open", self.opening_body(number, **change))

    def commit(self, hospital: int, number: int = 1, **change: Value) -> str:
        return self.do(hospital, "task.commit", self.commit_body(hospital, number, **change))

    def decline(self, hospital: int, number: int = 1) -> str:
        return self.do(hospital, "task.decline", {"round": number, "reason": "wrong-base"})

    def reveal(self, hospital: int, number: int = 1, **change: Value) -> str:
        return self.do(hospital, "task.reveal", self.reveal_body(hospital, number, **change))

    def confirm(self, replica: int, out_root: bytes, number: int = 1) -> str:
        return self.do(replica, "task.confirm", {"round": number, "out_root": out_root})

    def play(self, until: str, hospitals: tuple[int, ...] = (0, 2), number: int = 1) -> None:
        """Bring a round to a phase, with these of hospitals 0, 1 and 2 taking part."""
        codes = [self.open(number)]
        if until in ("sealed", "revealed"):
            for h in (0, 1, 2):
                act = self.commit if h in hospitals else self.decline
                codes.append(act(h, number))
        if until == "revealed":
            codes += [self.reveal(h, number) for h in hospitals]
        assert set(codes) == {"ok"}, codes
        assert task.round(self.copy, number).status == until

    def aggregate(
        self, hospitals: tuple[int, ...] = (0, 2), number: int = 1, **change: Value
    ) -> str:
        body = self.aggregate_body(hospitals, number, **change)
        return self.do(self.coordinator, "task.aggregate", body)

    def entries(self) -> dict[str, Value]:
        return dict(self.copy._state.items())


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture(scope="session")
def make_bench() -> Callable[..., Bench]:
    return Bench
