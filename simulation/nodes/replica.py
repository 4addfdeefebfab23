"""The host of a node's consensus cores: one for each epoch that the node votes in.

The core is a state machine without wires, clocks or disks; this is where they are. Every step of
the core is a job on its node's processor, so proposals and timers wait their turn as messages do.

The replica set changes between two blocks, and no protocol knows of it: the block that ends an
epoch stops the run of the protocol that ordered it, and the voters of the next epoch start a fresh
one, among themselves, from sequence number 1. Whatever an old run decides after the block is void
and is proposed again. So every protocol can be reconfigured, none has a case for it, and a proof
about a fixed group holds within each epoch. A run that has ended stays alive, voting but executing
nothing, until the block that ended it is certified, which takes a quorum that has executed it:
until then a member that is behind may need its votes.

Source: Lamport, Malkhi & Zhou, "Reconfiguring a State Machine", SIGACT News 41(1), 2010 (a sequence
of stoppable machines, each in a fixed configuration).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from simulation.base.digest import Digest
from simulation.base.ids import NodeId, ReplicaId
from simulation.consensus.byzantine import Twins
from simulation.consensus.protocol import (
    Absorbing,
    Batch,
    Decide,
    Propose,
    Replica,
    Request,
    Restarted,
    Restorable,
)
from simulation.network.parcel import Parcel
from simulation.nodes.instance import Execute, Group, InEpoch, Instance, Record, Watching
from simulation.nodes.node import Node

MAX_EARLY = 1 << 14
"""So many messages of epochs that this node has not reached are kept."""
Disguise = Callable[[Replica[Any], int], Replica[Any]]
"""Makes a lying core out of an honest one and the size of its group."""


class ReplicaHost:
    """What a node runs of the consensus protocol.

    Args:
        node: where it lives.
        core: its core in the first epoch; None for a node that does not vote then.
        peers: the voters of the first epoch.
        messages: the protocol's message types.
        execute: called with each decision in order; returns the digest of the state after it.
        record: takes the events for the trace; None when nobody reads it.
        build: makes a fresh core, for a recovery after loss of memory.
        watch: sees every effect before it is performed; see `simulation.nodes.properties`.
    """

    def __init__(
        self,
        node: Node,
        core: Replica[Any] | None,
        peers: Sequence[ReplicaId],
        messages: Sequence[type],
        execute: Callable[[Decide], Digest],
        record: Record | None,
        build: Callable[[], Replica[Any]] | None = None,
        watch: Watching | None = None,
    ) -> None:
        self.node = node
        self._record = record
        self._build = build
        self._disguise: Disguise | None = None
        self._durable: object = None
        self._current: Instance | None = None
        self._retired: Instance | None = None
        self._early: dict[int, list[Parcel]] = {}
        if core is not None:
            group = Group(0, tuple(peers))
            self._current = Instance(node, group, core, execute, record, watch)
            self.install(core)
        for message_type in messages:
            node.on_parcel(message_type, self._receive_first)
        node.on_parcel(InEpoch, self._receive_later)

    @property
    def votes(self) -> bool:
        """Whether the node is a replica now."""
        return self._current is not None

    @property
    def core(self) -> Replica[Any]:
        """The core of the current epoch."""
        assert self._current is not None, "asked of replicas only"
        return self._current.core

    @property
    def group(self) -> Group:
        """Who votes in the current epoch."""
        assert self._current is not None, "asked of replicas only"
        return self._current.group

    @property
    def journal(self) -> list[Batch]:
        """Every batch decided in the current epoch."""
        return [] if self._current is None else self._current.journal

    @property
    def leader(self) -> ReplicaId:
        """Who, as far as this replica knows, proposes next."""
        return self.core.leader

    def propose(self, request: Request) -> None:
        """Have a request of this node ordered."""
        self.node.run(0, self._step, Propose(request))

    # ---- epochs ---------------------------------------------------------------------------------

    def begin(
        self,
        group: Group,
        build: Callable[[], Replica[Any]],
        execute: Execute,
        watch: Watching | None,
    ) -> None:
        """Start the run of an epoch, in place of the last one."""
        self.end()
        self._build = build
        core = build()
        self._current = Instance(self.node, group, core, execute, self._record, watch)
        self.install(core if self._disguise is None else self._disguise(core, len(group.members)))
        early = self._early.pop(group.epoch, [])
        self._early = {epoch: kept for epoch, kept in self._early.items() if epoch > group.epoch}
        for parcel in early:
            self.node.run(0, self._receive_later, parcel)

    def end(self) -> None:
        """The epoch has ended: execute nothing more of it, but go on voting until `retire`."""
        if self._current is not None:
            self._current.is_over = True
            self._retired, self._current = self._current, None
            self.node.look_ahead(None, None)

    def retire(self) -> None:
        """Nobody needs the run of the last epoch any more."""
        if self._retired is not None:
            # It may be in the middle of a step, whose inputs that wait are nobody's concern now.
            self._retired.is_dropped = True
            self._retired.forget()
            self._retired = None

    # ---- faults -------------------------------------------------------------------------------

    def install(self, core: Replica[Any]) -> None:
        """Run this core from now on, e.g. one that lies."""
        current = self._current
        assert current is not None, "only a replica has a core"
        current.core = core
        current.fast = getattr(core, "receive", None)
        if not isinstance(core, Absorbing):
            self.node.look_ahead(None, None)
        elif current.group.is_plain:
            self.node.look_ahead(core.absorb, core.give_back)
        else:
            self.node.look_ahead(current.absorb, current.give_back)

    def disguise(self, make: Disguise | None) -> None:
        """Lie from now on, in later epochs too; None for honest again."""
        self._disguise = make
        if self._current is not None:
            honest = self.honest_core
            self.install(honest if make is None else make(honest, len(self.group.members)))

    @property
    def honest_core(self) -> Replica[Any]:
        """The core inside a lying one, or the first of twins."""
        return getattr(self.core, "core", self.core)

    def double(self, peers: frozenset[NodeId]) -> None:
        """Run two copies of this core from now on; of the others, ``peers`` talk to the second.

        Raises:
            ValueError: when the protocol keeps nothing durable, so that there is nothing to copy.
        """
        first = self.honest_core
        second = None if self._build is None else self._build()
        if not isinstance(first, Restorable) or not isinstance(second, Restorable):
            raise ValueError("twins: this protocol keeps nothing durable; it cannot be doubled")
        second.restore(first.durable())
        members = self.group.members
        side = [int(member in peers) for member in members]
        self.install(Twins((first, second), len(members), side.__getitem__))
        self.stir()

    def crash(self, lose_memory: bool = False) -> None:
        """Stop the replica and its node at once. The journal survives.

        With loss of memory, only what the core had made durable is there when it recovers.

        Raises:
            ValueError: when memory is lost and the protocol keeps nothing durable.
        """
        self.node.rewind()
        self._durable = None
        if lose_memory:
            self.retire()
            if self._current is not None:
                core = self.honest_core
                if self._build is None or not isinstance(core, Restorable):
                    raise ValueError(
                        "memory: this protocol cannot lose its memory; use memory: kept"
                    )
                self._durable = core.durable()
        self.node.crash()
        for instance in (self._current, self._retired):
            if instance is not None:
                instance.forget()
        self._early.clear()

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
        if self._retired is not None:
            self.node.run(0, self._retired.step, Restarted())

    def stir(self) -> None:
        """Tell the core that it has missed messages, as after a crash: it asks the others."""
        self.node.run(0, self._restart)

    def _restart(self, _: object) -> None:
        if self._current is not None:
            self._current.timers.clear()
            self._step(Restarted())

    # ---- inputs -------------------------------------------------------------------------------

    def _receive_first(self, parcel: Parcel) -> None:
        """A message of the first epoch."""
        current = self._current
        if current is not None and current.group.epoch == 0:
            current.receive(parcel)
        else:
            self._receive_retired(parcel, 0)

    def _receive_later(self, parcel: Parcel) -> None:
        """A message of another epoch."""
        message = parcel.message
        assert isinstance(message, InEpoch), "the handler of these"
        current, latest = self._current, self._current or self._retired
        if current is not None and message.epoch == current.group.epoch:
            current.receive(parcel)
        elif latest is not None and message.epoch <= latest.group.epoch:
            self._receive_retired(parcel, message.epoch)
        elif sum(map(len, self._early.values())) < MAX_EARLY:
            self._early.setdefault(message.epoch, []).append(parcel)

    def _receive_retired(self, parcel: Parcel, epoch: int) -> None:
        if self._retired is not None and self._retired.group.epoch == epoch:
            self._retired.receive(parcel)

    def _step(self, event: Any) -> None:
        if self._current is not None:
            self._current.step(event)
