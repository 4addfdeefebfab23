"""Where a participant may stray from the protocol, and the honest way through each place.

Honest code asks its conduct at every point at which an attacker could act; the honest conduct
leaves everything as it is. An attack is a small class that overrides one or two of these methods
and holds no key but its own node's.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from simulation.base.encoding import Value
from simulation.base.ids import HospitalId
from simulation.nodes.learner import Product
from simulation.nodes.messages import Order, Reply
from simulation.vault.store import Vault

if TYPE_CHECKING:
    import simpy

    from simulation.nodes.ledger_service import LedgerService

Body = Mapping[str, Value]


class Conduct:
    """How a hospital behaves; this one is honest."""

    def prepare(
        self, ledger: LedgerService | None, order: Order, product: Product
    ) -> Generator[simpy.Event, Any, Product]:
        """The update that the hospital brings into the round, before it commits or sends it."""
        del ledger, order
        yield from ()
        return product

    def overspends(self, number: int) -> bool:
        """Whether it trains although the ledger would not allow what that costs."""
        del number
        return False

    def commits(self, ledger: LedgerService, order: Order, body: Body) -> list[Body]:
        """The commitments that it submits, one after the other."""
        del ledger, order
        return [body]

    def reply(self, reply: Reply) -> Reply:
        """The update as it leaves the hospital."""
        return reply

    def withholds(self, number: int) -> bool:
        """Whether it keeps a committed update to itself."""
        del number
        return False

    def reveal(self, body: Body) -> Body:
        """The reveal that it submits."""
        return body

    def observe(self, reply: Reply) -> None:
        """Another hospital's update has arrived here."""

    def vault(self, vault: Vault) -> Vault:
        """The store that its objects are put into and taken out of."""
        return vault


class CoordinatorConduct:
    """How the coordinator behaves; this one is honest."""

    def collect(
        self, number: int, base: bytes, replies: Mapping[HospitalId, Reply]
    ) -> Mapping[HospitalId, Reply]:
        """The updates of a round that it gives to the strategy; ``base`` is the round's model."""
        del number, base
        return replies

    def aggregate(self, body: Body) -> Body:
        """The proposal that it submits first; a refused one is followed by the honest one."""
        return body


class Chained(Conduct):
    """Several conducts of one hospital, one after the other at each place."""

    def __init__(self, links: Sequence[Conduct]) -> None:
        self._links = tuple(links)

    def prepare(
        self, ledger: LedgerService | None, order: Order, product: Product
    ) -> Generator[simpy.Event, Any, Product]:
        for link in self._links:
            product = yield from link.prepare(ledger, order, product)
        return product

    def overspends(self, number: int) -> bool:
        return any(link.overspends(number) for link in self._links)

    def commits(self, ledger: LedgerService, order: Order, body: Body) -> list[Body]:
        bodies = [body]
        for link in self._links:
            bodies = [*link.commits(ledger, order, bodies[0]), *bodies[1:]]
        return bodies

    def reply(self, reply: Reply) -> Reply:
        for link in self._links:
            reply = link.reply(reply)
        return reply

    def withholds(self, number: int) -> bool:
        return any(link.withholds(number) for link in self._links)

    def reveal(self, body: Body) -> Body:
        for link in self._links:
            body = link.reveal(body)
        return body

    def observe(self, reply: Reply) -> None:
        for link in self._links:
            link.observe(reply)

    def vault(self, vault: Vault) -> Vault:
        for link in self._links:
            vault = link.vault(vault)
        return vault


class CoordinatorsChained(CoordinatorConduct):
    """Several conducts of the coordinator, one after the other at each place."""

    def __init__(self, links: Sequence[CoordinatorConduct]) -> None:
        self._links = tuple(links)

    def collect(
        self, number: int, base: bytes, replies: Mapping[HospitalId, Reply]
    ) -> Mapping[HospitalId, Reply]:
        for link in self._links:
            replies = link.collect(number, base, replies)
        return replies

    def aggregate(self, body: Body) -> Body:
        for link in self._links:
            body = link.aggregate(body)
        return body


HONEST = Conduct()
HONEST_COORDINATOR = CoordinatorConduct()


def chained(links: Sequence[Conduct]) -> Conduct:
    """A conduct that strays wherever one of these does, in their order."""
    if len(links) <= 1:
        return links[0] if links else HONEST
    return Chained(links)


def coordinators_chained(links: Sequence[CoordinatorConduct]) -> CoordinatorConduct:
    """The same for the coordinator."""
    if len(links) <= 1:
        return links[0] if links else HONEST_COORDINATOR
    return CoordinatorsChained(links)
