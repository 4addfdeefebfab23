"""Where a participant may stray from the protocol, and the honest way through each place.

Honest code asks its conduct at every point at which an attacker could act; the honest conduct
leaves everything as it is. An attack is a small class that overrides one or two of these methods
and holds no key but its own node's.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

import simpy

from simulation.base.encoding import Value
from simulation.nodes.ledger_service import LedgerService
from simulation.nodes.messages import Order, Product, Reply

Body = Mapping[str, Value]


class Conduct:
    """How a hospital behaves; this one is honest."""

    def prepare(
        self, ledger: LedgerService, order: Order, product: Product
    ) -> Generator[simpy.Event, Any, Product]:
        """The update that the hospital brings into the round, before it commits."""
        del ledger, order
        yield from ()
        return product

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


class CoordinatorConduct:
    """How the coordinator behaves; this one is honest."""

    def aggregate(self, body: Body) -> Body:
        """The proposal that it submits first; a refused one is followed by the honest one."""
        return body


HONEST = Conduct()
HONEST_COORDINATOR = CoordinatorConduct()
