"""Where a hospital may stray in its own training, and the honest way through each place.

Training asks at the two points at which what is really done may differ from what is declared: the
rows that it reads and the privacy mechanism that it carries out. The honest answer changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from simulation.learning.privacy import PrivacyPlan

Rows = tuple[NDArray[np.float32], NDArray[np.int64]]
"""Training inputs, shape (rows, features), and labels, shape (rows,)."""


class Tampering:
    """What a hospital changes in its own training; this one is honest.

    A training is a pure function of model, round and history, in any process, so an answer depends
    on nothing but the arguments and what is pickled with the object.
    """

    def rows(self, number: int, x: NDArray[np.float32], y: NDArray[np.int64]) -> Rows:
        """The rows to train on in a round instead of these: as many, of the same features."""
        del number
        return x, y

    def mechanism(self, number: int, declared: PrivacyPlan) -> PrivacyPlan:
        """The plan that is carried out in a round, whatever has been declared."""
        del number
        return declared


class Chained(Tampering):
    """Several that act one after the other."""

    def __init__(self, links: Sequence[Tampering]) -> None:
        self._links = tuple(links)

    def rows(self, number: int, x: NDArray[np.float32], y: NDArray[np.int64]) -> Rows:
        for link in self._links:
            x, y = link.rows(number, x, y)
        return x, y

    def mechanism(self, number: int, declared: PrivacyPlan) -> PrivacyPlan:
        for link in self._links:
            declared = link.mechanism(number, declared)
        return declared


HONEST = Tampering()


def chained(links: Sequence[Tampering]) -> Tampering:
    """One that does what all of these do, in their order."""
    if len(links) <= 1:
        return links[0] if links else HONEST
    return Chained(links)
