"""Blocks and the certificates that hold them together (§4.2, §5).

A quorum certificate is a list of modelled signatures where the paper has one threshold signature:
the votes are as unforgeable, and their number is charged in bytes and processor time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from simulation.base.digest import DIGEST_BYTES, Digest, Tag, tagged_hash
from simulation.base.ids import ReplicaId
from simulation.consensus.protocol import (
    HEADER_BYTES,
    NULL_BATCH,
    SIGNATURE_BYTES,
    Batch,
    RequestKey,
    is_well_formed,
)
from simulation.consensus.signing import Signature, Statement

_MAX = 2**62
_NUMBER_BYTES = 8

Checked = dict[tuple[int, int], bool]
"""A certificate's verdict by (n, quorum): the same at every receiver, so worked out once."""


@dataclass(frozen=True)
class QuorumCert:
    """QC (§4.2): a quorum has voted for the block ``digest`` in ``round``."""

    round: int
    digest: Digest
    votes: tuple[Signature, ...] = field(repr=False)
    checked: Checked = field(init=False, repr=False, compare=False, default_factory=Checked)

    def proves(self, n: int, quorum: int) -> bool:
        """Whether so many different replicas of n have signed; the genesis needs nobody."""
        known = self.checked.get((n, quorum))
        if known is None:
            statement = vote_statement(self.round, self.digest)
            signers = {vote.replica for vote in self.votes if vote.signs(statement)}
            known = (self.round, self.digest) == (0, GENESIS.digest)
            known = known or (
                0 < self.round < _MAX and sum(0 <= signer < n for signer in signers) >= quorum
            )
            self.checked[n, quorum] = known
        return known

    @property
    def size_bytes(self) -> int:
        """Round, digest and the votes."""
        return _NUMBER_BYTES + DIGEST_BYTES + SIGNATURE_BYTES * len(self.votes)


@dataclass(frozen=True)
class TimeoutCert:
    """A quorum has given up all views before ``view``: what lets its leader start it."""

    view: int
    votes: tuple[tuple[int, Signature], ...] = field(repr=False)
    """Signatures under NEW-VIEWs for this view or a later one, each with that view."""
    checked: Checked = field(init=False, repr=False, compare=False, default_factory=Checked)

    def proves(self, n: int, quorum: int) -> bool:
        """Whether so many different replicas of n have signed."""
        known = self.checked.get((n, quorum))
        if known is None:
            signers = {
                vote.replica
                for view, vote in self.votes
                if view >= self.view and vote.signs(new_view_statement(view))
            }
            known = 0 < self.view < _MAX and sum(0 <= signer < n for signer in signers) >= quorum
            self.checked[n, quorum] = known
        return known

    @property
    def size_bytes(self) -> int:
        """The view and the votes."""
        return _NUMBER_BYTES + (_NUMBER_BYTES + SIGNATURE_BYTES) * len(self.votes)


@dataclass(frozen=True)
class Block:
    """A node of the tree (§5): a batch, and the certificate of the block that it extends."""

    round: int
    """The paper's view number: each round has one leader and at most one certified block."""
    view: int
    """How many leaders were given up on the way here: `Batch.view`."""
    seq: int
    """How many blocks of the chain up to this one carry a batch: the number of its decision."""
    history: Digest
    """Hash chain over those batches: what state transfer is checked against."""
    batch: Batch = field(repr=False)
    """Empty in a block that only carries a certificate on."""
    justify: QuorumCert
    """The certificate of the parent."""

    @cached_property
    def digest(self) -> Digest:
        """Identifies the block and, through its parent's, all before it."""
        head = b"%d/%d/%d/%d/" % (self.round, self.view, self.seq, self.justify.round)
        return tagged_hash(
            Tag.BATCH, b"hotstuff", head, self.history, self.justify.digest, self.batch.digest
        )

    @cached_property
    def sound(self) -> bool:
        """Every number fits its encoding, and the round is after the parent's."""
        return (
            self.justify.round < self.round < _MAX
            and 0 <= self.view < _MAX
            and 0 <= self.seq < _MAX
            and is_well_formed(self.batch)
        )

    @property
    def keys(self) -> frozenset[RequestKey]:
        """The requests in it."""
        return self.batch.keys

    @property
    def size_bytes(self) -> int:
        """Framing, numbers, history, batch and certificate."""
        numbers = 3 * _NUMBER_BYTES + DIGEST_BYTES
        return HEADER_BYTES + numbers + self.batch.size_bytes + self.justify.size_bytes

    def follows(self, parent: Block) -> bool:
        """Whether it is the parent's child in the very next round."""
        return self.round == parent.round + 1


def extend_history(history: Digest, batch: Batch) -> Digest:
    """The history after one more batch."""
    return tagged_hash(Tag.BATCH, history, batch.digest)


def vote_statement(round_: int, digest: Digest) -> Statement:
    """What a vote signs."""
    return ("vote", round_, digest)


def new_view_statement(view: int) -> Statement:
    """What a NEW-VIEW signs."""
    return ("new-view", view)


def signers_of(certificate: QuorumCert) -> list[ReplicaId]:
    """Who has signed, in order."""
    return sorted({vote.replica for vote in certificate.votes})


_NOWHERE: Digest = bytes(DIGEST_BYTES)
GENESIS = Block(0, 0, 0, _NOWHERE, NULL_BATCH, QuorumCert(-1, _NOWHERE, ()))
"""The block before the first: decided from the start."""
GENESIS_QC = QuorumCert(0, GENESIS.digest, ())
"""Its certificate."""
