"""Orders to many hospitals and what comes back: one exchange, open until all have answered.

Of several answers of a hospital the first one counts; what comes after the end is noted as late.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any

import simpy

from simulation.base.ids import NodeId
from simulation.nodes.courier import Courier
from simulation.nodes.instance import Record
from simulation.nodes.messages import Order, Reply, SealedUpdate, is_training
from simulation.nodes.node import Node
from simulation.nodes.update_check import Verdict
from simulation.trace.events import PhaseEnded, UpdateLate

Process = Generator[simpy.Event, Any, Any]


@dataclass(frozen=True, slots=True)
class Assignment:
    """The content of an order, before it has a number and a time; one object may go to many."""

    category: str
    model: bytes
    instructions: bytes


@dataclass(slots=True)
class Exchange:
    """One batch of orders and what has come back so far."""

    number: int
    """Of the exchange, counted over the run; a round may have several exchanges."""
    round: int
    trains: bool
    expected: frozenset[NodeId]
    done: simpy.Event
    replies: dict[NodeId, Reply] = field(default_factory=dict[NodeId, Reply])
    refusals: dict[NodeId, str] = field(default_factory=dict[NodeId, str])
    closed: bool = False

    def settle(self, hospital: NodeId, reply: Reply | None, verdict: Verdict) -> None:
        """Note a hospital's first answer; fire ``done`` when it was the last one awaited."""
        if hospital in self.replies or hospital in self.refusals:
            return
        if verdict.accepted and reply is not None:
            self.replies[hospital] = reply
        else:
            self.refusals[hospital] = verdict.reason
        if len(self.replies) + len(self.refusals) == len(self.expected):
            self.done.succeed()


class Exchanges:
    """All exchanges of a coordinator with its hospitals."""

    def __init__(self, node: Node, courier: Courier, record: Record) -> None:
        self._env = node.env
        self._courier = courier
        self._record = record
        self._all: dict[int, Exchange] = {}

    def run(
        self, number: int, work: Mapping[NodeId, Assignment], deadline_us: int | None
    ) -> Process:
        """Send every hospital its order; return the `Exchange` when all answered or time is up."""
        exchange = self.send(number, work)
        awaited = [exchange.done]
        if deadline_us is not None:
            awaited.append(self._env.timeout(deadline_us))
        yield self._env.any_of(awaited)
        self.end(exchange)
        return exchange

    def send(self, number: int, work: Mapping[NodeId, Assignment]) -> Exchange:
        """Send every hospital its order."""
        trains = is_training(next(iter(work.values())).category)
        exchange = Exchange(len(self._all) + 1, number, trains, frozenset(work), self._env.event())
        self._all[exchange.number] = exchange
        # Hospitals whose assignment is the same object share one message: one broadcast.
        shared: dict[int, list[NodeId]] = {}
        for hospital in sorted(work):
            shared.setdefault(id(work[hospital]), []).append(hospital)
        for hospitals in shared.values():
            content = work[hospitals[0]]
            order = Order(
                exchange.number, number, content.category, content.model, content.instructions,
                self._env.now,
            )  # fmt: skip
            self._courier.broadcast(hospitals, order)
        return exchange

    def end(self, exchange: Exchange) -> None:
        """Take no more answers, and ask nobody again."""
        exchange.closed = True
        self._courier.forget(Order.kind, exchange.number)

    def find(self, sender: NodeId, answer: Reply | SealedUpdate) -> Exchange | None:
        """What an answer belongs to; None for a stranger's, or one for somebody else."""
        exchange = self._all.get(answer.number)
        if exchange is None or sender != answer.hospital or sender not in exchange.expected:
            return None
        return exchange

    def uploaded(self, answer: Reply | SealedUpdate) -> None:
        """Note that an answer has come all the way."""
        now = self._env.now
        self._record(PhaseEnded(now, answer.round, answer.hospital, "upload", answer.sent_us))

    def settle(
        self, exchange: Exchange, sender: NodeId, reply: Reply | None, verdict: Verdict
    ) -> None:
        """Note what became of an answer."""
        if exchange.closed:
            self._record(UpdateLate(self._env.now, exchange.round, sender))
        else:
            exchange.settle(sender, reply, verdict)
