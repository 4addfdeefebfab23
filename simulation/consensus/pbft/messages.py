"""The messages of PBFT, in the order in which the paper introduces them.

Each is a frozen dataclass. ``signed_by`` is worked out once, when the message is made: the replica
whose genuine signature covers the content, or `NOBODY`. A receiver compares it with the sender, so
that what it keeps can stand in a certificate later.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Union

from simulation.base.digest import DIGEST_BYTES, Digest
from simulation.base.ids import ReplicaId
from simulation.consensus.protocol import (
    HEADER_BYTES,
    SIGNATURE_BYTES,
    Batch,
    Request,
    is_well_formed,
)
from simulation.consensus.signing import NOBODY, UNSIGNED, Signature, Signer, signer_of

VOTE_BYTES = HEADER_BYTES + DIGEST_BYTES + SIGNATURE_BYTES


@dataclass(frozen=True, slots=True)
class RequestMessage:
    """A client's request on its way to the primary, or to all when retransmitted (§4.1)."""

    kind: ClassVar[str] = "request"
    verifications = 1

    request: Request

    @property
    def size_bytes(self) -> int:
        """The request with its framing."""
        return self.request.size_bytes

    @property
    def hashed_bytes(self) -> int:
        """The payload: the client's signature is over its hash."""
        return len(self.request.payload)


@dataclass(frozen=True, slots=True)
class PrePrepare:
    """⟨PRE-PREPARE, v, n, d⟩ with the batch piggybacked (§4.2): the primary's proposal."""

    kind: ClassVar[str] = "pre-prepare"
    verifications = 1

    view: int
    seq: int
    digest: Digest
    batch: Batch = field(repr=False)
    signature: Signature = UNSIGNED
    signed_by: ReplicaId = field(init=False, repr=False, compare=False, default=NOBODY)
    payload_ok: bool = field(init=False, repr=False, compare=False, default=False)
    """The batch is well formed and hashes to the digest."""

    def __post_init__(self) -> None:
        statement = pre_prepare_statement(self.view, self.seq, self.digest)
        object.__setattr__(self, "signed_by", signer_of(self.signature, statement))
        ok = is_well_formed(self.batch) and self.batch.digest == self.digest
        object.__setattr__(self, "payload_ok", ok)

    @property
    def size_bytes(self) -> int:
        """A vote and the batch."""
        return VOTE_BYTES + self.batch.size_bytes

    @property
    def hashed_bytes(self) -> int:
        """The whole batch: a backup hashes the payload before it votes."""
        return self.batch.size_bytes


@dataclass(frozen=True, slots=True)
class Prepare:
    """⟨PREPARE, v, n, d, i⟩ (§4.2): a backup agrees to the order within the view."""

    kind: ClassVar[str] = "prepare"
    size_bytes = VOTE_BYTES
    verifications = 1
    hashed_bytes = 0

    view: int
    seq: int
    digest: Digest
    signature: Signature = UNSIGNED
    signed_by: ReplicaId = field(init=False, repr=False, compare=False, default=NOBODY)

    def __post_init__(self) -> None:
        statement = ("prepare", self.view, self.seq, self.digest)
        object.__setattr__(self, "signed_by", signer_of(self.signature, statement))


@dataclass(frozen=True, slots=True)
class Commit:
    """⟨COMMIT, v, n, d, i⟩ (§4.2): the sender holds a prepared certificate."""

    kind: ClassVar[str] = "commit"
    size_bytes = VOTE_BYTES
    verifications = 1
    hashed_bytes = 0

    view: int
    seq: int
    digest: Digest
    signature: Signature = UNSIGNED
    signed_by: ReplicaId = field(init=False, repr=False, compare=False, default=NOBODY)

    def __post_init__(self) -> None:
        statement = ("commit", self.view, self.seq, self.digest)
        object.__setattr__(self, "signed_by", signer_of(self.signature, statement))


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """⟨CHECKPOINT, n, d, i⟩ (§4.3): the sender's state after executing sequence number n."""

    kind: ClassVar[str] = "checkpoint"
    size_bytes = VOTE_BYTES + DIGEST_BYTES
    verifications = 1
    hashed_bytes = 0

    seq: int
    history: Digest
    """Hash chain over the batches decided up to ``seq``: what state transfer is checked against."""
    state: Digest
    """The application's state digest after ``seq``."""
    signature: Signature = UNSIGNED
    signed_by: ReplicaId = field(init=False, repr=False, compare=False, default=NOBODY)

    def __post_init__(self) -> None:
        statement = ("checkpoint", self.seq, self.history, self.state)
        object.__setattr__(self, "signed_by", signer_of(self.signature, statement))


PbftMessage = Union[RequestMessage, PrePrepare, Prepare, Commit, Checkpoint]

MESSAGES: tuple[type, ...] = (RequestMessage, PrePrepare, Prepare, Commit, Checkpoint)


def pre_prepare_statement(view: int, seq: int, digest: Digest) -> tuple[str, int, int, Digest]:
    """What a primary signs when it assigns ``seq`` to ``digest`` in ``view``."""
    return ("pre-prepare", view, seq, digest)


def pre_prepare(signer: Signer, view: int, seq: int, batch: Batch) -> PrePrepare:
    """A signed PRE-PREPARE."""
    digest = batch.digest
    statement = pre_prepare_statement(view, seq, digest)
    return PrePrepare(view, seq, digest, batch, signer.sign(statement))


def prepare(signer: Signer, view: int, seq: int, digest: Digest) -> Prepare:
    """A signed PREPARE."""
    return Prepare(view, seq, digest, signer.sign(("prepare", view, seq, digest)))


def commit(signer: Signer, view: int, seq: int, digest: Digest) -> Commit:
    """A signed COMMIT."""
    return Commit(view, seq, digest, signer.sign(("commit", view, seq, digest)))


def checkpoint(signer: Signer, seq: int, history: Digest, state: Digest) -> Checkpoint:
    """A signed CHECKPOINT."""
    return Checkpoint(seq, history, state, signer.sign(("checkpoint", seq, history, state)))
