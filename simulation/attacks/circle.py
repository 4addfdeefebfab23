"""What attackers who act together tell each other, outside the simulated network.

A colluding attack is judged at its strongest: its members share their honest updates at no cost and
without delay. They learn nothing of the others' that the protocol does not give them.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any

from simulation.base.ids import HospitalId
from simulation.base.tensors import Arrays
from simulation.base.units import US_PER_S

if TYPE_CHECKING:
    import simpy

PATIENCE_US = 30 * US_PER_S
"""How long an attacker waits for its accomplices before it goes on with what it has."""


class Circle:
    """The hospitals that carry out one attack, and what each has learnt honestly by round."""

    def __init__(self, members: Sequence[HospitalId]) -> None:
        self.members = tuple(members)
        self._told: dict[int, dict[HospitalId, Arrays]] = {}
        self._complete: dict[int, simpy.Event] = {}

    def share(
        self, env: simpy.Environment, number: int, member: HospitalId, honest: Arrays
    ) -> Generator[simpy.Event, Any, list[Arrays]]:
        """Tell one's honest update of a round; returns all members' that are there, by number."""
        told = self._told.setdefault(number, {})
        complete = self._complete.setdefault(number, env.event())
        told[member] = honest
        if len(told) == len(self.members) and not complete.triggered:
            complete.succeed()
        yield env.any_of([complete, env.timeout(PATIENCE_US)])
        return [told[hospital] for hospital in sorted(told)]
