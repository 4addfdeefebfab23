"""The messages of chained HotStuff (Algorithm 3), and those that bring a replica up to date.

``signed_by`` is worked out once, when a message is made: the replica whose genuine signature covers
the content, or `NOBODY`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Union

from simulation.base.digest import DIGEST_BYTES, Digest
from simulation.base.ids import ReplicaId
from simulation.consensus.hotstuff.blocks import (
    Block,
    QuorumCert,
    TimeoutCert,
    new_view_statement,
    vote_statement,
)
from simulation.consensus.messages import RequestMessage
from simulation.consensus.protocol import HEADER_BYTES, SIGNATURE_BYTES, Batch
from simulation.consensus.signing import NOBODY, UNSIGNED, Signature, Signer, signer_of


@dataclass(frozen=True, slots=True)
class Proposal:
    """GENERIC from the leader (Algorithm 3): a block with its parent's certificate."""

    kind: ClassVar[str] = "proposal"

    block: Block
    timeout: TimeoutCert | None = None
    """Why this round may follow the parent's, when rounds between them were given up."""
    signature: Signature = UNSIGNED
    signed_by: ReplicaId = field(init=False, repr=False, compare=False, default=NOBODY)

    def __post_init__(self) -> None:
        signer = NOBODY
        if self.block.sound:
            signer = signer_of(self.signature, ("proposal", self.block.digest))
        object.__setattr__(self, "signed_by", signer)

    @property
    def size_bytes(self) -> int:
        """The block, a signature and the reason."""
        reason = self.timeout.size_bytes if self.timeout else 0
        return self.block.size_bytes + SIGNATURE_BYTES + reason

    @property
    def verifications(self) -> int:
        """The leader's signature and those in the certificates."""
        return 1 + len(self.block.justify.votes) + (len(self.timeout.votes) if self.timeout else 0)

    @property
    def hashed_bytes(self) -> int:
        """The batch."""
        return self.block.batch.size_bytes


@dataclass(frozen=True, slots=True)
class Vote:
    """GENERIC from a replica (Algorithm 3): its vote, to the leader of the next round only."""

    kind: ClassVar[str] = "vote"
    size_bytes = HEADER_BYTES + DIGEST_BYTES + SIGNATURE_BYTES
    verifications = 1
    hashed_bytes = 0

    round: int
    digest: Digest
    signature: Signature = UNSIGNED
    signed_by: ReplicaId = field(init=False, repr=False, compare=False, default=NOBODY)

    def __post_init__(self) -> None:
        statement = vote_statement(self.round, self.digest)
        object.__setattr__(self, "signed_by", signer_of(self.signature, statement))


@dataclass(frozen=True, slots=True)
class NewView:
    """NEW-VIEW (§4.1): the sender gives up the views before ``view``; its highest certificate."""

    kind: ClassVar[str] = "new-view"
    hashed_bytes = 0

    view: int
    high: QuorumCert
    signature: Signature = UNSIGNED
    signed_by: ReplicaId = field(init=False, repr=False, compare=False, default=NOBODY)

    def __post_init__(self) -> None:
        statement = new_view_statement(self.view)
        object.__setattr__(self, "signed_by", signer_of(self.signature, statement))

    @property
    def verifications(self) -> int:
        """The sender's signature and those in the certificate."""
        return 1 + len(self.high.votes)

    @property
    def size_bytes(self) -> int:
        """Framing, a signature and the certificate."""
        return HEADER_BYTES + SIGNATURE_BYTES + self.high.size_bytes


@dataclass(frozen=True, slots=True)
class Sync:
    """What proves the sender's round, for a replica that is behind."""

    kind: ClassVar[str] = "sync"
    hashed_bytes = 0

    high: QuorumCert
    proposal: Proposal | None
    """The last proposal that the sender has seen."""
    timeout: TimeoutCert | None
    """The certificate with which it entered its view."""

    @property
    def verifications(self) -> int:
        """All signatures in it."""
        inside = self.proposal.verifications if self.proposal else 0
        return len(self.high.votes) + inside + (len(self.timeout.votes) if self.timeout else 0)

    @property
    def size_bytes(self) -> int:
        """All of it."""
        inside = self.proposal.size_bytes if self.proposal else 0
        reason = self.timeout.size_bytes if self.timeout else 0
        return HEADER_BYTES + self.high.size_bytes + inside + reason


@dataclass(frozen=True, slots=True)
class FetchBlocks:
    """The sender lacks the certified block ``digest``, and all between it and ``above``."""

    kind: ClassVar[str] = "fetch-blocks"
    size_bytes = HEADER_BYTES + DIGEST_BYTES + 8 + SIGNATURE_BYTES
    verifications = 1
    hashed_bytes = 0

    digest: Digest
    above: int
    """The round of the sender's last committed block."""


@dataclass(frozen=True, slots=True)
class Blocks:
    """Blocks that were asked for, oldest first; each is checked by the digest in the next."""

    kind: ClassVar[str] = "blocks"

    blocks: tuple[Block, ...]

    @property
    def size_bytes(self) -> int:
        """The blocks."""
        return HEADER_BYTES + sum(block.size_bytes for block in self.blocks)

    @property
    def verifications(self) -> int:
        """The votes in their certificates."""
        return sum(len(block.justify.votes) for block in self.blocks)

    @property
    def hashed_bytes(self) -> int:
        """Their batches."""
        return sum(block.batch.size_bytes for block in self.blocks)


@dataclass(frozen=True, slots=True)
class CommitProof:
    """Three blocks in successive rounds and the certificate of the last: the first is committed.

    For a replica so far behind that the blocks between are gone: it gets the batches up to the
    first one's ``seq`` from a journal, and checks them against its ``history``.
    """

    kind: ClassVar[str] = "commit-proof"

    blocks: tuple[Block, ...]
    certificate: QuorumCert

    @property
    def size_bytes(self) -> int:
        """The blocks and the certificate."""
        inside = sum(block.size_bytes for block in self.blocks)
        return HEADER_BYTES + inside + self.certificate.size_bytes

    @property
    def verifications(self) -> int:
        """All votes."""
        inside = sum(len(block.justify.votes) for block in self.blocks)
        return inside + len(self.certificate.votes)

    @property
    def hashed_bytes(self) -> int:
        """The batches in the blocks."""
        return sum(block.batch.size_bytes for block in self.blocks)


@dataclass(frozen=True, slots=True)
class FetchState:
    """The sender lacks the decided batches ``first`` to ``last``."""

    kind: ClassVar[str] = "fetch-state"
    size_bytes = HEADER_BYTES + 16 + SIGNATURE_BYTES
    verifications = 1
    hashed_bytes = 0

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class State:
    """Decided batches from sequence number ``first`` on; checked before they are executed."""

    kind: ClassVar[str] = "state"
    verifications = 1

    first: int
    batches: tuple[Batch, ...]

    @property
    def size_bytes(self) -> int:
        """Framing, a signature and the batches."""
        return HEADER_BYTES + SIGNATURE_BYTES + sum(batch.size_bytes for batch in self.batches)

    @property
    def hashed_bytes(self) -> int:
        """All of them."""
        return sum(batch.size_bytes for batch in self.batches)


HotStuffMessage = Union[
    RequestMessage,
    Proposal,
    Vote,
    NewView,
    Sync,
    FetchBlocks,
    Blocks,
    CommitProof,
    FetchState,
    State,
]

MESSAGES: tuple[type, ...] = (
    RequestMessage,
    Proposal,
    Vote,
    NewView,
    Sync,
    FetchBlocks,
    Blocks,
    CommitProof,
    FetchState,
    State,
)


def proposal(signer: Signer, block: Block, timeout: TimeoutCert | None) -> Proposal:
    """A signed proposal."""
    return Proposal(block, timeout, signer.sign(("proposal", block.digest)))


def vote(signer: Signer, block: Block) -> Vote:
    """A signed vote for a block."""
    signature = signer.sign(vote_statement(block.round, block.digest))
    return Vote(block.round, block.digest, signature)


def new_view(signer: Signer, view: int, high: QuorumCert) -> NewView:
    """A signed NEW-VIEW."""
    return NewView(view, high, signer.sign(new_view_statement(view)))
