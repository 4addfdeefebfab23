"""Parameters of the fault schedule: what breaks when.

A fault happens at a virtual time, when the ledger first reaches a height, or when a federated round
opens. `simulation.nodes.injector` makes it happen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Union, assert_never

from simulation.base.ids import NodeId
from simulation.network.params import check_probability


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """When a fault happens: exactly one of the three is given."""

    at_ms: float | None = None
    """Virtual time, in milliseconds."""
    at_height: int | None = None
    """When the first ledger copy appends the block of this height; without a ledger, when the first
    replica decides this sequence number."""
    at_round: int | None = None
    """When this federated round opens."""

    def __post_init__(self) -> None:
        given = [at for at in (self.at_ms, self.at_height, self.at_round) if at is not None]
        if len(given) != 1:
            raise ValueError(
                f"at_ms: give exactly one of at_ms, at_height, at_round, got {len(given)}"
            )
        if given[0] < 0:
            raise ValueError(f"at_ms: a fault cannot happen before the start, got {given[0]}")


@dataclass(frozen=True, kw_only=True, slots=True)
class CrashFault(Fault):
    """A node stops at once; what it had queued is lost, what arrives is dropped."""

    kind: Literal["crash"] = "crash"
    node: int
    """Who crashes."""
    memory: Literal["kept", "lost"] = "kept"
    """Whether the replica's memory survives; when lost, it restarts from its ledger file and from
    what its protocol had made durable. What a hospital was working on is lost either way."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RecoverFault(Fault):
    """A crashed node comes back."""

    kind: Literal["recover"] = "recover"
    node: int
    """Who recovers."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PartitionFault(Fault):
    """Links between groups of nodes are cut, on top of those that are cut already."""

    kind: Literal["partition"] = "partition"
    groups: tuple[tuple[int, ...], ...]
    """Groups of nodes; all nodes that are not named form one more. One group of one node isolates
    it."""
    one_way: bool = False
    """Cut only what leaves the named groups, so that they still hear the others."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HealFault(Fault):
    """All cut, held and slow links are as they were, and the weather is the configured one."""

    kind: Literal["heal"] = "heal"


@dataclass(frozen=True, kw_only=True, slots=True)
class SlowFault(Fault):
    """A node, or one directed link of it, gets slow; 0 and 1 make it fast again."""

    kind: Literal["slow"] = "slow"
    node: int
    """Who gets slow."""
    to: int | None = None
    """Only the link from ``node`` to this one; null for all links from and to it."""
    extra_ms: float = 0.0
    """Delay added to each message on these links, in milliseconds."""
    processor: float = 1.0
    """Factor by which checking received messages takes longer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HoldFault(Fault):
    """A directed link keeps what is sent on it until links heal."""

    kind: Literal["hold"] = "hold"
    node: int
    """From whom."""
    to: int
    """To whom."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WeatherFault(Fault):
    """The whole network loses, duplicates or reorders messages from now on."""

    kind: Literal["weather"] = "weather"
    loss: float = 0.0
    """Probability that a message is lost."""
    duplicate: float = 0.0
    """Probability that it arrives twice."""
    reorder: float = 0.0
    """Probability that it is late by up to ``reorder_ms``."""
    reorder_ms: float = 50.0
    """The most that a reordered message is late, in milliseconds."""

    def __post_init__(self) -> None:
        Fault.__post_init__(self)
        for name in ("loss", "duplicate", "reorder"):
            check_probability(name, getattr(self, name))


@dataclass(frozen=True, kw_only=True, slots=True)
class BehaveFault(Fault):
    """A replica starts to lie, or stops."""

    kind: Literal["behave"] = "behave"
    node: int
    """Who lies."""
    behaviour: tuple[str, ...] = ("silent",)
    """What it does, one or several of the behaviours of its protocol in turn (silent, delay,
    forget-some, repeat, favour-half for every protocol; equivocate, censor, wrong-digest and others
    for PBFT; equivocate, censor, fork-back and others for HotStuff; equivocate for the sequencer);
    empty for honest again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TwinsFault(Fault):
    """A replica is doubled: two honest copies with one identity, each heard by its own peers only.

    Together they lie, though each follows the protocol (Bano et al., "Twins: BFT Systems Made
    Robust", OPODIS 2021). A crash with loss of memory leaves the first copy only.
    """

    kind: Literal["twins"] = "twins"
    node: int
    """Who is doubled."""
    peers: tuple[int, ...]
    """The replicas that talk to the second copy; all others talk to the first."""


FaultParams = Union[
    CrashFault,
    RecoverFault,
    PartitionFault,
    HealFault,
    SlowFault,
    HoldFault,
    WeatherFault,
    BehaveFault,
    TwinsFault,
]
"""One entry of a fault schedule, chosen by ``kind``."""


def named_nodes(fault: FaultParams) -> tuple[NodeId, ...]:
    """The nodes that a fault names."""
    match fault:
        case HealFault() | WeatherFault():
            return ()
        case PartitionFault():
            return tuple(node for group in fault.groups for node in group)
        case SlowFault(to=to) | HoldFault(to=to):
            return (fault.node,) if to is None else (fault.node, to)
        case TwinsFault(peers=peers):
            return (fault.node, *peers)
        case BehaveFault() | CrashFault() | RecoverFault():
            return (fault.node,)
        case _:
            assert_never(fault)
