"""What must hold of the ledger copies at the end of a run, and who waits for what when it does not.

Nothing is promised of a node that lies, that is down, or that no message reaches any more; all
others must end with the same blocks, each under a certificate.
"""

from __future__ import annotations

from simulation.base.ids import node_name
from simulation.network.clock import Clock
from simulation.network.network import Network
from simulation.nodes.ledger_service import LedgerService
from simulation.nodes.properties import PROPERTIES, honest_core
from simulation.nodes.roles import is_former
from simulation.world.ledgers import Ledgers
from simulation.world.outcome import InvariantError

SETTLE_US = 600_000_000
"""Virtual time after the last round within which all ledger copies have to agree."""
SHOWN = 4
"""How many of the things that a node waits for a report names."""


class Checks:
    """Judges the ledger side of a world.

    Args:
        ledgers: what is judged.
        network: says who can be reached.
        clock: of the run.
        hospitals: number of hospitals; the coordinator's node has this number.
    """

    def __init__(self, ledgers: Ledgers, network: Network, clock: Clock, hospitals: int) -> None:
        self._ledgers = ledgers
        self._network = network
        self._clock = clock
        self._hospitals = hospitals
        self._late: tuple[LedgerService, int] | None = None
        """Who had not got there when everybody was looked at last, and the height to get to."""

    # ---- the end of a run -----------------------------------------------------------------------

    def settle(self) -> None:
        """Run on until every copy that counts holds every block under a certificate."""
        limit = self._clock.now + SETTLE_US
        while not self._settled() and self._clock.peek() <= limit:
            self._clock.step()

    def verdict(self) -> list[str]:
        """The properties that hold.

        Raises:
            InvariantError: naming the first that does not.
            PropertyViolation: when consensus itself went wrong.
        """
        ledgers, honest = self._ledgers, self._honest()
        ledgers.judge()
        top = max(service.copy.height for service in honest)
        for height in range(1, top + 1):
            seen: dict[str, LedgerService] = {}
            for service in honest:
                if service.copy.height >= height:
                    seen.setdefault(service.copy.block(height).header.digest.hex(), service)
            if len(seen) > 1:
                raise InvariantError(f"agreement: at height {height} " + self._differ(seen))
        for service in self._counted():
            name = self._name(service)
            if service.copy.height != top:
                lag = f"{name} is at height {service.copy.height} of {top}"
                raise InvariantError(f"liveness: {lag}; {self.who_waits()}")
            if missing := service.copy.uncertified(SHOWN):
                raise InvariantError(f"certificates: {name} has none for heights {missing}")
        for node, host in sorted(ledgers.hosts.items()):
            if host.votes and ledgers.is_honest(node):
                observer, position = ledgers.watch_of(host.group).observer, host.group.members
                core = honest_core(host.core)
                observer.on_footprint(position.index(node), core, self._clock.now)
        ledgers.judge()
        return sorted([*PROPERTIES, "liveness"])

    def _differ(self, seen: dict[str, LedgerService]) -> str:
        return ", ".join(
            f"{self._name(service)} has block {digest[:16]}" for digest, service in seen.items()
        )

    def _settled(self) -> bool:
        """Whether all have got there; looks at everybody only when who was late has."""
        if self._still_late():
            return False
        top = max(service.copy.height for service in self._honest())
        late = (
            service
            for service in self._counted()
            if service.copy.height != top or service.copy.uncertified(1)
        )
        first = next(late, None)
        self._late = None if first is None else (first, top)
        return first is None

    def _still_late(self) -> bool:
        """Whether the one that was late is so for certain: up, within reach, and not there yet."""
        if self._late is None or not self._network.weather.fair:
            return False
        service, top = self._late
        behind = service.copy.height < top or bool(service.copy.uncertified(1))
        return behind and not service.node.down and not self._gone(service)

    # ---- who counts -----------------------------------------------------------------------------

    def _honest(self) -> list[LedgerService]:
        return [s for s in self._ledgers.services if self._ledgers.is_honest(s.node.id)]

    def _counted(self) -> list[LedgerService]:
        """Honest members, up, and with a working way to and from the coordinator."""
        reached = self._reached()
        return [
            service
            for service in self._honest()
            if not service.node.down and service.node.id in reached and not self._gone(service)
        ]

    def _gone(self, service: LedgerService) -> bool:
        """Whether it has left, by the coordinator's own copy."""
        return is_former(self._ledgers.services[-1].copy, service.node.id)

    def _reached(self) -> set[int]:
        """The nodes that can talk with the coordinator, directly or through others."""
        reaches = self._network.weather.reaches
        found, new = {self._hospitals}, [self._hospitals]
        while new and len(found) <= self._hospitals:
            node = new.pop()
            for other in range(self._hospitals + 1):
                if other not in found and reaches(node, other) and reaches(other, node):
                    found.add(other)
                    new.append(other)
        return found

    # ---- who waits for what ---------------------------------------------------------------------

    def who_waits(self) -> str:
        """Each node's state and what it waits for, for a run that has stopped."""
        return "; ".join(self._line(service) for service in self._ledgers.services)

    def _line(self, service: LedgerService) -> str:
        name, node = self._name(service), service.node.id
        if service.node.down:
            return f"{name}: down"
        parts = [f"height {service.copy.height}"]
        host = self._ledgers.hosts.get(node)
        if host is not None and host.votes:
            core = honest_core(host.core)
            view = getattr(core, "view", None)
            if view is not None:
                active = getattr(core, "active", True)
                parts.append(f"view {view}" + ("" if active else " not entered yet"))
            parts.append(f"leader {core.leader}")
            if not self._ledgers.is_honest(node):
                parts.append("lies")
        if node not in self._reached():
            parts.append("cut off")
        if open_requests := service.open_requests():
            shown = ", ".join(open_requests[:SHOWN])
            more = len(open_requests) - SHOWN
            parts.append(f"waits for {shown}" + (f" and {more} more" if more > 0 else ""))
        if missing := service.copy.uncertified(SHOWN):
            parts.append(f"lacks certificates for {', '.join(map(str, missing))}")
        return f"{name}: {', '.join(parts)}"

    def _name(self, service: LedgerService) -> str:
        return node_name(service.node.id, self._hospitals)
