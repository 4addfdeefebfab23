"""What all attacks have in common: who attacks, in which rounds, and what an attacker has.

Which hospitals attack is given by number, or as a share that the seed chooses. The seed puts the
hospitals of a run into one order and every share takes them from its front, so that a larger share
contains a smaller one, and two attacks of one run begin with the same hospitals.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from simulation.attacks.circle import Circle
from simulation.base.ids import HospitalId
from simulation.base.rng import Streams
from simulation.learning.tampering import Tampering
from simulation.nodes.conduct import Conduct, CoordinatorConduct
from simulation.trace.events import Attacked

if TYPE_CHECKING:
    from simulation.nodes.instance import Record
    from simulation.nodes.node import Node

LEDGERS = ("none", "hash_only", "commit_reveal")
_ROUNDING = 1e-9
"""0.3 × 10 is a little less than 3 in binary fractions, and means 3."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Attack:
    """In which rounds an attack goes on; in all others the attacker is honest."""

    from_round: int = 1
    """First round in which the attacker strays."""
    until_round: int | None = None
    """Last such round; null for the last one of the run."""

    ledgers: ClassVar[tuple[str, ...]] = LEDGERS
    """The kinds of ledger under which there is something to attack."""
    stopped_by: ClassVar[str] = ""
    """What must stop or detect it, in words."""

    def __post_init__(self) -> None:
        if self.from_round < 1:
            raise ValueError(f"from_round: rounds begin with 1, got {self.from_round}")
        if self.until_round is not None and self.until_round < self.from_round:
            raise ValueError(
                f"until_round: must not be before from_round ({self.from_round}), got "
                f"{self.until_round}"
            )

    @property
    def name(self) -> str:
        """Its kind."""
        return str(getattr(self, "kind"))  # noqa: B009 - declared by every kind, not here

    def active(self, number: int) -> bool:
        """Whether the attacker strays in this round."""
        return self.from_round <= number <= (self.until_round or number)


@dataclass(frozen=True, slots=True)
class Attacker:
    """What whoever carries out an attack has: its own node, dice, and its accomplices."""

    node: Node
    record: Record
    hospitals: int
    """How many hospitals there are."""
    dice: Callable[[int], np.random.Generator]
    """The attacker's own generator for a round, the same each time it is asked for."""
    circle: Circle
    recomputed: bool
    """Whether replicas recompute the aggregates of the run."""

    def note(self, attack: Attack, number: int, detail: str = "") -> None:
        """Say in the trace that this attacker has strayed in this round, and how."""
        now, me = self.node.env.now, self.node.id
        self.record(Attacked(now, number, me, attack.name, detail))


@dataclass(frozen=True, kw_only=True, slots=True)
class HospitalAttack(Attack, ABC):
    """Which hospitals attack: exactly one of the two is given."""

    hospitals: tuple[int, ...] | None = None
    """Who attacks, by number."""
    fraction: float | None = None
    """Share of the hospitals that attack, 0 to 1, rounded down to whole hospitals and chosen by the
    seed; a larger share contains a smaller one. 0 for nobody."""

    def __post_init__(self) -> None:
        Attack.__post_init__(self)
        if (self.hospitals is None) == (self.fraction is None):
            raise ValueError("hospitals: give exactly one of hospitals, fraction")
        if self.fraction is not None and not 0 <= self.fraction <= 1:
            raise ValueError(f"fraction: must be between 0 and 1, got {self.fraction:g}")
        if self.hospitals is not None and not self.hospitals:
            raise ValueError("hospitals: is empty; name at least one, or remove the attack")
        if self.hospitals is not None and len(set(self.hospitals)) < len(self.hospitals):
            raise ValueError(f"hospitals: one is named twice in {list(self.hospitals)}")

    def count(self, hospitals: int) -> int:
        """How many of so many hospitals attack."""
        if self.hospitals is not None:
            return len(self.hospitals)
        assert self.fraction is not None, "one of the two is given"
        return math.floor(self.fraction * hospitals + _ROUNDING)

    def attackers(self, hospitals: int, streams: Streams) -> tuple[HospitalId, ...]:
        """The hospitals that attack in a run, ascending."""
        if self.hospitals is not None:
            return tuple(sorted(self.hospitals))
        order = streams.stream("attackers").permutation(hospitals)
        return tuple(sorted(int(h) for h in order[: self.count(hospitals)]))

    def tampering(self, hospital: HospitalId, streams: Streams) -> Tampering | None:
        """What the attacker changes in its own training; none for nothing."""
        del hospital, streams
        return None

    @abstractmethod
    def conduct(self, attacker: Attacker) -> Conduct:
        """How the attacker behaves in a run."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CoordinatorAttack(Attack, ABC):
    """The coordinator attacks."""

    @abstractmethod
    def conduct(self, attacker: Attacker) -> CoordinatorConduct:
        """How the coordinator behaves in a run."""
