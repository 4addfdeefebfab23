"""Who trains in a round: pure rules, of the round, the members and what they have committed to.

A hospital that is not selected gets no order, is not in the ``eligible`` of the round's
``task.open`` and so cannot commit to it; it releases nothing, and its privacy account stays as it
was. A hospital that is selected is charged in full: noise is calibrated as if it trained in every
planned round, and no amplification by sampling is claimed, because the ledger names who took part.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, Union

import numpy as np

from simulation.base.ids import HospitalId
from simulation.base.rng import Streams

_STREAM = "client-selection"


@dataclass(frozen=True, kw_only=True, slots=True)
class SelectAll:
    """Every hospital trains in every round, or those that Flower's ``fraction_train`` draws."""

    kind: Literal["all"] = "all"
    """Names this rule."""

    def size(self, hospitals: int) -> int:
        """How many of so many hospitals train in a round."""
        return hospitals

    def choose(
        self,
        number: int,
        members: Iterable[HospitalId],
        examples: Mapping[HospitalId, int],
        streams: Streams,
    ) -> tuple[HospitalId, ...]:
        """Who trains in round ``number``, sorted; the same in whatever order ``members`` come.

        ``examples`` are the numbers of examples that hospitals have committed to so far.
        """
        del number, examples, streams
        return tuple(sorted(members))


@dataclass(frozen=True, kw_only=True, slots=True)
class _SelectSome(ABC):
    """Some of the hospitals, as many in every round."""

    count: int | None = None
    """How many hospitals train in a round; give either this or ``fraction``."""

    fraction: float | None = None
    """Which part of the hospitals trains in a round, rounded, at least one."""

    def __post_init__(self) -> None:
        if (self.count is None) == (self.fraction is None):
            raise ValueError("count: give exactly one of count and fraction")
        if self.count is not None and self.count < 1:
            raise ValueError(f"count: must be at least 1, got {self.count}")
        if self.fraction is not None and not 0 < self.fraction <= 1:
            raise ValueError(f"fraction: must be above 0 and at most 1, got {self.fraction}")

    def size(self, hospitals: int) -> int:
        """How many of so many hospitals train in a round."""
        if self.count is not None:
            return self.count
        return max(1, round((self.fraction or 0.0) * hospitals))

    def choose(
        self,
        number: int,
        members: Iterable[HospitalId],
        examples: Mapping[HospitalId, int],
        streams: Streams,
    ) -> tuple[HospitalId, ...]:
        """As `SelectAll.choose`; everybody when there are no more than the rule wants."""
        known = sorted(members)
        wanted = self.size(len(known))
        if wanted >= len(known):
            return tuple(known)
        places = self._places(
            number, wanted, _likely(known, examples), streams.stream(_STREAM, number)
        )
        return tuple(sorted(known[place] for place in places))

    @abstractmethod
    def _places(
        self, number: int, wanted: int, shares: list[float], rng: np.random.Generator
    ) -> list[int]:
        """The places of the chosen in the sorted list of members; ``shares`` are their sizes."""


def _likely(known: list[HospitalId], examples: Mapping[HospitalId, int]) -> list[float]:
    """Each hospital's share of all examples; who has committed to none yet counts as the mean."""
    told = [examples[hospital] for hospital in known if examples.get(hospital, 0) > 0]
    mean = sum(told) / len(told) if told else 1.0
    sizes = [examples.get(hospital, 0) or mean for hospital in known]
    return [size / sum(sizes) for size in sizes]


@dataclass(frozen=True, kw_only=True, slots=True)
class SelectRandom(_SelectSome):
    """A fresh draw in every round, each hospital as likely as any other.

    Drawn from a stream of the run's seed and the round, so who is drawn depends on nothing else.
    """

    kind: Literal["random"] = "random"
    """Names this rule."""

    def _places(
        self, number: int, wanted: int, shares: list[float], rng: np.random.Generator
    ) -> list[int]:
        del number
        return [int(place) for place in rng.choice(len(shares), wanted, replace=False)]


@dataclass(frozen=True, kw_only=True, slots=True)
class SelectInTurn(_SelectSome):
    """Fair turns: hospitals in their order, each round going on where the last one ended.

    After any round the numbers of turns of two hospitals differ by at most one. A void round is a
    turn too.
    """

    kind: Literal["round_robin"] = "round_robin"
    """Names this rule."""

    def _places(
        self, number: int, wanted: int, shares: list[float], rng: np.random.Generator
    ) -> list[int]:
        del rng
        first = (number - 1) * wanted
        return [(first + turn) % len(shares) for turn in range(wanted)]


@dataclass(frozen=True, kw_only=True, slots=True)
class SelectBySize(_SelectSome):
    """A draw, one hospital after another, each as likely as its share of the committed examples.

    The numbers are those that hospitals have declared with their last update, public on the ledger
    and their own word; who has not trained yet counts as the mean of the others. A weighted mean
    then counts size twice: Li et al. (FedProx, MLSys 2020) sample so and weigh all the same.
    """

    kind: Literal["by_size"] = "by_size"
    """Names this rule."""

    def _places(
        self, number: int, wanted: int, shares: list[float], rng: np.random.Generator
    ) -> list[int]:
        del number
        return [int(place) for place in rng.choice(len(shares), wanted, replace=False, p=shares)]


SelectionParams = Union[SelectAll, SelectRandom, SelectInTurn, SelectBySize]
"""Which hospitals train in a round."""
