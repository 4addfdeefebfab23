"""Attacks on data: the hospital trains honestly on records that it has changed.

They act where training reads its rows, so every engine and DP-SGD are under them, and the hospital
is measured on its true test rows. They change what the program's own ClientApp trains on.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simulation.attacks.attack import Attacker, HospitalAttack
from simulation.base.ids import HospitalId
from simulation.base.rng import Streams
from simulation.learning.tampering import Rows, Tampering
from simulation.nodes.conduct import Conduct
from simulation.nodes.learner import Product
from simulation.nodes.messages import Order

if TYPE_CHECKING:
    import simpy

    from simulation.nodes.ledger_service import LedgerService


@dataclass(frozen=True, kw_only=True, slots=True)
class DataAttack(HospitalAttack):
    """A hospital that changes its training records."""

    @abstractmethod
    def poison(
        self, x: NDArray[np.float32], y: NDArray[np.int64], dice: np.random.Generator
    ) -> Rows:
        """What the hospital trains on instead of these rows: as many, of the same features.

        ``x`` and ``y`` are read-only; ``dice`` starts anew each time, so that every round trains on
        the same changed records.
        """

    def tampering(self, hospital: HospitalId, streams: Streams) -> Tampering:
        return PoisonedRows(self, hospital, streams)

    def conduct(self, attacker: Attacker) -> Conduct:
        return Announcing(self, attacker)


@dataclass(frozen=True, slots=True)
class PoisonedRows(Tampering):
    """The rows of a hospital while its attack goes on. A worker process gets a copy of it."""

    attack: DataAttack
    hospital: HospitalId
    streams: Streams

    def rows(self, number: int, x: NDArray[np.float32], y: NDArray[np.int64]) -> Rows:
        if not self.attack.active(number):
            return x, y
        return self.attack.poison(
            x, y, self.streams.stream("attack", self.attack.name, self.hospital)
        )


class Announcing(Conduct):
    """Training has already been tampered with; here it is written into the trace."""

    def __init__(self, attack: HospitalAttack, attacker: Attacker) -> None:
        self._attack, self._attacker = attack, attacker

    def prepare(
        self, ledger: LedgerService | None, order: Order, product: Product
    ) -> Generator[simpy.Event, Any, Product]:
        del ledger
        if self._attack.active(order.round):
            self._attacker.note(self._attack, order.round)
        yield from ()
        return product
