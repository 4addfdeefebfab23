"""The properties of consensus, checked from outside while it runs.

An observer sees what honest replicas take in and put out, and everything they send. It is not part
of any protocol and trusts none: it keeps its own books. A violation names its property, the replica
and the time, and holds what contradicts what.

Properties: agreement · validity · exactly-once · total-order · equal-states · certificate ·
single-vote · monotone-view · bounded-log, and liveness, which `simulation.consensus.soak` ends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from simulation.base.digest import Digest, short
from simulation.base.ids import ReplicaId
from simulation.consensus.protocol import Batch, Decide, Report, Request, RequestKey


@dataclass(frozen=True, slots=True)
class Violation:
    """A property that did not hold."""

    property: str
    replica: ReplicaId
    time_us: int
    detail: str

    def __str__(self) -> str:
        return f"{self.property} at replica {self.replica}, {self.time_us} µs: {self.detail}"


@runtime_checkable
class Bounded(Protocol):
    """A core that can say how much it remembers."""

    def footprint(self) -> Mapping[str, tuple[int, int]]:
        """For each store its size and the most it may hold."""
        ...


class Invariants:
    """Watches the decisions of the honest replicas of one group, under any protocol."""

    def __init__(self, n: int, honest: frozenset[ReplicaId]) -> None:
        self.n = n
        self.honest = honest
        self.violations: list[Violation] = []
        self.submitted: set[RequestKey] = set()
        self._requests: dict[RequestKey, list[Request]] = {}
        """All that was submitted under a key: a member signs a transaction again under another key
        of its own, and gives a number that a refused one has not used up to the next."""
        self.chosen: dict[int, tuple[ReplicaId, Batch]] = {}
        """By sequence number: the first honest replica that decided, and what."""
        self.decided: list[int] = [0] * n
        """How many batches each replica has decided."""
        self.executed: list[set[RequestKey]] = [set() for _ in range(n)]
        self._states: dict[int, tuple[ReplicaId, Digest]] = {}

    def violate(self, name: str, replica: ReplicaId, now_us: int, detail: str) -> None:
        """Record a violation."""
        self.violations.append(Violation(name, replica, now_us, detail))

    def on_submit(self, request: Request) -> None:
        """A client has submitted a request."""
        key = request.key
        self.submitted.add(key)
        self._requests.setdefault(key, []).append(request)

    def on_decide(self, replica: ReplicaId, decision: Decide, now_us: int) -> None:
        """An honest replica has decided."""
        seq, batch = decision.seq, decision.batch
        if seq != self.decided[replica] + 1:
            self.violate(
                "total-order", replica, now_us, f"{seq} decided after {self.decided[replica]}"
            )
        self.decided[replica] = seq
        first, other = self.chosen.setdefault(seq, (replica, batch))
        if other.digest != batch.digest:
            self.violate(
                "agreement",
                replica,
                now_us,
                f"at {seq} replica {replica} decided {short(batch.digest)}, "
                f"replica {first} decided {short(other.digest)}",
            )
        for request in batch.requests:
            key = request.key
            if request not in self._requests.get(key, ()):
                self.violate("validity", replica, now_us, f"{key} at {seq} was never submitted")
            if key in self.executed[replica]:
                self.violate("exactly-once", replica, now_us, f"{key} at {seq} for the second time")
            self.executed[replica].add(key)

    def on_executed(self, replica: ReplicaId, seq: int, state: Digest, now_us: int) -> None:
        """An honest replica's application has executed a decision."""
        first, other = self._states.setdefault(seq, (replica, state))
        if other != state:
            self.violate(
                "equal-states",
                replica,
                now_us,
                f"after {seq}: {short(state)}, replica {first}: {short(other)}",
            )

    def on_send(self, replica: ReplicaId, message: Any, now_us: int) -> None:
        """An honest replica sends a message: protocols with votes check them here."""

    def on_report(self, replica: ReplicaId, report: Report, now_us: int) -> None:
        """An honest replica reports something about itself."""

    def on_footprint(self, replica: ReplicaId, core: object, now_us: int) -> None:
        """Look at how much an honest replica remembers."""
        if isinstance(core, Bounded):
            for store, (size, limit) in core.footprint().items():
                if size > limit:
                    self.violate("bounded-log", replica, now_us, f"{store}: {size} of {limit}")


Observe = Callable[[int, frozenset[ReplicaId], Any], Invariants]
"""Makes the observer of a protocol from n, the honest replicas and the protocol's parameters."""


def observe(n: int, honest: frozenset[ReplicaId], params: object) -> Invariants:
    """The observer for protocols without one of their own."""
    del params
    return Invariants(n, honest)
