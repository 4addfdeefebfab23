"""Garbage collection (§4.3): checkpoints, stable certificates, water marks, log truncation."""

from __future__ import annotations

from collections.abc import Iterable

from simulation.base.compiled import mypyc_attr
from simulation.base.digest import Digest
from simulation.base.ids import NodeId, ReplicaId
from simulation.consensus.pbft.messages import Checkpoint, checkpoint
from simulation.consensus.pbft.normal import NormalCase

Claim = tuple[int, Digest, Digest]
"""What a CHECKPOINT claims: sequence number, history, state digest."""

KEPT_PER_SENDER = 4
"""CHECKPOINTs kept for each sender, the newest: a bound on what a liar can make us remember."""


@mypyc_attr(allow_interpreted_subclasses=True)
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

    def _count_checkpoint(self, sender: ReplicaId, message: Checkpoint) -> None:
        if message.seq <= self.low or message.seq % self.params.checkpoint_interval:
            return
        mine = self.checkpoints.setdefault(sender, {})
        earlier = mine.get(message.seq)
        if earlier is not None:
            if claim_of(earlier) != claim_of(message):
                self.accuse(sender, earlier, message, message.seq)
            return
        mine[message.seq] = message
        if len(mine) > KEPT_PER_SENDER:
            del mine[min(mine)]
        votes = [sent[message.seq] for sent in self.checkpoints.values() if message.seq in sent]
        proof = tuple(vote for vote in votes if claim_of(vote) == claim_of(message))
        if len(proof) >= self._quorum_size:
            self.on_stable(proof)

    def on_stable(self, proof: tuple[Checkpoint, ...]) -> None:
        """§4.3: a quorum of equal CHECKPOINTs is a stable one; the low mark follows execution."""
        seq = proof[0].seq
        if seq <= self.low:
            return
        if seq > self.executed:
            self.fall_behind(proof)
            return
        self.low = seq
        self.stable_proof = proof
        mine = self.checkpoints.get(self.id, {}).get(seq)
        if mine is not None and claim_of(mine) != claim_of(proof[0]):
            # A quorum has another state: this replica's own copy has been damaged or altered.
            self.report("diverged", seq)
        self._truncate()
        self.report("stable-checkpoint", seq)
        self.propose_batches()

    def fall_behind(self, proof: tuple[Checkpoint, ...]) -> None:
        """Others have a stable checkpoint that this replica has not executed yet."""
        self.report("behind", proof[0].seq)

    def proves_stable(self, proof: tuple[Checkpoint, ...]) -> bool:
        """Whether these CHECKPOINTs make a certificate: a quorum of senders, one claim (§4.3)."""
        return (
            len(proof) > 0
            and all(claim_of(vote) == claim_of(proof[0]) for vote in proof)
            and self.signers(vote.signed_by for vote in proof) >= self._quorum_size
        )

    def signers(self, senders: Iterable[ReplicaId]) -> int:
        """How many different replicas of this group are among the senders."""
        return len({sender for sender in senders if 0 <= sender < self.n})

    def _truncate(self) -> None:
        """§4.3: discard everything at or below the low mark."""
        low = self.low
        for by_seq in (self.log, self.certificates, self.proofs):
            for old in [seq for seq in by_seq if seq <= low]:
                del by_seq[old]
        for digest in [d for d, (seq, _) in self.bodies.items() if seq <= low]:
            del self.bodies[digest]
        for sent in self.checkpoints.values():
            for old in [seq for seq in sent if seq <= low]:
                del sent[old]


def claim_of(message: Checkpoint) -> Claim:
    """What a CHECKPOINT claims."""
    return (message.seq, message.history, message.state)
