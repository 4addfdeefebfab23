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
from simulation.consensus.messages import RequestMessage
from simulation.consensus.protocol import (
    HEADER_BYTES,
    SIGNATURE_BYTES,
    Batch,
    is_well_formed,
)
from simulation.consensus.signing import NOBODY, UNSIGNED, Signature, Signer, signer_of

VOTE_BYTES = HEADER_BYTES + DIGEST_BYTES + SIGNATURE_BYTES


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


@dataclass(frozen=True, slots=True)
class PreparedProof:
    """One element of P (§4.4): a PRE-PREPARE without its batch, and PREPAREs that match it."""

    view: int
    seq: int
    digest: Digest
    signature: Signature
    """The primary's, under the PRE-PREPARE."""
    prepares: tuple[Prepare, ...]

    @property
    def size_bytes(self) -> int:
        """The votes."""
        return VOTE_BYTES * (1 + len(self.prepares))


@dataclass(frozen=True, slots=True)
class ViewChange:
    """⟨VIEW-CHANGE, v + 1, n, C, P, i⟩ (§4.4): the sender leaves its view for ``view``."""

    kind: ClassVar[str] = "view-change"
    hashed_bytes = 0

    view: int
    low: int
    """n: the sender's last stable checkpoint."""
    stable: tuple[Checkpoint, ...]
    """C: its certificate; empty for the initial state."""
    prepared: tuple[PreparedProof, ...]
    """P: what was prepared above ``low``, by sequence number."""
    signature: Signature = UNSIGNED
    signed_by: ReplicaId = field(init=False, repr=False, compare=False, default=NOBODY)
    checked: dict[tuple[int, int, int], bool] = field(
        init=False, repr=False, compare=False, default_factory=dict[tuple[int, int, int], bool]
    )
    """Cache of the certificate check by (n, quorum, window): it is the same at every receiver."""

    def __post_init__(self) -> None:
        statement = ("view-change", self.view, self.low, self.stable, self.prepared)
        object.__setattr__(self, "signed_by", signer_of(self.signature, statement))

    @property
    def verifications(self) -> int:
        """The sender's signature and those in C and P."""
        return 1 + len(self.stable) + sum(1 + len(p.prepares) for p in self.prepared)

    @property
    def size_bytes(self) -> int:
        """Itself, C and P."""
        return (
            VOTE_BYTES
            + sum(vote.size_bytes for vote in self.stable)
            + sum(proof.size_bytes for proof in self.prepared)
        )


@dataclass(frozen=True, slots=True)
class Assignment:
    """One element of O (§4.4): a PRE-PREPARE of the new view, without its batch."""

    seq: int
    digest: Digest
    signature: Signature


@dataclass(frozen=True, slots=True)
class NewView:
    """⟨NEW-VIEW, v + 1, V, O⟩ (§4.4): the new primary proves its right to start the view."""

    kind: ClassVar[str] = "new-view"
    hashed_bytes = 0

    view: int
    view_changes: tuple[ViewChange, ...]
    """V: a quorum of VIEW-CHANGEs for this view."""
    assignments: tuple[Assignment, ...]
    """O: one for every sequence number between the last stable checkpoint and the last prepared."""
    signature: Signature = UNSIGNED
    signed_by: ReplicaId = field(init=False, repr=False, compare=False, default=NOBODY)

    def __post_init__(self) -> None:
        statement = ("new-view", self.view, self.view_changes, self.assignments)
        object.__setattr__(self, "signed_by", signer_of(self.signature, statement))

    @property
    def verifications(self) -> int:
        """The sender's signature, those in V and those in O."""
        return 1 + sum(m.verifications for m in self.view_changes) + len(self.assignments)

    @property
    def size_bytes(self) -> int:
        """Itself, V and O."""
        own = VOTE_BYTES * (1 + len(self.assignments))
        return own + sum(m.size_bytes for m in self.view_changes)


@dataclass(frozen=True, slots=True)
class FetchBatch:
    """Asks for the batch behind a digest that a NEW-VIEW assigns (§4.4: requests travel apart)."""

    kind: ClassVar[str] = "fetch-batch"
    size_bytes = VOTE_BYTES
    verifications = 1
    hashed_bytes = 0

    digest: Digest


@dataclass(frozen=True, slots=True)
class BatchBody:
    """Answers FETCH-BATCH; the receiver checks the digest, so it needs no signature."""

    kind: ClassVar[str] = "batch-body"
    verifications = 0

    batch: Batch

    @property
    def size_bytes(self) -> int:
        """Framing and the batch."""
        return HEADER_BYTES + self.batch.size_bytes

    @property
    def hashed_bytes(self) -> int:
        """The whole batch."""
        return self.batch.size_bytes


@dataclass(frozen=True, slots=True)
class Status:
    """What the sender has, so that others send what it lacks (TOCS 2002, §5.2)."""

    kind: ClassVar[str] = "status"
    size_bytes = VOTE_BYTES
    verifications = 1
    hashed_bytes = 0

    view: int
    active: bool
    low: int
    executed: int


@dataclass(frozen=True, slots=True)
class Committed:
    """A decided batch with its commit certificate, for a replica that missed the votes."""

    kind: ClassVar[str] = "committed"

    seq: int
    batch: Batch
    commits: tuple[Commit, ...]

    @property
    def verifications(self) -> int:
        """Those of the certificate."""
        return len(self.commits)

    @property
    def size_bytes(self) -> int:
        """The batch and the votes."""
        return HEADER_BYTES + self.batch.size_bytes + VOTE_BYTES * len(self.commits)

    @property
    def hashed_bytes(self) -> int:
        """The whole batch."""
        return self.batch.size_bytes


@dataclass(frozen=True, slots=True)
class StableCheckpoint:
    """The certificate of the sender's last stable checkpoint, for a replica behind it."""

    kind: ClassVar[str] = "stable-checkpoint"
    hashed_bytes = 0

    proof: tuple[Checkpoint, ...]

    @property
    def verifications(self) -> int:
        """Those of the certificate."""
        return len(self.proof)

    @property
    def size_bytes(self) -> int:
        """The votes."""
        return HEADER_BYTES + sum(vote.size_bytes for vote in self.proof)


@dataclass(frozen=True, slots=True)
class FetchState:
    """Asks for the decided batches ``first`` to ``last`` (§4.4, end: what is missing is
    obtained from another replica).
    """

    kind: ClassVar[str] = "fetch-state"
    size_bytes = VOTE_BYTES
    verifications = 1
    hashed_bytes = 0

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class State:
    """Decided batches from ``first`` on; checked against a stable checkpoint before they count."""

    kind: ClassVar[str] = "state"
    verifications = 0

    first: int
    batches: tuple[Batch, ...]

    @property
    def size_bytes(self) -> int:
        """Framing and the batches."""
        return HEADER_BYTES + self.hashed_bytes

    @property
    def hashed_bytes(self) -> int:
        """All batches."""
        return sum(batch.size_bytes for batch in self.batches)


PbftMessage = Union[
    RequestMessage,
    PrePrepare,
    Prepare,
    Commit,
    Checkpoint,
    ViewChange,
    NewView,
    FetchBatch,
    BatchBody,
    Status,
    Committed,
    StableCheckpoint,
    FetchState,
    State,
]

MESSAGES: tuple[type, ...] = (
    RequestMessage,
    PrePrepare,
    Prepare,
    Commit,
    Checkpoint,
    ViewChange,
    NewView,
    FetchBatch,
    BatchBody,
    Status,
    Committed,
    StableCheckpoint,
    FetchState,
    State,
)


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


def view_change(
    signer: Signer,
    view: int,
    low: int,
    stable: tuple[Checkpoint, ...],
    prepared: tuple[PreparedProof, ...],
) -> ViewChange:
    """A signed VIEW-CHANGE."""
    statement = ("view-change", view, low, stable, prepared)
    return ViewChange(view, low, stable, prepared, signer.sign(statement))


def new_view(
    signer: Signer,
    view: int,
    view_changes: tuple[ViewChange, ...],
    digests: tuple[tuple[int, Digest], ...],
) -> NewView:
    """A signed NEW-VIEW whose O assigns these digests."""
    assignments = tuple(
        Assignment(seq, digest, signer.sign(pre_prepare_statement(view, seq, digest)))
        for seq, digest in digests
    )
    statement = ("new-view", view, view_changes, assignments)
    return NewView(view, view_changes, assignments, signer.sign(statement))
