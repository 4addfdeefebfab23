"""The contract between a consensus protocol and its host.

A replica is a deterministic state machine: the host feeds it one input at a time and performs the
effects that it returns, in order. The same inputs give the same effects, so every test can be a
plain dialogue and every run can be replayed.

    inputs    Propose · Receive · TimerFired · Executed · Restarted · Loaded
    effects   Send · Broadcast · SetTimer · CancelTimer · Decide · Report · Load

The host keeps a *journal*: every decided batch by sequence number, as durable as its ledger. A core
keeps only what the protocol still needs; for a replica that lags behind it asks its host to `Load`
a stretch of the journal, and gets it back as `Loaded`.

Vocabulary: a *request* is what a client wants ordered (here: one ledger transaction, opaque bytes);
a *batch* is what one consensus instance orders; the outcome is *decide*.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Generic, Protocol, TypeVar, Union, runtime_checkable

from simulation.base.digest import DIGEST_BYTES, Digest, Tag, tagged_hash
from simulation.base.ids import NodeId, ReplicaId

SIGNATURE_BYTES = 64
HEADER_BYTES = 32
"""Modelled framing of any message: type, view, sequence number, sender, length."""

RequestKey = tuple[NodeId, int]
"""``(client, timestamp)``: what exactly-once execution goes by."""


@dataclass(frozen=True)
class Request:
    """One client request (§4.1): executed once per (client, timestamp)."""

    client: NodeId
    """Who asks: the number of the node that submitted it."""
    timestamp: int
    """The client's own counter, strictly increasing; with ``client`` the key of exactly-once."""
    payload: bytes
    """What to order; consensus never looks inside."""

    @cached_property
    def key(self) -> RequestKey:
        """What exactly-once execution goes by; made once and shared, like the request itself."""
        return (self.client, self.timestamp)

    @cached_property
    def digest(self) -> Digest:
        """Identifies the request: client, timestamp and payload."""
        head = self.client.to_bytes(4, "big") + self.timestamp.to_bytes(8, "big")
        return tagged_hash(Tag.REQUEST, head, self.payload)

    @property
    def size_bytes(self) -> int:
        """Modelled size on the wire: framing, payload and the client's signature."""
        return HEADER_BYTES + len(self.payload) + SIGNATURE_BYTES


@dataclass(frozen=True)
class Batch:
    """What one consensus instance orders: some requests and the proposer's clock reading."""

    requests: tuple[Request, ...]
    """In execution order; empty for a null request (§4.4)."""
    time_us: int
    """Virtual time at the proposer when it closed the batch. The ledger makes it increasing."""
    view: int = 0
    """The view (term, round) in which it was first proposed. Part of the digest, so that replicas
    that decide it in different views still record the same one."""
    proposer: ReplicaId = 0
    """Who first proposed it."""

    @cached_property
    def digest(self) -> Digest:
        """Identifies the batch: time, view, proposer and its requests' digests, in order."""
        body = b"".join([request.digest for request in self.requests])
        head = b"%d/%d/%d/" % (self.time_us, self.view, self.proposer)
        return tagged_hash(Tag.BATCH, head, body)

    @cached_property
    def keys(self) -> frozenset[RequestKey]:
        """Those of its requests."""
        return frozenset([request.key for request in self.requests])

    @cached_property
    def size_bytes(self) -> int:
        """Modelled size on the wire."""
        return DIGEST_BYTES + sum(request.size_bytes for request in self.requests)


NULL_BATCH = Batch((), 0)
"""Fills a sequence number that no client request needs (§4.4)."""

_MAX_CLIENT = 2**32
_MAX_INTEGER = 2**63


def is_well_formed(batch: Batch) -> bool:
    """Whether every number in the batch fits its encoding, so that it has a digest at all."""
    return (
        0 <= batch.time_us < _MAX_INTEGER
        and 0 <= batch.view < _MAX_INTEGER
        and 0 <= batch.proposer < _MAX_CLIENT
        and all(is_request_well_formed(request) for request in batch.requests)
    )


def is_request_well_formed(request: Request) -> bool:
    """Whether the request's numbers fit their encoding."""
    return 0 <= request.client < _MAX_CLIENT and 0 <= request.timestamp < _MAX_INTEGER


class Message(Protocol):
    """What a protocol's messages have in common: enough to charge wires and processors for them.

    Messages are frozen dataclasses. The host hands ``sender`` over separately in `Receive`, and it
    is authenticated there: nobody can send in another's name.
    """

    kind: ClassVar[str]
    """The paper's name in lower case with hyphens, e.g. ``pre-prepare``: the key of all counts."""

    @property
    def size_bytes(self) -> int:
        """Modelled size on the wire, signature included."""
        ...

    @property
    def verifications(self) -> int:
        """Signatures that a receiver checks before it looks at the content."""
        ...

    @property
    def hashed_bytes(self) -> int:
        """Bytes that a receiver hashes to check the content against a digest."""
        ...


M = TypeVar("M", bound=Message)
M_co = TypeVar("M_co", bound=Message, covariant=True)
M_contra = TypeVar("M_contra", bound=Message, contravariant=True)

TimerKey = tuple[str | int, ...]
"""Names a timer within its replica, e.g. ``("batch",)`` or ``("view-change", 3)``."""


# ---- inputs -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Propose:
    """The replica's own client (its hospital) wants a request ordered."""

    request: Request


@dataclass(frozen=True, slots=True)
class Receive(Generic[M_co]):
    """A message has arrived; the sender is authenticated by the host."""

    sender: NodeId
    message: M_co


@dataclass(frozen=True, slots=True)
class TimerFired:
    """A timer set earlier, and not cancelled since, has run out."""

    timer: TimerKey


@dataclass(frozen=True, slots=True)
class Executed:
    """The application has executed the decision at ``seq``; its state has this digest (§4.3)."""

    seq: int
    state_digest: Digest


@dataclass(frozen=True, slots=True)
class Restarted:
    """The replica is back after a crash: all its timers are gone, and messages were missed.

    Its memory is as it was, or it was built anew and given back what it had made durable (see
    `Restorable`).
    """


@dataclass(frozen=True, slots=True)
class Loaded:
    """The stretch of the journal that a `Load` asked for, as far as the journal has it."""

    first: int
    batches: tuple[Batch, ...]
    """The decided batches from sequence number ``first`` on, without gaps; may be fewer."""
    token: TimerKey
    """The token of the `Load`."""


Input = Union[Propose, Receive[M], TimerFired, Executed, Restarted, Loaded]


# ---- effects ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Send(Generic[M_co]):
    """Send one message to one node (never to oneself)."""

    to: NodeId
    message: M_co


@dataclass(frozen=True, slots=True)
class Broadcast(Generic[M_co]):
    """Send one message to every other replica."""

    message: M_co


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Start a timer, or restart it when one of this name is running."""

    timer: TimerKey
    delay_us: int


@dataclass(frozen=True, slots=True)
class CancelTimer:
    """Stop a timer; nothing happens when none of this name is running."""

    timer: TimerKey


@dataclass(frozen=True, slots=True)
class Decide:
    """The batch at ``seq`` is final. Emitted once per sequence number, in order, from 1."""

    seq: int
    view: int
    """The view of `Batch.view`: the same at every replica."""
    batch: Batch
    proposer: ReplicaId


@dataclass(frozen=True, slots=True)
class Report:
    """Something worth recording that changes nothing outside: a new view, caught evidence, …"""

    what: str
    """A short fixed word, e.g. ``pre-prepared``, ``prepared``, ``new-view``, ``equivocation``."""
    view: int
    seq: int
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Load:
    """Read decided batches ``first`` to ``last`` from the host's journal; answered by `Loaded`.

    A host without a journal may ignore it; then this replica cannot help others that lag behind.
    """

    first: int
    last: int
    token: TimerKey


Effect = Union[Send[M], Broadcast[M], SetTimer, CancelTimer, Decide, Report, Load]


class Replica(Protocol[M]):
    """A deterministic state machine: the same inputs give the same effects."""

    @property
    def id(self) -> ReplicaId:
        """This replica's number."""
        ...

    @property
    def leader(self) -> ReplicaId:
        """Who, as far as this replica knows, proposes next (the primary of its view)."""
        ...

    def step(self, event: Input[M], now_us: int) -> Sequence[Effect[M]]:
        """Take one input at virtual time ``now_us`` and say what to do about it.

        Total: any message from any sender is handled, ignored or buffered, never an exception.
        """
        ...


@runtime_checkable
class Restorable(Protocol):
    """A replica that survives the loss of its memory.

    A host that crashes a replica with loss of volatile state takes ``durable()`` at the crash (a
    write-ahead log would hold exactly that), builds a new replica, calls ``restore`` with it, and
    feeds `Restarted`. The journal and the ledger survive by themselves.
    """

    def durable(self) -> object:
        """What stable storage holds now: a snapshot that later steps do not change."""
        ...

    def restore(self, durable: Any) -> None:
        """Take over what an earlier incarnation had made durable."""
        ...


@runtime_checkable
class FastReplica(Protocol):
    """A replica that also takes a message without an input object around it.

    ``receive(sender, message, now_us)`` does what ``step(Receive(sender, message), now_us)`` does.
    Messages are nearly all of a host's inputs, so a host that finds this method should use it.
    """

    def receive(self, sender: NodeId, message: Any, now_us: int) -> Sequence[Effect[Any]]:
        """Take one message; total like `Replica.step`."""
        ...


@runtime_checkable
class Absorbing(Protocol):
    """A replica that can say of a message that all it does is to be counted.

    A host may hand such messages to ``absorb`` before their time, in order, when it knows that they
    are the replica's next inputs, and so spare itself an event for each. It gives those that were
    early after all back, the last one first, before it feeds the replica anything else.
    """

    def absorb(self, sender: NodeId, message: Any) -> bool:
        """Take the message if ``receive`` would return no effect and only add it to a count.

        False leaves the replica as it was; the message is then fed to it at its time.
        """
        ...

    def give_back(self, sender: NodeId, message: Any) -> None:
        """Forget the last message that was absorbed and not given back."""
        ...
