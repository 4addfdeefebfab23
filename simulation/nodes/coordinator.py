"""The coordinator: it schedules and transports, and decides nothing.

Flower's server role in the simulated world. It opens a round on the ledger, sends the orders, ticks
when a deadline has passed, collects the updates that the ledger says are revealed, holds each
against its own ledger copy, and proposes the aggregate that the strategy has computed. Without a
ledger, and under ``hash_only``, the replies that are in at the deadline are those that count.

Source: the project's protocol, section 1 (trust) and section 3 (one round).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import simpy

from simulation.base.digest import Digest
from simulation.base.encoding import Value
from simulation.base.ids import NodeId
from simulation.contracts.aggregation import inputs_root
from simulation.contracts.parameters import parameters
from simulation.contracts.rounds import ENDED, OPEN, PROPOSED, SEALED, read_round, round_status
from simulation.nodes.conduct import HONEST_COORDINATOR, CoordinatorConduct
from simulation.nodes.courier import Courier
from simulation.nodes.delegate import Schedule
from simulation.nodes.exchange import Assignment, Exchange, Exchanges, Process
from simulation.nodes.instance import Record
from simulation.nodes.ledger_client import Executed
from simulation.nodes.ledger_service import LedgerService
from simulation.nodes.messages import Reply, SealedUpdate
from simulation.nodes.node import Node
from simulation.nodes.shelf import Shelf
from simulation.nodes.update_check import Verdict, root_of
from simulation.trace.events import (
    AggregateRefused,
    PhaseEnded,
    RoundClosed,
    RoundOpened,
    UpdateLate,
)
from simulation.vault.store import cid_of

Screen = Callable[[int, bytes, Mapping[NodeId, Reply]], None]
"""Looks at a round's base model and its accepted updates, which anybody can do who has them."""

LATE = ("too-late", "wrong-phase", "round-not-open")
"""What the ledger says to a commitment that comes after the seal."""


class ProtocolError(RuntimeError):
    """The ledger refused something that the coordinator has to be able to do."""


@dataclass(slots=True)
class TrainingRound:
    """The round in progress: what it started from and what it will be closed with."""

    number: int
    base_root: Digest
    used: tuple[NodeId, ...]
    """Hospitals whose updates the strategy was given."""
    rejected: int
    late: int


class Coordinator:
    """The transport between Flower's strategy and the hospitals, on the virtual clock.

    ``min_updates`` is the round's quorum: with fewer accepted updates at the deadline the round is
    void, the strategy gets nothing to average and the model stays as it was. ``screen`` is shown
    the accepted updates of every round.
    """

    def __init__(
        self,
        node: Node,
        record: Record,
        min_updates: int = 1,
        shelf: Shelf | None = None,
        conduct: CoordinatorConduct = HONEST_COORDINATOR,
        screen: Screen | None = None,
        courier: Courier | None = None,
    ) -> None:
        self.node = node
        self._courier = courier or Courier(node, repeats=False)
        self.ledger = None if shelf is None else shelf.ledger
        self.open_round: TrainingRound | None = None
        self._record = record
        self._conduct = conduct
        self._seals = False
        if shelf is not None:
            self._shelf = shelf
            self._seals = parameters(shelf.ledger.copy).protocol == "commit_reveal"
        self._screen = screen
        self.schedule: Schedule | None = None
        """What changes of membership are to come, if there are any."""
        self._min_updates = min_updates
        self.exchanges = Exchanges(node, self._courier, record)
        self._courier.on(Reply, self._receive)
        self._courier.on(
            SealedUpdate, lambda who, update: node.env.process(self._receive_sealed(who, update))
        )

    # ---- who takes part -------------------------------------------------------------------------

    def settle(self, number: int) -> Process:
        """Wait until every change of membership that is due before a round is carried out."""
        schedule, ledger = self.schedule, self.ledger
        if schedule and ledger is not None:
            yield ledger.when(lambda: schedule.is_settled(ledger.copy, number))

    def members(self, hospitals: int) -> Sequence[NodeId]:
        """The hospitals that may be asked now; all of them where membership does not change."""
        if self.schedule and self.ledger is not None:
            return self.schedule.members(self.ledger.copy)
        return range(hospitals)

    # ---- a training round -----------------------------------------------------------------------

    def train(
        self, number: int, work: Mapping[NodeId, Assignment], deadline_us: int | None
    ) -> Process:
        """Open a round, run its orders, and return the accepted replies by hospital.

        The returned mapping is empty when the round is void.
        """
        env = self.node.env
        base_root = root_of(next(iter(work.values())).model)
        if self.schedule:
            # Whoever chose the hospitals may have done so before they changed.
            yield from self.settle(number)
            members = set(self.members(len(work)))
            work = {hospital: order for hospital, order in work.items() if hospital in members}
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
        if self.ledger is not None and self._seals:
            return (yield from self._sealed_round(self.ledger, number, base_root, work))
        exchange: Exchange = yield from self.exchanges.run(number, work, deadline_us)
        void = len(exchange.replies) < self._min_updates
        replies = self._collected(number, work, exchange.replies)
        hospitals = sorted(replies)
        self.open_round = TrainingRound(
            number=number,
            base_root=base_root,
            used=() if void else tuple(hospitals),
            rejected=len(exchange.refusals),
            late=len(exchange.expected) - len(exchange.replies) - len(exchange.refusals),
        )
        return {} if void else {h: replies[h] for h in hospitals}

    def _collected(
        self, number: int, work: Mapping[NodeId, Assignment], replies: Mapping[NodeId, Reply]
    ) -> Mapping[NodeId, Reply]:
        """What the strategy is given of the accepted replies: all, by an honest coordinator."""
        base = next(iter(work.values())).model
        if self._screen is not None:
            self._screen(number, base, replies)
        return self._conduct.collect(number, base, replies)

    def _sealed_round(
        self,
        ledger: LedgerService,
        number: int,
        base_root: Digest,
        work: Mapping[NodeId, Assignment],
    ) -> Process:
        """Run a round whose commitments are sealed: the ledger says who is in it, and when."""
        exchange = self.exchanges.send(number, work)
        ticking = self.node.env.process(self._tick(ledger, number))
        waiting = (OPEN, SEALED)
        yield ledger.when(lambda: round_status(ledger.copy, number) not in waiting)
        self.exchanges.end(exchange)
        state = read_round(ledger.copy, number)
        assert state is not None, "the condition waited for holds"
        known = parameters(ledger.copy)
        openings = [state.openings[hospital] for hospital in sorted(state.openings)]
        void = len(openings) < known.least_updates
        replies: list[Reply] = []
        if not void:
            replies = yield from self._shelf.collect(state, openings)
        yield ticking
        rejected = len(state.declined) + len(state.withheld)
        self.open_round = TrainingRound(
            number=number,
            base_root=base_root,
            used=tuple(reply.hospital for reply in replies),
            rejected=rejected,
            late=len(work) - len(openings) - rejected,
        )
        return self._collected(number, work, {reply.hospital: reply for reply in replies})

    def _tick(self, ledger: LedgerService, number: int) -> Process:
        """End the phases of a round whose deadline has passed; any member could.

        A tick that comes too early by blocks is refused, but has made a block.
        """
        limits = parameters(ledger.copy).deadlines
        if limits is None:
            return
        env = self.node.env
        phases = ((OPEN, limits.commit_us, "seal"), (SEALED, limits.reveal_us, "close_reveal"))
        for word, duration_us, action in phases:
            state = read_round(ledger.copy, number)
            if state is None or state.status != word:
                continue
            over = ledger.when(lambda word=word: round_status(ledger.copy, number) != word)
            left_us = max(0, state.time_us + duration_us - env.now)
            yield env.any_of([over, env.timeout(left_us)])
            while round_status(ledger.copy, number) == word:
                yield from ledger.submit(f"task.{action}", {"round": number})

    def close(self, model: bytes) -> Process:
        """Close the round with the model that the strategy made of its replies.

        Raises:
            ProtocolError: when the ledger does not take it.
        """
        current = self.open_round
        assert current is not None, "close is called once after each training round"
        env, start_us, out_root = self.node.env, self.node.env.now, root_of(model)
        self.open_round = None
        if self.ledger is not None:
            sealed = yield from self._shelf.sealing.seal(current.number, model)
            if self._shelf.vault is not None:
                self._shelf.vault.put(sealed.data)
            state = read_round(self.ledger.copy, current.number)
            assert state is not None, "the round was opened"
            used = [row for row in state.inputs if row[0] in current.used]
            body: dict[str, Value] = {
                "round": current.number,
                "hospitals": [row[0] for row in used],
                "inputs_root": inputs_root(used),
                "out_root": out_root,
                "out_cid": cid_of(sealed.data),
            }
            yield from self._propose(self.ledger, current.number, body)
            self._record(PhaseEnded(env.now, current.number, self.node.id, "aggregate", start_us))
        accepted = len(current.used)
        outcome = "aggregated" if accepted else "void"
        self._record(
            RoundClosed(
                env.now, current.number, accepted, current.rejected, current.late,
                outcome, out_root.hex()[:8],
            )
        )  # fmt: skip

    def _propose(self, ledger: LedgerService, number: int, body: Mapping[str, Value]) -> Process:
        """Propose an aggregate and wait for the replicas' word on it."""
        first, code = self._conduct.aggregate(body), ""
        for proposal in [body] if first == body else [first, body]:
            executed: Executed = yield from ledger.submit("task.aggregate", proposal)
            if executed.accepted:
                yield ledger.when(lambda: round_status(ledger.copy, number) != PROPOSED)
            if round_status(ledger.copy, number) in ENDED:
                return
            code = executed.code if not executed.accepted else "wrong-aggregate"
            self._record(AggregateRefused(self.node.env.now, number, code))
        raise ProtocolError(
            f"the ledger refused the aggregate of round {number}: {code}; the server app must hand "
            "on what the task's rule makes of the revealed updates"
        )

    def _must(
        self, ledger: LedgerService, kind: str, body: Mapping[str, Value]
    ) -> Generator[simpy.Event, Any, None]:
        executed: Executed = yield from ledger.submit(kind, body)
        if not executed.accepted:
            raise ProtocolError(
                f"the ledger refused {kind} at height {executed.height}: {executed.code}; "
                "the server app must hand on the model that the last round ended with"
            )

    # ---- answers --------------------------------------------------------------------------------

    def _receive(self, sender: NodeId, reply: Reply) -> None:
        """Take an answer that needs no check: a refusal, a measurement, an update without ledger.

        Under a seal, who is in the round, the ledger says.
        """
        exchange = self.exchanges.find(sender, reply)
        if exchange is None:
            return
        if self._seals and exchange.trains:
            if reply.refused in LATE:
                self._record(UpdateLate(self.node.env.now, reply.round, sender))
            return
        if reply.refused:
            verdict = Verdict(False, reply.refused)
        elif not exchange.trains:
            verdict = Verdict(True, "answered")
        elif self.ledger is None:
            verdict = Verdict(True, "unchecked")
            self.exchanges.uploaded(reply)
        else:
            verdict = Verdict(False, "unsealed")
        self.exchanges.settle(exchange, sender, reply, verdict)

    def _receive_sealed(self, sender: NodeId, update: SealedUpdate) -> Process:
        """Check an update's bytes and keep them; without a seal, they are its answer."""
        exchange = self.exchanges.find(sender, update)
        if exchange is None or self.ledger is None or not exchange.trains:
            return
        if not self._seals:
            self.exchanges.uploaded(update)
        verdict, reply = yield from self._shelf.receive(update)
        if not self._seals:
            self.exchanges.settle(exchange, sender, reply, verdict)
