"""Chained HotStuff with one rule removed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from simulation.base.digest import Digest
from simulation.base.ids import ReplicaId
from simulation.consensus.broken.variant import Broken
from simulation.consensus.hotstuff.blocks import Block, QuorumCert
from simulation.consensus.hotstuff.messages import Proposal
from simulation.consensus.hotstuff.params import HotStuffParams
from simulation.consensus.hotstuff.replica import HotStuffReplica
from simulation.consensus.protocol import Batch


class QuorumTooSmall(HotStuffReplica):
    """One vote fewer than a quorum certifies."""

    def __init__(self, replica: ReplicaId, n: int, params: HotStuffParams) -> None:
        super().__init__(replica, n, params)
        self.quorum = replace(self.quorum, size=self.quorum.size - 1)


class BelievesCertificates(HotStuffReplica):
    """Certificates are not checked."""

    def proves(self, certificate: QuorumCert) -> bool:
        return certificate.round > -2


class VotesTwice(HotStuffReplica):
    """A replica votes for every proposal of its round."""

    def accept(self, sender: ReplicaId, message: Proposal) -> None:
        self.seen.pop(message.block.round, None)
        if message.block.round == self.voted_round:
            self.voted_round -= 1
        super().accept(sender, message)


class ForgetsVotes(HotStuffReplica):
    """What it has voted for is not durable."""

    def durable(self) -> dict[str, Any]:
        return {**super().durable(), "voted_round": 0, "proposed_round": 0, "round": 1}

    def restore(self, durable: Mapping[str, Any]) -> None:
        super().restore({**durable, "seen": {}})


class CommitsOneChain(HotStuffReplica):
    """A single certificate commits its block."""

    def triple(self, certificate: QuorumCert) -> tuple[Block, Block, Block] | None:
        block = self.block(certificate.digest)
        return None if block is None else (block, block, block)


class CommitsTwoChain(HotStuffReplica):
    """Two certified blocks in successive rounds commit the first."""

    def triple(self, certificate: QuorumCert) -> tuple[Block, Block, Block] | None:
        last = self.block(certificate.digest)
        first = last and self.block(last.justify.digest)
        if first is None or last is None:
            return None
        return (first, last, last) if last.follows(first) else None


class IgnoresGaps(HotStuffReplica):
    """Three certified blocks commit the first, whatever rounds lie between them."""

    def triple(self, certificate: QuorumCert) -> tuple[Block, Block, Block] | None:
        last = self.block(certificate.digest)
        middle = last and self.block(last.justify.digest)
        first = middle and self.block(middle.justify.digest)
        if first is None or middle is None or last is None:
            return None
        return first, middle, last


class BlockUnverified(HotStuffReplica):
    """A block may say of itself what it likes, its parent notwithstanding."""

    def is_child(self, block: Block, parent: Block) -> bool:
        del parent
        return block.sound


class TransferUnverified(HotStuffReplica):
    """Fetched batches are executed whatever history they lead to."""

    def leads_to(self, batches: tuple[Batch, ...], history: Digest) -> bool:
        del batches, history
        return True


HOTSTUFF: dict[str, Broken] = {
    "quorum-too-small": Broken(QuorumTooSmall, ("certificate",)),
    "believes-certificates": Broken(BelievesCertificates, ("certificate",)),
    "votes-twice": Broken(VotesTwice, ("single-vote",)),
    "forgets-votes": Broken(ForgetsVotes, ("single-vote",)),
    "commits-one-chain": Broken(CommitsOneChain, ("liveness", "agreement")),
    "commits-two-chain": Broken(CommitsTwoChain, ("liveness", "agreement")),
    "ignores-gaps": Broken(IgnoresGaps, ("liveness", "agreement")),
    "block-unverified": Broken(BlockUnverified, ("liveness",)),
    "transfer-unverified": Broken(TransferUnverified, ("agreement",)),
}
"""The broken variants by name."""
