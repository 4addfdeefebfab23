"""The typed events of a run: what happened, to whom, at which virtual microsecond.

Every event is a frozen dataclass of integers, strings, booleans and floats, so that it has one JSON
line. The order of the lines is the order in which things happened; their digest identifies the run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened. ``t_us`` is virtual time since the start of the run."""

    event: ClassVar[str]
    t_us: int


# ---- consensus and ledger -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Decided(Event):
    """A replica's consensus core has decided a batch."""

    event: ClassVar[str] = "decided"
    replica: int
    seq: int
    view: int
    digest: str
    requests: int
    proposer: int


@dataclass(frozen=True, slots=True)
class Reported(Event):
    """A consensus core reports something of note (prepared, new view, evidence, …)."""

    event: ClassVar[str] = "reported"
    replica: int
    what: str
    view: int
    seq: int
    detail: str


@dataclass(frozen=True, slots=True)
class BlockAppended(Event):
    """A ledger copy has executed a decision and appended its block."""

    event: ClassVar[str] = "block_appended"
    node: int
    height: int
    header: str
    state_root: str
    transactions: int


@dataclass(frozen=True, slots=True)
class BlockCertified(Event):
    """A ledger copy holds a quorum certificate for a block."""

    event: ClassVar[str] = "block_certified"
    node: int
    height: int
    signers: int


@dataclass(frozen=True, slots=True)
class TransactionSubmitted(Event):
    """A node hands a signed transaction to consensus."""

    event: ClassVar[str] = "transaction_submitted"
    node: int
    kind: str
    tx: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class TransactionExecuted(Event):
    """The submitter's own ledger copy has executed its transaction."""

    event: ClassVar[str] = "transaction_executed"
    node: int
    kind: str
    tx: str
    height: int
    accepted: bool
    code: str
    latency_us: int


# ---- the federated round ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RoundOpened(Event):
    """The coordinator sends the base model of a round to its hospitals."""

    event: ClassVar[str] = "round_opened"
    round: int
    hospitals: int
    base_root: str
    deadline_us: int


@dataclass(frozen=True, slots=True)
class PhaseEnded(Event):
    """One phase of a hospital's round is over; the phases of a round tile its time."""

    event: ClassVar[str] = "phase_ended"
    round: int
    hospital: int
    phase: str
    start_us: int


@dataclass(frozen=True, slots=True)
class Trained(Event):
    """A hospital has finished local training."""

    event: ClassVar[str] = "trained"
    round: int
    hospital: int
    root: str
    weight: float


@dataclass(frozen=True, slots=True)
class Attacked(Event):
    """A node has strayed from the protocol, as the configuration makes it."""

    event: ClassVar[str] = "attacked"
    round: int
    node: int
    kind: str
    detail: str
    """What it did, where the kind does not say it all: the root of a forged update, a code."""


@dataclass(frozen=True, slots=True)
class Suspected(Event):
    """An accepted update looks wrong beside the others of its round; no proof."""

    event: ClassVar[str] = "suspected"
    round: int
    hospital: int
    test: str
    score: float


@dataclass(frozen=True, slots=True)
class UpdateChecked(Event):
    """A node has held an update's bytes against the commitment on its own ledger copy."""

    event: ClassVar[str] = "update_checked"
    round: int
    hospital: int
    by: int
    accepted: bool
    reason: str


@dataclass(frozen=True, slots=True)
class ObjectLost(Event):
    """A node's vault no longer has an update's object, or not as its address says."""

    event: ClassVar[str] = "object_lost"
    round: int
    hospital: int
    node: int
    cid: str
    problem: str


@dataclass(frozen=True, slots=True)
class ObjectFetched(Event):
    """A node has an update's object from another holder; ``restored`` when it had it before."""

    event: ClassVar[str] = "object_fetched"
    round: int
    hospital: int
    node: int
    holder: int
    cid: str
    restored: bool


@dataclass(frozen=True, slots=True)
class ObjectRefused(Event):
    """A node has refused what a holder handed out: not the bytes at the ledger's address."""

    event: ClassVar[str] = "object_refused"
    round: int
    hospital: int
    node: int
    holder: int
    reason: str


@dataclass(frozen=True, slots=True)
class EpochBegan(Event):
    """On a node's copy, members have changed: from a height on, others certify the blocks."""

    event: ClassVar[str] = "epoch_began"
    node: int
    epoch: int
    since: int
    """The first height of the epoch."""
    replicas: int
    votes: bool
    """Whether the node is one of them."""


@dataclass(frozen=True, slots=True)
class UpdateLate(Event):
    """A reply came after the round's deadline and was not used."""

    event: ClassVar[str] = "update_late"
    round: int
    hospital: int


@dataclass(frozen=True, slots=True)
class ModelRefused(Event):
    """A hospital has refused to train on, or to accept, a model that its ledger does not back."""

    event: ClassVar[str] = "model_refused"
    round: int
    hospital: int
    reason: str


@dataclass(frozen=True, slots=True)
class AggregateRefused(Event):
    """The ledger has refused the coordinator's aggregate: inputs or result are wrong."""

    event: ClassVar[str] = "aggregate_refused"
    round: int
    reason: str


@dataclass(frozen=True, slots=True)
class RoundClosed(Event):
    """A round has ended with an aggregate, or void when too few updates were left."""

    event: ClassVar[str] = "round_closed"
    round: int
    accepted: int
    rejected: int
    late: int
    outcome: str
    out_root: str


@dataclass(frozen=True, slots=True)
class PrivacySpent(Event):
    """A hospital's accountant after a round: the whole history's ε, never a sum of rounds."""

    event: ClassVar[str] = "privacy_spent"
    round: int
    hospital: int
    epsilon: float
    delta: float
    sigma: float
    sampling_rate: float
    steps: int


@dataclass(frozen=True, slots=True)
class Measured(Event):
    """The observer has measured a model; measurement takes no virtual time and no bandwidth."""

    event: ClassVar[str] = "measured"
    round: int
    scope: str
    metric: str
    value: float


EVENTS: dict[str, type[Event]] = {kind.event: kind for kind in Event.__subclasses__()}
"""Every type of event by its name in the trace."""
