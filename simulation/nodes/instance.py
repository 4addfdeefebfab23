"""One run of a consensus protocol among a fixed group: feeds a core inputs, performs its effects.

A core knows its group as replicas 0 to n − 1. The group's members are nodes under numbers of their
own, so this is also where positions become nodes and back. What a group after the first one sends
says which epoch it belongs to; nothing else about it differs.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, assert_never, cast

from simulation.base.digest import Digest, short
from simulation.base.ids import NodeId
from simulation.consensus.protocol import (
    Batch,
    Broadcast,
    CancelTimer,
    Decide,
    Effect,
    Executed,
    Input,
    Load,
    Loaded,
    Message,
    Receive,
    Replica,
    Report,
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
Execute = Callable[[Decide], Digest]
Record = Callable[[Event], None]
Watching = Callable[[Effect[Any]], None]


@dataclass(frozen=True, slots=True)
class InEpoch:
    """A message of a group after the first. Its epoch is part of the framing that any has."""

    kind: str
    epoch: int
    message: Message

    @property
    def size_bytes(self) -> int:
        return self.message.size_bytes

    @property
    def verifications(self) -> int:
        return self.message.verifications

    @property
    def hashed_bytes(self) -> int:
        return self.message.hashed_bytes


@dataclass(frozen=True, slots=True)
class Group:
    """Who takes part in one run of the protocol; a member's number there is its position."""

    epoch: int
    members: tuple[NodeId, ...]
    """Sorted."""

    @property
    def is_plain(self) -> bool:
        """Whether positions are node numbers, in the first epoch: then nothing is translated."""
        return self.epoch == 0 and self.members == tuple(range(len(self.members)))


class Instance:
    """One member's part in one run of the protocol.

    Args:
        node: whose.
        group: who takes part.
        execute: called with each decision in order; returns the digest of the state after it.
        record: takes the events for the trace; None when nobody reads it.
        watch: sees every effect before it is performed; see `simulation.nodes.properties`.
    """

    def __init__(
        self,
        node: Node,
        group: Group,
        core: Replica[Any],
        execute: Execute,
        record: Record | None,
        watch: Watching | None,
    ) -> None:
        self.node = node
        self.group = group
        self.core = core
        self.fast: FastReceive | None = getattr(core, "receive", None)
        self.is_over = False
        """Whether the epoch has ended here: what is decided now is void, but still voted for, so
        that members who are not that far get there."""
        self.is_dropped = False
        """Whether nobody needs this run any more, not even for its votes."""
        self.timers = Timers(node.env, self._timer_ran_out)
        self.journal: list[Batch] = []
        """Every decided batch, from sequence number 1 on: as durable as the ledger."""
        self._epoch = group.epoch
        self._plain = group.is_plain
        self._position = {member: i for i, member in enumerate(group.members)}
        self._others = tuple(member for member in group.members if member != node.id)
        self._execute = execute
        self._record = record
        self._watch = watch
        self._pending: deque[Input[Any]] = deque()

    # ---- inputs -------------------------------------------------------------------------------

    def receive(self, parcel: Parcel) -> None:
        """Feed the core a message of its group; others are not heard."""
        now_us = self.node.env.now
        if self._plain:
            if self.fast is not None:
                effects = self.fast(parcel.sender, parcel.message, now_us)
            else:
                effects = self.core.step(parcel.received, now_us)
        else:
            sender, message = self._position.get(parcel.sender), inner(parcel.message)
            if sender is None:
                return
            if self.fast is not None:
                effects = self.fast(sender, message, now_us)
            else:
                effects = self.core.step(Receive(sender, message), now_us)
        if effects:
            self._perform(effects)

    def step(self, event: Input[Any]) -> None:
        """Feed the core any other input."""
        effects = self.core.step(event, self.node.env.now)
        if effects:
            self._perform(effects)

    def absorb(self, sender: NodeId, message: Any) -> bool:
        """See `simulation.consensus.protocol.Absorbing`, for a group that is not plain."""
        position = self._position.get(sender)
        if position is None or not isinstance(message, InEpoch):
            return False
        if message.epoch != self.group.epoch:
            return False
        return cast(Any, self.core).absorb(position, message.message)

    def give_back(self, sender: NodeId, message: Any) -> None:
        """Undo the last `absorb`."""
        cast(Any, self.core).give_back(self._position[sender], message.message)

    def forget(self) -> None:
        """The node crashes: timers and inputs that wait are gone."""
        self.timers.clear()
        self._pending.clear()

    def _timer_ran_out(self, key: TimerKey, ticket: int) -> None:
        self.node.run(0, self._fire, (key, ticket))

    def _fire(self, timer: tuple[TimerKey, int]) -> None:
        # The core may have cancelled or restarted it while this job was waiting.
        if self.timers.take(*timer):
            self.step(TimerFired(timer[0]))

    # ---- effects ------------------------------------------------------------------------------

    def _perform(self, effects: Sequence[Effect[Any]]) -> None:
        """Perform effects, then what follows from them, until nothing does."""
        pending, watch = self._pending, self._watch
        while True:
            for effect in effects:
                if watch is not None:
                    watch(effect)
                self._perform_one(effect)
            if not pending or self.is_dropped:
                return
            effects = self.core.step(pending.popleft(), self.node.env.now)

    def _perform_one(self, effect: Effect[Any]) -> None:
        match effect:  # the frequent ones first
            case Broadcast():
                self.node.broadcast(self._others, self._outgoing(effect.message))
            case Report():
                if self._record is not None:
                    self._record(self._reported(effect))
            case SetTimer():
                self.timers.set(effect.timer, effect.delay_us)
            case CancelTimer():
                self.timers.cancel(effect.timer)
            case Decide():
                self._decide(effect)
            case Send():
                self.node.send(self._node(effect.to), self._outgoing(effect.message))
            case Load():
                self._pending.append(self._load(effect))
            case _:
                assert_never(effect)

    def _load(self, effect: Load) -> Loaded:
        found = tuple(self.journal[effect.first - 1 : effect.last])
        return Loaded(effect.first, found, effect.token)

    def _reported(self, effect: Report) -> Reported:
        now_us, node_id = self.node.env.now, self.node.id
        return Reported(now_us, node_id, effect.what, effect.view, effect.seq, effect.detail)

    def _decide(self, decision: Decide) -> None:
        node, batch = self.node, decision.batch
        self.journal.append(batch)
        if self.is_over:
            return
        proposer = self._node(decision.proposer)
        if self._record is not None:
            self._record(
                Decided(
                    node.env.now,
                    node.id,
                    decision.seq,
                    decision.view,
                    short(batch.digest),
                    len(batch.requests),
                    proposer,
                )
            )
        node.charge(node.costs.executing_us(len(batch.requests)))
        if proposer != decision.proposer:
            decision = dataclasses.replace(decision, proposer=proposer)
        self._pending.append(Executed(decision.seq, self._execute(decision)))

    def _node(self, position: int) -> NodeId:
        """The node at a position; a number beyond the group is a client's own."""
        if self._plain or not 0 <= position < len(self.group.members):
            return position
        return self.group.members[position]

    def _outgoing(self, message: Message) -> Message:
        if self._epoch == 0:
            return message
        return cast(Message, InEpoch(message.kind, self._epoch, message))


def inner(message: Any) -> Any:
    """What a group's core understands."""
    return message.message if isinstance(message, InEpoch) else message
