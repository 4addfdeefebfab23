"""Chained HotStuff with one rule removed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from simulation.base.digest import Digest
from simulation.base.ids import ReplicaId
from simulation.consensus.broken.variant import Broken
from simulation.consensus.hotstuff.blocks import Block, QuorumCert
from simulation.consensus.hotstuff.messages import CommitProof, Proposal
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


class SkipsRounds(HotStuffReplica):
    """A leader may begin its view whenever it likes, without the NEW-VIEWs of a quorum."""

    def may_start(self, message: Proposal) -> bool:
        return message.block.round > message.block.justify.round


class NewViewOnce(HotStuffReplica):
    """NEW-VIEW is sent once and never repeated."""

    def on_round_timer(self) -> None:
        if self.target <= self.view:
            super().on_round_timer()


class TransferUnverified(HotStuffReplica):
    """Fetched batches are executed whatever history they lead to."""

    def leads_to(self, batches: tuple[Batch, ...], history: Digest) -> bool:
        del batches, history
        return True


class ProofUnverified(HotStuffReplica):
    """Any three blocks are believed to be committed."""

    def is_commit_proof(self, message: CommitProof) -> bool:
        return len(message.blocks) == 3


class NeverDoubles(HotStuffReplica):
    """The timeout stays as it is."""

    def timeout_us(self) -> int:
        self.failures = 0
        return super().timeout_us()


class AnythingGoes(HotStuffReplica):
    """A batch may hold a request that was executed before."""

    def is_valid(self, block: Block) -> bool:
        del block
        return True


class NeverPrunes(HotStuffReplica):
    """Committed blocks are kept for ever."""

    def prune(self) -> None:
        pass


HOTSTUFF: dict[str, Broken] = {
    "quorum-too-small": Broken(QuorumTooSmall, ("certificate",)),
    "believes-certificates": Broken(BelievesCertificates, ("certificate",)),
    "votes-twice": Broken(VotesTwice, ("single-vote",)),
    "forgets-votes": Broken(ForgetsVotes, ("single-vote",)),
    "commits-one-chain": Broken(CommitsOneChain, ("liveness", "agreement")),
    "commits-two-chain": Broken(CommitsTwoChain, ("liveness", "agreement")),
    "ignores-gaps": Broken(IgnoresGaps, ("liveness", "agreement")),
    "block-unverified": Broken(BlockUnverified, ("liveness",)),
    "skips-rounds": Broken(SkipsRounds, ("liveness",)),
    "new-view-once": Broken(NewViewOnce, ("liveness",)),
    "transfer-unverified": Broken(TransferUnverified, ("agreement",)),
    "proof-unverified": Broken(ProofUnverified, ("liveness",)),
    "never-doubles": Broken(NeverDoubles, ("liveness",)),
    "anything-goes": Broken(AnythingGoes, ("exactly-once",)),
    "never-prunes": Broken(NeverPrunes, ("bounded-log",)),
}
"""The broken variants by name."""
