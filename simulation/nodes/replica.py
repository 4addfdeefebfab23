"""The host of one consensus core: feeds it inputs and performs its effects, in order.

The core is a state machine without wires, clocks or disks; this is where they are. Every step of
the core is a job on its node's processor, so proposals and timers wait their turn as messages do.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, assert_never

from simulation.base.digest import Digest, short
from simulation.base.ids import NodeId, ReplicaId
from simulation.consensus.byzantine import Twins
from simulation.consensus.protocol import (
    Absorbing,
    Batch,
    Broadcast,
    CancelTimer,
    Decide,
    Effect,
    Executed,
    Input,
    Load,
    Loaded,
    Propose,
    Replica,
    Report,
    Request,
    Restarted,
    Restorable,
    Send,
    SetTimer,
    TimerFired,
    TimerKey,
)
from simulation.network.parcel import Parcel
from simulation.nodes.node import Node
from simulation.nodes.timers import Timers
from simulation.trace.events import Decided, Event, Reported

FastReceive = Callable[[NodeId, Any, int], Sequence[Effect[Any]]]
"""`simulation.consensus.protocol.FastReplica.receive`, for cores that have it."""


class ReplicaHost:
    """One replica of the consensus protocol on its node.

    Args:
        node: where it lives; its number is the replica's.
        core: the protocol.
        peers: all replicas; a broadcast goes to every one but itself, in this order.
        messages: the protocol's message types.
        execute: called with each decision in order; returns the digest of the state after it.
        record: takes the events for the trace.
        build: makes a fresh core, for a recovery after loss of memory.
        watch: sees every effect before it is performed; see `simulation.nodes.properties`.
    """

    def __init__(
        self,
        node: Node,
        core: Replica[Any],
        peers: Sequence[ReplicaId],
        messages: Sequence[type],
        execute: Callable[[Decide], Digest],
        record: Callable[[Event], None],
        build: Callable[[], Replica[Any]] | None = None,
        watch: Callable[[Effect[Any]], None] | None = None,
    ) -> None:
        self._watch = watch
        self.node = node
        self.core = core
        self._build = build
        self._durable: object = None
        self.timers = Timers(node.env, self._timer_ran_out)
        self._others = tuple(peer for peer in peers if peer != node.id)
        self._execute = execute
        self._record = record
        self._pending: deque[Input[Any]] = deque()
        self.journal: list[Batch] = []
        """Every decided batch, from sequence number 1 on: as durable as the ledger."""
        self._fast: FastReceive | None = None
        self.install(core)
        for message_type in messages:
            node.on_parcel(message_type, self._receive)

    @property
    def leader(self) -> ReplicaId:
        """Who, as far as this replica knows, proposes next."""
        return self.core.leader

    def propose(self, request: Request) -> None:
        """Have a request of this node ordered."""
        self.node.run(0, self._step, Propose(request))

    # ---- faults -------------------------------------------------------------------------------

    def install(self, core: Replica[Any]) -> None:
        """Run this core from now on, e.g. one that lies."""
        self.core = core
        self._fast = getattr(core, "receive", None)
        if isinstance(core, Absorbing):
            self.node.look_ahead(core.absorb, core.give_back)
        else:
            self.node.look_ahead(None, None)

    @property
    def honest_core(self) -> Replica[Any]:
        """The core inside a lying one, or the first of twins."""
        return getattr(self.core, "core", self.core)

    def double(self, n: int, peers: frozenset[ReplicaId]) -> None:
        """Run two copies of this core from now on; ``peers`` of n replicas talk to the second.

        Raises:
            ValueError: when the protocol keeps nothing durable, so that there is nothing to copy.
        """
        first = self.honest_core
        second = None if self._build is None else self._build()
        if not isinstance(first, Restorable) or not isinstance(second, Restorable):
            raise ValueError("twins: this protocol keeps nothing durable; it cannot be doubled")
        second.restore(first.durable())
        self.install(Twins((first, second), n, lambda peer: int(peer in peers)))
        self.stir()

    def crash(self, lose_memory: bool = False) -> None:
        """Stop the replica and its node at once. The journal survives.

        With loss of memory, only what the core had made durable is there when it recovers.

        Raises:
            ValueError: when memory is lost and the protocol keeps nothing durable.
        """
        self.node.rewind()
        core = self.honest_core
        self._durable = None
        if lose_memory:
            if self._build is None or not isinstance(core, Restorable):
                raise ValueError("memory: this protocol cannot lose its memory; use memory: kept")
            self._durable = core.durable()
        self.node.crash()
        self.timers.clear()
        self._pending.clear()

    def recover(self) -> None:
        """Bring node and replica back; the core is told, and asks the others for what it missed."""
        self.node.recover()
        if self._durable is not None:
            assert self._build is not None
            core = self._build()
            assert isinstance(core, Restorable)
            core.restore(self._durable)
            self.install(core)
        self.node.run(0, self._step, Restarted())

    def stir(self) -> None:
        """Tell the core that it has missed messages, as after a crash: it asks the others."""
        self.node.run(0, self._restart)

    def _restart(self, _: object) -> None:
        self.timers.clear()
        self._step(Restarted())

    # ---- inputs -------------------------------------------------------------------------------

    def _receive(self, parcel: Parcel) -> None:
        now_us = self.node.env.now
        if self._fast is not None:
            effects = self._fast(parcel.sender, parcel.message, now_us)
        else:
            effects = self.core.step(parcel.received, now_us)
        if effects:
            self._perform(effects)

    def _timer_ran_out(self, key: TimerKey, ticket: int) -> None:
        self.node.run(0, self._fire, (key, ticket))

    def _fire(self, timer: tuple[TimerKey, int]) -> None:
        # The core may have cancelled or restarted it while this job was waiting.
        if self.timers.take(*timer):
            self._step(TimerFired(timer[0]))

    def _step(self, event: Input[Any]) -> None:
        effects = self.core.step(event, self.node.env.now)
        if effects:
            self._perform(effects)

    # ---- effects ------------------------------------------------------------------------------

    def _perform(self, effects: Sequence[Effect[Any]]) -> None:
        """Perform effects, then what follows from them, until nothing does."""
        pending, watch = self._pending, self._watch
        while True:
            for effect in effects:
                if watch is not None:
                    watch(effect)
                self._perform_one(effect)
            if not pending:
                return
            effects = self.core.step(pending.popleft(), self.node.env.now)

    def _perform_one(self, effect: Effect[Any]) -> None:
        match effect:
            case Broadcast(message):
                self.node.broadcast(self._others, message)
            case Send(to, message):
                self.node.send(to, message)
            case SetTimer(timer, delay_us):
                self.timers.set(timer, delay_us)
            case CancelTimer(timer):
                self.timers.cancel(timer)
            case Decide():
                self._decide(effect)
            case Load(first, last, token):
                found = tuple(self.journal[first - 1 : last])
                self._pending.append(Loaded(first, found, token))
            case Report(what, view, seq, detail):
                self._record(Reported(self.node.env.now, self.node.id, what, view, seq, detail))
            case _:
                assert_never(effect)

    def _decide(self, decision: Decide) -> None:
        node, batch = self.node, decision.batch
        self.journal.append(batch)
        self._record(
            Decided(
                node.env.now,
                node.id,
                decision.seq,
                decision.view,
                short(batch.digest),
                len(batch.requests),
                decision.proposer,
            )
        )
        node.charge(node.costs.executing_us(len(batch.requests)))
        self._pending.append(Executed(decision.seq, self._execute(decision)))
