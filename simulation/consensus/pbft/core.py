"""The state that all layers of a PBFT replica share."""

from __future__ import annotations

from functools import lru_cache

from simulation.base.compiled import mypyc_attr
from simulation.base.digest import DIGEST_BYTES, Digest, Tag, tagged_hash
from simulation.base.ids import ReplicaId
from simulation.consensus.machine import Machine
from simulation.consensus.pbft.log import Instance
from simulation.consensus.pbft.messages import Checkpoint, Commit, PbftMessage, PreparedProof
from simulation.consensus.pbft.params import MIN_REPLICAS, PbftParams, too_few
from simulation.consensus.protocol import (
    Batch,
    Decide,
    Report,
    Request,
    RequestKey,
)
from simulation.consensus.quorum import Quorum, byzantine_quorum
from simulation.consensus.signing import Signer

GENESIS_HISTORY: Digest = bytes(DIGEST_BYTES)
"""The history before the first decision."""


@mypyc_attr(allow_interpreted_subclasses=True)
class Core(Machine[PbftParams, PbftMessage]):
    """State of one replica; §4.2 to §4.4 name its parts."""

    def __init__(self, replica: ReplicaId, n: int, params: PbftParams) -> None:
        if n < MIN_REPLICAS:
            raise ValueError(f"replicas: {too_few(n)}")
        super().__init__(replica, n, params)
        self.quorum: Quorum = byzantine_quorum(n, params.quorum)
        self.signer = Signer(replica)
        self.view = 0
        self.active = True
        """Whether the replica takes part in its view; False while it changes views (§4.4)."""
        self.view_floor = 0
        """The last sequence number that the view's NEW-VIEW assigns: no PRE-PREPARE may touch those
        up to it (§4.4)."""
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
        self.checkpoints: dict[ReplicaId, dict[int, Checkpoint]] = {}
        """CHECKPOINTs above the low mark, by sender and sequence number."""
        self.stable_proof: tuple[Checkpoint, ...] = ()
        """The certificate of the last stable checkpoint; empty for the initial state."""
        self.certificates: dict[int, tuple[Batch, list[Commit]]] = {}
        """Decided batches above the low mark, each with the COMMITs that decided it."""
        self.bodies: dict[Digest, tuple[int, Batch]] = {}
        """Batches seen above the low mark, by digest, with the highest sequence number each had."""
        self.proofs: dict[int, PreparedProof] = {}
        """What was prepared in earlier views above the low mark: part of P (§4.4)."""
        self.evidence: dict[ReplicaId, tuple[PbftMessage, PbftMessage]] = {}
        """Two signed messages that contradict each other, for each replica caught with any."""
        self.settled_view = 0
        """The last view in which something was executed: timeouts double from there (§4.5.2)."""
        self.waiting: dict[RequestKey, Request] = {}
        """Known requests that are not executed yet, oldest first: what the timer of §4.4 is for."""
        self.assigned: set[RequestKey] = set()
        """Requests in batches that the primary has proposed in this view and not yet decided."""
        self._quorum_size = self.quorum.size

    @property
    def high(self) -> int:
        """High water mark H = h + L (§4.3)."""
        return self.low + self.params.window

    @property
    def leader(self) -> ReplicaId:
        """The primary of this replica's view: p = v mod n (§4)."""
        return self.view % self.n

    def accuse(self, culprit: ReplicaId, one: PbftMessage, other: PbftMessage, seq: int) -> None:
        """Keep two contradicting signed messages as evidence; report the first pair of each."""
        if culprit not in self.evidence:
            self.evidence[culprit] = (one, other)
            self.report("equivocation", seq, f"{one.kind} by replica {culprit}")

    def report(self, what: str, seq: int, detail: str = "") -> None:
        """Record something of note."""
        self.out.append(Report(what, self.view, seq, detail))

    def instance(self, seq: int) -> Instance:
        """The log entry of a sequence number, made when it is missing."""
        entry = self.log.get(seq)
        if entry is None:
            entry = self.log[seq] = Instance()
        return entry

    def keep_body(self, seq: int, batch: Batch) -> None:
        """Remember a batch by its digest until a checkpoint at or above ``seq`` is stable."""
        known = self.bodies.get(batch.digest)
        if known is None or known[0] < seq:
            self.bodies[batch.digest] = (seq, batch)

    def deliver(self, seq: int, batch: Batch) -> None:
        """Emit the next decision, without requests executed before (§4.1: exactly once)."""
        fresh = self.done.execute(batch)
        self.executed = seq
        # An old primary may learn of decisions that were made without it.
        self.next_seq = max(self.next_seq, seq + 1)
        self.history = extend_history(self.history, fresh)
        if seq % self.params.checkpoint_interval == 0:
            self.marks[seq] = self.history
        self.out.append(Decide(seq, fresh.view, fresh, fresh.proposer))


def extend_history(history: Digest, batch: Batch) -> Digest:
    """The history after one more decided batch."""
    return _chained(history, batch.digest)


@lru_cache(maxsize=256)
def _chained(history: Digest, batch: Digest) -> Digest:
    """The link of the hash chain, worked out once: all replicas ask for the same ones."""
    return tagged_hash(Tag.BATCH, history, batch)
