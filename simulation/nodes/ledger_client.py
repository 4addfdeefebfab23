"""What a client of the ledger does: sign, submit, insist, and wait for facts about its own copy."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any

import simpy

from simulation.base.digest import Digest, short
from simulation.base.encoding import Value
from simulation.base.ids import NodeId
from simulation.base.keys import SigningKey
from simulation.base.units import US_PER_S, format_us
from simulation.consensus.protocol import Request
from simulation.contracts.members import key_of
from simulation.ledger.copy import LedgerCopy
from simulation.ledger.signatures import is_signature
from simulation.nodes.instance import Record
from simulation.nodes.node import Node
from simulation.nodes.outbox import Outbox, request_of
from simulation.trace.events import TransactionExecuted, TransactionSubmitted

Waiting = Generator[simpy.Event, Any, Any]

RETRY_US = 4 * US_PER_S
"""When a request that is not executed is submitted again, in a network that loses messages."""
PATIENCE_US = 900 * US_PER_S
"""How long the ledger may stand still under somebody's request before the run is given up: far more
than all doublings of a view change's timers together."""


class Standstill(RuntimeError):
    """The ledger has not moved for so long that it never will."""

    def __init__(self, node: NodeId, kind: str, t_us: int) -> None:
        super().__init__(
            f"node {node} waits for its {kind}, and its ledger has not grown for "
            f"{format_us(PATIENCE_US)}"
        )
        self.t_us = t_us


@dataclass(frozen=True, slots=True)
class Executed:
    """What became of a submitted transaction on the submitter's own copy."""

    height: int
    accepted: bool
    code: str


class LedgerClient(ABC):
    """A member's transactions, from its signature to their execution on its own copy.

    Args:
        node: whose.
        copy: its ledger copy.
        key: the key that it starts with.
        expiry_blocks: for how many blocks its transactions may be executed.
        record: takes the trace's events.
    """

    def __init__(
        self, node: Node, copy: LedgerCopy, key: SigningKey, expiry_blocks: int, record: Record
    ) -> None:
        self.node = node
        self.copy = copy
        self.record = record
        self.outbox = Outbox(node.id, lambda: self.copy, key, expiry_blocks)
        self.on_request: Callable[[Request], None] = _ignore
        """Called with every request that this node submits, before anybody else sees it."""
        self.gives_up = False
        """Whether this node's request ends the run when the ledger does not move any more."""
        self._waiting: list[tuple[Callable[[], bool], simpy.Event]] = []

    @abstractmethod
    def propose(self, request: Request) -> None:
        """Have a request ordered."""

    @abstractmethod
    def repeat(self, request: Request) -> None:
        """§4.1: a request without a result in time goes to all replicas."""

    @property
    @abstractmethod
    def misses(self) -> bool:
        """Whether messages of this node may get lost."""

    # ---- transactions ---------------------------------------------------------------------------

    def submit(self, kind: str, body: Mapping[str, Value]) -> Waiting:
        """Sign and submit a transaction; the process returns `Executed` from the own copy."""
        env = self.node.env
        signed = self.outbox.sign(kind, body)
        seq, start_us = signed.transaction.seq, env.now
        size = len(signed.encoded)
        self.record(TransactionSubmitted(start_us, self.node.id, kind, short(signed.id), size))
        request = request_of(signed)
        self.on_request(request)
        self.propose(request)
        executed = self.when(lambda: self.copy.outcome(self.outbox.current(seq).id) is not None)
        yield from self._insist(executed, seq, kind)
        signed = self.outbox.current(seq)
        self.outbox.close(seq)
        found = self.copy.outcome(signed.id)
        assert found is not None, "the condition waited for holds"
        height, outcome = found
        self.record(
            TransactionExecuted(
                env.now, self.node.id, kind, short(signed.id), height,
                outcome.accepted, outcome.code, env.now - start_us,
            )
        )  # fmt: skip
        return Executed(height, outcome.accepted, outcome.code)

    def _insist(self, executed: simpy.Event, seq: int, kind: str) -> Waiting:
        """Wait for an execution; repeat the request where it may get lost; give up in the end."""
        env, height, grown_us = self.node.env, self.copy.height, self.node.env.now
        while not executed.triggered:
            awaited = [executed]
            if self.misses or self.gives_up:
                awaited.append(env.timeout(RETRY_US if self.misses else PATIENCE_US))
            yield env.any_of(awaited)
            if executed.triggered:
                return
            if self.copy.height > height:
                height, grown_us = self.copy.height, env.now
            elif self.gives_up and env.now - grown_us >= PATIENCE_US:
                raise Standstill(self.node.id, kind, env.now)
            self.repeat(request_of(self.outbox.current(seq)))

    def open_requests(self) -> list[str]:
        """What this node has submitted and not seen executed."""
        return self.outbox.names()

    def sign(self, statement: Digest) -> bytes:
        """This member's signature of a statement that a contract will read."""
        return self.outbox.key.sign(statement)

    @property
    def agreement(self) -> tuple[bytes, bytes]:
        """This member's X25519 keys, secret and public, with which it opens what is for it."""
        key = self.outbox.key
        return key.agreement, key.public.agreement

    def has_signed(self, member: NodeId, statement: Digest, signature: bytes) -> bool:
        """Whether this is a member's signature of a statement, by the own copy's keys."""
        key = key_of(self.copy, member)
        return key is not None and is_signature(key, statement, signature)

    def when(self, condition: Callable[[], bool]) -> simpy.Event:
        """An event that fires as soon as a fact about the own copy holds."""
        event = self.node.env.event()
        if condition():
            event.succeed()
        else:
            self._waiting.append((condition, event))
        return event

    def is_certified(self, height: int) -> bool:
        """Whether the own copy holds a quorum certificate for the block at ``height``."""
        return self.copy.is_certified(height)

    def changed(self) -> None:
        """The own copy has grown: let those go on who waited for that."""
        waiting, self._waiting = self._waiting, []
        for condition, event in waiting:
            if condition():
                event.succeed()
            else:
                self._waiting.append((condition, event))

    def nobody_waits(self) -> None:
        """A crash: whoever waited is gone."""
        self._waiting.clear()


def _ignore(_: Request) -> None:
    """Nobody wants to know."""
