"""A tiny source of reproducible draws for schedules and attackers: SplitMix64.

Consensus code uses no random numbers. Its testers do: which fault comes when, what is lost.
Those draws must be pure, fast to start by the thousand, and the same on every platform.

Source: Steele, Lea & Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

_MASK = 2**64 - 1
_GAMMA = 0x9E3779B97F4A7C15


class Draw:
    """A stream of draws; equal names give equal streams."""

    __slots__ = ("_state",)

    def __init__(self, *name: int) -> None:
        state = 0
        for part in name:
            state = _mix(state ^ (part & _MASK))
        self._state = state

    def next(self) -> int:
        """A 64-bit integer."""
        self._state = (self._state + _GAMMA) & _MASK
        z = self._state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        return z ^ (z >> 31)

    def below(self, limit: int) -> int:
        """An integer from 0 to ``limit`` − 1."""
        return self.next() % limit

    def between(self, low: int, high: int) -> int:
        """An integer from ``low`` to ``high``, both included."""
        return low + self.next() % (high - low + 1)

    def chance(self, permille: int) -> bool:
        """True in so many of a thousand cases."""
        return self.next() % 1000 < permille

    def choice(self, items: Sequence[T]) -> T:
        """One of the items."""
        return items[self.next() % len(items)]

    def sample(self, items: Sequence[T], count: int) -> list[T]:
        """``count`` different items, in the order of ``items``."""
        left = list(range(len(items)))
        taken = sorted(left.pop(self.next() % len(left)) for _ in range(min(count, len(items))))
        return [items[i] for i in taken]


def _mix(value: int) -> int:
    z = (value + _GAMMA) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)
