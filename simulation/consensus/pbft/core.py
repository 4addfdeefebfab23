"""The state that all layers of a PBFT replica share, and how they emit effects."""

from __future__ import annotations

from typing import Any

from simulation.base.digest import DIGEST_BYTES, Digest, Tag, tagged_hash
from simulation.base.ids import NodeId, ReplicaId
from simulation.base.units import us_from_ms
from simulation.consensus.clients import Batcher, ExactlyOnce
from simulation.consensus.pbft.log import Instance
from simulation.consensus.pbft.messages import Checkpoint, PbftMessage
from simulation.consensus.pbft.params import MIN_REPLICAS, PbftParams, too_few
from simulation.consensus.protocol import Batch, Broadcast, Decide, Effect, Report, Request, Send
from simulation.consensus.quorum import Quorum, byzantine_quorum
from simulation.consensus.signing import Signer

GENESIS_HISTORY: Digest = bytes(DIGEST_BYTES)
"""The history before the first decision."""


class Core:
    """State of one replica; §4.2 to §4.4 name its parts."""

    def __init__(self, replica: ReplicaId, n: int, params: PbftParams) -> None:
        if n < MIN_REPLICAS:
            raise ValueError(f"replicas: {too_few(n)}")
        self.id = replica
        self.n = n
        self.params = params
        self.quorum: Quorum = byzantine_quorum(n, params.quorum)
        self.signer = Signer(replica)
        self.now_us = 0
        self.view = 0
        self.active = True
        """Whether the replica takes part in its view; False while it changes views (§4.4)."""
        self.next_seq = 1
        """The primary's next sequence number."""
        self.executed = 0
        """The last sequence number decided here: all up to it are."""
        self.history = GENESIS_HISTORY
        """Hash chain over the decided batches."""
        self.marks: dict[int, Digest] = {}
        """The history at checkpoints whose state digest the application still owes."""
        self.low = 0
        """Low water mark h: the last stable checkpoint (§4.3)."""
        self.log: dict[int, Instance] = {}
        self.checkpoints: dict[int, dict[ReplicaId, Checkpoint]] = {}
        """CHECKPOINTs received above the low mark, by sequence number and sender."""
        self.stable_proof: tuple[Checkpoint, ...] = ()
        """The certificate of the last stable checkpoint; empty for the initial state."""
        self.done = ExactlyOnce()
        self.waiting: dict[tuple[NodeId, int], Request] = {}
        """Known requests that are not executed yet, oldest first: what the timer of §4.4 is for."""
        self.assigned: set[tuple[NodeId, int]] = set()
        """Requests in batches that the primary has proposed in this view and not yet decided."""
        self.batcher = Batcher(
            params.batch_max_requests, params.batch_max_bytes, us_from_ms(params.batch_max_age_ms)
        )
        self.out: list[Effect[Any]] = []
        self._quorum_size = self.quorum.size
        self._skew_us = us_from_ms(params.clock_skew_ms)

    @property
    def high(self) -> int:
        """High water mark H = h + L (§4.3)."""
        return self.low + self.params.window

    @property
    def leader(self) -> ReplicaId:
        """The primary of this replica's view: p = v mod n (§4)."""
        return self.view % self.n

    def emit(self, effect: Effect[Any]) -> None:
        """Add an effect to those that the current input returns."""
        self.out.append(effect)

    def send(self, to: ReplicaId, message: PbftMessage) -> None:
        """Send to one other replica."""
        self.out.append(Send(to, message))

    def broadcast(self, message: PbftMessage) -> None:
        """Send to all other replicas."""
        self.out.append(Broadcast(message))

    def report(self, what: str, seq: int, detail: str = "") -> None:
        """Record something of note."""
        self.out.append(Report(what, self.view, seq, detail))

    def instance(self, seq: int) -> Instance:
        """The log entry of a sequence number, made when it is missing."""
        entry = self.log.get(seq)
        if entry is None:
            entry = self.log[seq] = Instance()
        return entry

    def decide(self, seq: int, view: int, batch: Batch) -> None:
        """Emit the next decision, without requests executed before (§4.1: exactly once)."""
        fresh = self.done.execute(batch)
        self.executed = seq
        self.history = extend_history(self.history, fresh)
        if seq % self.params.checkpoint_interval == 0:
            self.marks[seq] = self.history
        self.out.append(Decide(seq, view, fresh, view % self.n))


def extend_history(history: Digest, batch: Batch) -> Digest:
    """The history after one more decided batch."""
    return tagged_hash(Tag.BATCH, history, batch.digest)
