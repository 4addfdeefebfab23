"""The properties of consensus, checked in every run while it runs.

An observer of the protocol (`simulation.consensus.invariants`) sees every effect of the honest
replicas. The run ends at the first two decisions that contradict each other, or some time after the
first violation of another kind.
A replica that the fault schedule makes lie at any time is not observed: nothing is promised of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from simulation.base.digest import Digest
from simulation.base.ids import NodeId, ReplicaId
from simulation.base.units import US_PER_S
from simulation.consensus import invariants
from simulation.consensus.byzantine import Byzantine
from simulation.consensus.invariants import Violation
from simulation.consensus.protocol import Broadcast, Decide, Effect, Replica, Report, Request, Send
from simulation.consensus.registry import ConsensusParams
from simulation.consensus.subjects import SUBJECTS
from simulation.nodes.faults import BehaveFault, FaultParams, TwinsFault

PROPERTIES = (
    "agreement",
    "bounded log",
    "certificates",
    "equal state roots",
    "exactly-once",
    "total order",
    "validity",
)
"""What is checked in every run with replicas, besides liveness."""

FOOTPRINT_EVERY = 16
"""How many decisions pass between two looks at how much a replica remembers."""


GRACE_US = 60 * US_PER_S
"""How long a run goes on after its first violation, so that it shows two conflicting decisions if
that is where the violation leads."""
CONFLICT = "agreement"


class PropertyViolation(RuntimeError):
    """A property of consensus does not hold: the run shows it and ends."""

    def __init__(self, violation: Violation, first: Violation, node: NodeId) -> None:
        before = "" if first is violation else f"; it began with {first}"
        super().__init__(f"{violation}{before}")
        self.violation = violation
        self.t_us = violation.time_us
        self.hospital = node


def liars(faults: Sequence[FaultParams]) -> frozenset[NodeId]:
    """The nodes whose replicas a schedule makes lie at any time."""
    return frozenset(
        fault.node
        for fault in faults
        if isinstance(fault, TwinsFault) or (isinstance(fault, BehaveFault) and fault.behaviour)
    )


class Watch:
    """Holds a group of replicas to their protocol's properties.

    Args:
        protocol: its parameters.
        members: the node of every replica, in order.
        faults: the schedule; it says which nodes are honest.
        now_us: reads the clock.
    """

    def __init__(
        self,
        protocol: ConsensusParams,
        members: Sequence[NodeId],
        faults: Sequence[FaultParams],
        now_us: Callable[[], int],
    ) -> None:
        subject = SUBJECTS.get(protocol.kind)
        observe = invariants.observe if subject is None else subject.observe
        self.members = tuple(members)
        lying = liars(faults)
        self.honest = frozenset(i for i, node in enumerate(members) if node not in lying)
        self.observer = observe(len(members), self.honest, protocol)
        self._now_us = now_us
        self._decided = 0

    def submitted(self, request: Request) -> None:
        """A client has made a request; nobody has seen it yet."""
        self.observer.on_submit(request)

    def of(self, replica: ReplicaId) -> Callable[[Effect[Any]], None] | None:
        """What looks at the effects of a replica; none for one that lies."""
        if replica not in self.honest:
            return None

        def look(effect: Effect[Any]) -> None:
            match effect:
                case Broadcast(message) | Send(_, message):
                    self.observer.on_send(replica, message, self._now_us())
                case Decide():
                    self.observer.on_decide(replica, effect, self._now_us())
                case Report():
                    self.observer.on_report(replica, effect, self._now_us())
                case _:
                    return
            self._raise()

        return look

    def executed(
        self, replica: ReplicaId, decision: Decide, state: Digest, core: Replica[Any]
    ) -> None:
        """A replica's application has executed a decision."""
        if replica not in self.honest:
            return
        self.observer.on_executed(replica, decision.seq, state, self._now_us())
        self._decided += 1
        if self._decided % FOOTPRINT_EVERY == 0:
            self.observer.on_footprint(replica, honest_core(core), self._now_us())
        self._raise()

    def judge(self) -> None:
        """Say what was violated so far.

        Raises:
            PropertyViolation: with the conflicting decisions, if it came to that.
        """
        if found := self.observer.violations:
            conflicts = [violation for violation in found if violation.property == CONFLICT]
            shown = (conflicts or found)[0]
            raise PropertyViolation(shown, found[0], self.members[shown.replica])

    def _raise(self) -> None:
        found = self.observer.violations
        if found and (
            found[-1].property == CONFLICT or self._now_us() > found[0].time_us + GRACE_US
        ):
            self.judge()


def honest_core(core: Replica[Any]) -> Replica[Any]:
    """The core behind any behaviours."""
    return core.core if isinstance(core, Byzantine) else core
