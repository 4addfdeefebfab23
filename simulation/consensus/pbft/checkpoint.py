"""Garbage collection (§4.3): checkpoints, stable certificates, water marks, log truncation."""

from __future__ import annotations

from simulation.base.digest import Digest
from simulation.base.ids import NodeId
from simulation.consensus.pbft.messages import Checkpoint, checkpoint
from simulation.consensus.pbft.normal import NormalCase

Claim = tuple[Digest, Digest]
"""History and state digest that a CHECKPOINT claims."""


class Checkpoints(NormalCase):
    """Layer 3: proofs that the state is right, so that the log may be cut behind it."""

    def on_executed(self, seq: int, state: Digest) -> None:
        """The application has executed ``seq``; every K-th one is a checkpoint (§4.3)."""
        history = self.marks.pop(seq, None)
        if history is None:
            return
        message = checkpoint(self.signer, seq, history, state)
        self.broadcast(message)
        self._count_checkpoint(self.id, message)

    def on_checkpoint(self, sender: NodeId, message: Checkpoint) -> None:
        """§4.3: count a CHECKPOINT of another replica."""
        if message.signed_by == sender:
            self._count_checkpoint(sender, message)

    def _count_checkpoint(self, sender: NodeId, message: Checkpoint) -> None:
        if message.seq <= self.low or message.seq % self.params.checkpoint_interval:
            return
        votes = self.checkpoints.setdefault(message.seq, {})
        if sender in votes:
            return
        votes[sender] = message
        self.check_stable(message.seq)

    def check_stable(self, seq: int) -> None:
        """§4.3: a quorum of equal CHECKPOINTs is a stable one; the low mark follows execution."""
        votes = self.checkpoints.get(seq)
        if votes is None or seq > self.executed:
            return
        claims: dict[Claim, list[Checkpoint]] = {}
        for vote in votes.values():
            claims.setdefault((vote.history, vote.state), []).append(vote)
        proof = max(claims.values(), key=len)
        if len(proof) < self._quorum_size:
            return
        self.low = seq
        self.stable_proof = tuple(proof)
        for old in [s for s in self.log if s <= seq]:
            del self.log[old]
        for old in [s for s in self.checkpoints if s <= seq]:
            del self.checkpoints[old]
        self.report("stable-checkpoint", seq)
        self.propose_batches()
