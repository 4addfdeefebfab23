"""The coordinator: it schedules and transports, and decides nothing.

Flower's server role in the simulated world. It opens a round on the ledger, sends the orders,
collects the replies until all are in or the deadline has passed, holds each update against its own
ledger copy, and closes the round with the aggregate that the strategy has computed.

Source: the project's protocol, section 1 (trust) and section 3 (one round).
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any

import simpy

from simulation.base.digest import Digest
from simulation.base.encoding import Value
from simulation.base.ids import NodeId
from simulation.contracts.rounds import read_round, task_name
from simulation.nodes.courier import Courier
from simulation.nodes.ledger_service import Executed, LedgerService, Record
from simulation.nodes.messages import Order, Reply, is_training
from simulation.nodes.node import Node
from simulation.nodes.update_check import Declared, Verdict, check_update, root_of
from simulation.trace.events import (
    PhaseEnded,
    RoundClosed,
    RoundOpened,
    UpdateChecked,
    UpdateLate,
)
from simulation.vault.store import Vault, cid_of

Process = Generator[simpy.Event, Any, Any]


class ProtocolError(RuntimeError):
    """The ledger refused something that the coordinator has to be able to do."""


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
    trains: bool
    expected: frozenset[NodeId]
    done: simpy.Event
    replies: dict[NodeId, Reply] = field(default_factory=dict[NodeId, Reply])
    refusals: dict[NodeId, str] = field(default_factory=dict[NodeId, str])
    closed: bool = False

    def settle(self, hospital: NodeId, reply: Reply, verdict: Verdict) -> None:
        """Note a hospital's first answer; fire ``done`` when it was the last one awaited."""
        if hospital in self.replies or hospital in self.refusals:
            return
        if verdict.accepted:
            self.replies[hospital] = reply
        else:
            self.refusals[hospital] = verdict.reason
        if len(self.replies) + len(self.refusals) == len(self.expected):
            self.done.succeed()


@dataclass(slots=True)
class TrainingRound:
    """The round in progress: what it started from and what it will be closed with."""

    number: int
    base_root: Digest
    openings: list[Value]
    rejected: int
    late: int


class Coordinator:
    """The transport between Flower's strategy and the hospitals, on the virtual clock.

    ``min_updates`` is the round's quorum: with fewer accepted updates at the deadline the round is
    void, the strategy gets nothing to average and the model stays as it was.
    """

    def __init__(
        self,
        node: Node,
        record: Record,
        declared: Declared,
        min_updates: int = 1,
        ledger: LedgerService | None = None,
        vault: Vault | None = None,
        courier: Courier | None = None,
    ) -> None:
        self.node = node
        self._courier = courier or Courier(node, repeats=False)
        self.ledger = ledger
        self.open_round: TrainingRound | None = None
        self._vault = vault
        self._record = record
        self._declared = declared
        self._min_updates = min_updates
        self._exchanges: dict[int, Exchange] = {}
        self._numbers = 0
        self._courier.on(
            Reply, lambda sender, reply: node.env.process(self._receive(sender, reply))
        )

    # ---- a training round -----------------------------------------------------------------------

    def train(
        self, number: int, work: Mapping[NodeId, Assignment], deadline_us: int | None
    ) -> Process:
        """Open a round, run its orders, and return the accepted replies by hospital.

        The returned mapping is empty when the round is void.
        """
        env = self.node.env
        base_root = root_of(next(iter(work.values())).model)
        if self.ledger is not None:
            start_us = env.now
            body: dict[str, Value] = {
                "round": number,
                "base_root": base_root,
                "eligible": sorted(work),
            }
            yield from self._must(self.ledger, "task.open", body)
            self._record(PhaseEnded(env.now, number, self.node.id, "consensus", start_us))
        deadline = -1 if deadline_us is None else env.now + deadline_us
        self._record(RoundOpened(env.now, number, len(work), base_root.hex()[:8], deadline))
        exchange: Exchange = yield from self.exchange(number, work, deadline_us)
        hospitals = sorted(exchange.replies)
        void = len(hospitals) < self._min_updates
        self.open_round = TrainingRound(
            number=number,
            base_root=base_root,
            openings=[] if void else [_opening(exchange, h) for h in hospitals],
            rejected=len(exchange.refusals),
            late=len(exchange.expected) - len(hospitals) - len(exchange.refusals),
        )
        return {} if void else {h: exchange.replies[h] for h in hospitals}

    def close(self, model: bytes) -> Process:
        """Close the round with the model that the strategy made of its replies."""
        current = self.open_round
        assert current is not None, "close is called once after each training round"
        env, start_us, out_root = self.node.env, self.node.env.now, root_of(model)
        self.open_round = None
        if self.ledger is not None:
            if self._vault is not None:
                self._vault.put(model)
            body: dict[str, Value] = {
                "round": current.number,
                "openings": current.openings,
                "out_root": out_root,
                "out_cid": cid_of(model),
            }
            yield from self._must(self.ledger, "task.aggregate", body)
            self._record(PhaseEnded(env.now, current.number, self.node.id, "aggregate", start_us))
        accepted = len(current.openings)
        outcome = "aggregated" if accepted else "void"
        self._record(
            RoundClosed(
                env.now, current.number, accepted, current.rejected, current.late,
                outcome, out_root.hex()[:8],
            )
        )  # fmt: skip

    def _must(
        self, ledger: LedgerService, kind: str, body: Mapping[str, Value]
    ) -> Generator[simpy.Event, Any, None]:
        executed: Executed = yield from ledger.submit(kind, body)
        if not executed.accepted:
            raise ProtocolError(
                f"the ledger refused {kind} at height {executed.height}: {executed.code}; "
                "the server app must hand on the model that the last round ended with"
            )

    # ---- one exchange of orders and replies -----------------------------------------------------

    def exchange(
        self, number: int, work: Mapping[NodeId, Assignment], deadline_us: int | None
    ) -> Process:
        """Send every hospital its order; return the `Exchange` when all answered or time is up."""
        env = self.node.env
        self._numbers += 1
        trains = is_training(next(iter(work.values())).category)
        exchange = Exchange(self._numbers, trains, frozenset(work), env.event())
        self._exchanges[exchange.number] = exchange
        # Hospitals whose assignment is the same object share one message: one broadcast.
        shared: dict[int, list[NodeId]] = {}
        for hospital in sorted(work):
            shared.setdefault(id(work[hospital]), []).append(hospital)
        for hospitals in shared.values():
            content = work[hospitals[0]]
            order = Order(
                exchange.number, number, content.category, content.model, content.instructions,
                env.now,
            )  # fmt: skip
            self._courier.broadcast(hospitals, order)
        awaited = [exchange.done]
        if deadline_us is not None:
            awaited.append(env.timeout(deadline_us))
        yield env.any_of(awaited)
        exchange.closed = True
        self._courier.forget(Order.kind, exchange.number)
        return exchange

    def _receive(self, sender: NodeId, reply: Reply) -> Process:
        exchange = self._exchanges.get(reply.number)
        if exchange is None or sender != reply.hospital or sender not in exchange.expected:
            return
        if reply.refused:
            verdict = Verdict(False, reply.refused)
        elif exchange.trains:
            self._record(
                PhaseEnded(self.node.env.now, reply.round, sender, "upload", reply.sent_us)
            )
            verdict = Verdict(True, "unchecked")
            if self.ledger is not None:
                verdict = yield from self._check(self.ledger, reply)
        else:
            verdict = Verdict(True, "answered")
        if exchange.closed:
            self._record(UpdateLate(self.node.env.now, reply.round, sender))
        else:
            exchange.settle(sender, reply, verdict)

    def _check(self, ledger: LedgerService, reply: Reply) -> Generator[simpy.Event, Any, Verdict]:
        copy = ledger.copy

        def committed() -> bool:
            state = read_round(copy, reply.round)
            return state is not None and (reply.hospital in state.commits or state.status != "open")

        yield ledger.when(committed)
        state = read_round(copy, reply.round)
        verdict = check_update(reply, state, copy.genesis.chain_id, task_name(copy), self._declared)
        if verdict.accepted and self._vault is not None:
            self._vault.put(reply.model)
        self._record(
            UpdateChecked(
                self.node.env.now, reply.round, reply.hospital, self.node.id,
                verdict.accepted, verdict.reason,
            )
        )  # fmt: skip
        return verdict


def _opening(exchange: Exchange, hospital: NodeId) -> Value:
    reply = exchange.replies[hospital]
    return {
        "hospital": hospital,
        "update_root": root_of(reply.model),
        "salt": reply.salt,
        "cid": cid_of(reply.model),
    }
