"""PBFT's own properties, checked from outside: votes, certificates, views, water marks.

The observer counts what honest replicas really sent. A certificate needs a quorum, of which at most
the Byzantine replicas can be liars; so behind every COMMIT of an honest replica there must be
enough honest PREPAREs, behind every decision enough honest COMMITs, behind every stable checkpoint
enough honest CHECKPOINTs. This catches a wrong count long before two replicas disagree.
"""

from __future__ import annotations

from typing import Any

from simulation.base.digest import Digest, short
from simulation.base.ids import ReplicaId
from simulation.consensus.invariants import Invariants
from simulation.consensus.pbft.messages import (
    Checkpoint,
    Commit,
    NewView,
    Prepare,
    PrePrepare,
    StableCheckpoint,
    ViewChange,
)
from simulation.consensus.pbft.params import PbftParams
from simulation.consensus.protocol import Decide, Report
from simulation.consensus.quorum import byzantine_quorum

Slot = tuple[int, int]
"""View and sequence number."""


class PbftInvariants(Invariants):
    """Watches the messages of honest replicas as well as their decisions."""

    def __init__(self, n: int, honest: frozenset[ReplicaId], params: PbftParams) -> None:
        super().__init__(n, honest)
        quorum = byzantine_quorum(n, params.quorum)
        self._liars = n - len(honest)
        self._needed = quorum.size - self._liars
        """Honest votes behind any certificate."""
        self._window = params.window
        self._interval = params.checkpoint_interval
        self._votes: dict[tuple[str, ReplicaId, int, int], Digest] = {}
        self._prepared: dict[tuple[int, int, Digest], set[ReplicaId]] = {}
        self._committed: dict[int, dict[tuple[int, Digest], set[ReplicaId]]] = {}
        self._certified: dict[Slot, tuple[ReplicaId, Digest]] = {}
        self._checkpoints: dict[tuple[int, Digest, Digest], set[ReplicaId]] = {}
        self._view: list[int] = [0] * n
        self._stable: list[int] = [0] * n
        self._reached: list[int] = [0] * n

    def on_send(self, replica: ReplicaId, message: Any, now_us: int) -> None:
        """An honest replica sends a message."""
        match message:
            case PrePrepare(view, seq, digest):
                if view % self.n != replica:
                    self.violate("single-vote", replica, now_us, f"proposes in view {view}")
                self._vote("pre-prepare", replica, view, seq, digest, now_us)
                self._prepared.setdefault((view, seq, digest), set()).add(replica)
            case Prepare(view, seq, digest):
                self._vote("prepare", replica, view, seq, digest, now_us)
                self._prepared.setdefault((view, seq, digest), set()).add(replica)
            case Commit(view, seq, digest):
                self._vote("commit", replica, view, seq, digest, now_us)
                self._on_commit(replica, view, seq, digest, now_us)
            case Checkpoint(seq, history, state):
                self._checkpoints.setdefault((seq, history, state), set()).add(replica)
            case ViewChange(view, low, stable):
                self._enter(replica, view, now_us)
                if low > 0:
                    self._on_certificate(replica, stable, low, now_us)
            case NewView(view):
                if view % self.n == replica:
                    self._enter(replica, view, now_us)
                    for a in message.assignments:
                        self._prepared.setdefault((view, a.seq, a.digest), set()).add(replica)
            case StableCheckpoint(proof):
                self._on_certificate(replica, proof, proof[0].seq, now_us)
            case _:
                pass

    def _vote(
        self, phase: str, replica: ReplicaId, view: int, seq: int, digest: Digest, now_us: int
    ) -> None:
        """At most one vote per view, number and phase; none in a view that was left."""
        earlier = self._votes.setdefault((phase, replica, view, seq), digest)
        if earlier != digest:
            what = f"{phase} {short(digest)} after {short(earlier)} at {view}/{seq}"
            self.violate("single-vote", replica, now_us, what)
        self._enter(replica, view, now_us)
        low = self._stable[replica]
        if not low < seq <= low + self._window:
            self.violate("water-marks", replica, now_us, f"{phase} at {seq}, stable is {low}")

    def _enter(self, replica: ReplicaId, view: int, now_us: int) -> None:
        if view < self._view[replica]:
            left = self._view[replica]
            self.violate("monotone-view", replica, now_us, f"acts in {view} after {left}")
        self._view[replica] = max(view, self._view[replica])

    def _on_commit(
        self, replica: ReplicaId, view: int, seq: int, digest: Digest, now_us: int
    ) -> None:
        first, other = self._certified.setdefault((view, seq), (replica, digest))
        if other != digest:
            self.violate(
                "certificate",
                replica,
                now_us,
                f"prepared {short(digest)} at {view}/{seq}, replica {first} {short(other)}",
            )
        behind = len(self._prepared.get((view, seq, digest), ()))
        if behind < self._needed:
            what = f"COMMIT at {view}/{seq} on {behind} honest PREPAREs, needs {self._needed}"
            self.violate("certificate", replica, now_us, what)
        self._committed.setdefault(seq, {}).setdefault((view, digest), set()).add(replica)

    def on_decide(self, replica: ReplicaId, decision: Decide, now_us: int) -> None:
        """A decision needs a commit certificate somewhere."""
        super().on_decide(replica, decision, now_us)
        votes = self._committed.get(decision.seq, {})
        best = max((len(senders) for senders in votes.values()), default=0)
        if best < self._needed:
            what = f"{decision.seq} decided on {best} honest COMMITs, needs {self._needed}"
            self.violate("certificate", replica, now_us, what)

    def on_report(self, replica: ReplicaId, report: Report, now_us: int) -> None:
        """An honest replica says that its low water mark has moved."""
        seq = report.seq
        if report.what == "new-view":
            # §4.4: the new view starts from the newest checkpoint in V, executed here or not.
            self._stable[replica] = max(seq, self._stable[replica])
        if report.what != "stable-checkpoint":
            return
        if seq <= self._reached[replica] or seq % self._interval:
            self.violate("water-marks", replica, now_us, f"stable {seq} after a later one")
        self._reached[replica] = seq
        self._stable[replica] = max(seq, self._stable[replica])
        behind = max((len(s) for (n, _, _), s in self._checkpoints.items() if n == seq), default=0)
        if behind < self._needed:
            what = f"stable {seq} on {behind} honest CHECKPOINTs, needs {self._needed}"
            self.violate("certificate", replica, now_us, what)

    def _on_certificate(
        self, replica: ReplicaId, proof: tuple[Checkpoint, ...], seq: int, now_us: int
    ) -> None:
        signers = {vote.signed_by for vote in proof if vote.seq == seq}
        if len(signers) < self._needed + self._liars:
            what = f"checkpoint certificate for {seq} with {len(signers)} signers"
            self.violate("certificate", replica, now_us, what)


def observe(n: int, honest: frozenset[ReplicaId], params: PbftParams) -> PbftInvariants:
    """The observer of a PBFT group."""
    return PbftInvariants(n, honest, params)
