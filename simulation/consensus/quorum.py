"""Quorum rules as data: how many votes decide, and how many faults that survives.

The safe rule for any n is ``⌈(n + f + 1) / 2⌉``: two such quorums share at least f + 1 replicas, so
at least one honest one. The textbook ``2f + 1`` equals it only when n = 3f + 1; at n = 8, for
example, two quorums of 5 may share two replicas, both faulty.

Source: Castro & Liskov, OSDI '99, §3–4; the general form as in SmartBFT (Hyperledger RFC 6).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


def byzantine_faults(n: int) -> int:
    """The most Byzantine replicas that n replicas tolerate: ``f = ⌊(n − 1) / 3⌋`` (§3)."""
    return (n - 1) // 3


def crash_faults(n: int) -> int:
    """The most crashed replicas that a majority protocol tolerates: ``⌊(n − 1) / 2⌋``."""
    return (n - 1) // 2


def safe_quorum(n: int, f: int) -> int:
    """``⌈(n + f + 1) / 2⌉``: any two quorums share an honest replica, whatever n."""
    return (n + f + 2) // 2


def two_f_plus_one(n: int, f: int) -> int:
    """The textbook rule. Unsafe when n > 3f + 1; here so that a student can watch it fail."""
    del n
    return 2 * f + 1


def majority(n: int, f: int) -> int:
    """More than half of n: enough against crashes, not against lies."""
    del f
    return n // 2 + 1


QUORUM_RULES: dict[str, Callable[[int, int], int]] = {
    "safe": safe_quorum,
    "2f+1": two_f_plus_one,
    "majority": majority,
}
"""The rules that a configuration may name."""


@dataclass(frozen=True, slots=True)
class Quorum:
    """The numbers that a protocol counts against.

    Raises:
        ValueError: when they cannot describe a replica set.
    """

    n: int
    """Replicas."""
    f: int
    """Byzantine replicas that the protocol is meant to survive."""
    size: int
    """Votes that decide."""

    def __post_init__(self) -> None:
        if not 0 <= self.f < self.n:
            raise ValueError(f"f = {self.f} faulty of n = {self.n} replicas is no replica set")
        if not 1 <= self.size <= self.n:
            raise ValueError(f"a quorum of {self.size} cannot be met by n = {self.n} replicas")

    @property
    def weak(self) -> int:
        """``f + 1``: at least one of so many is honest."""
        return self.f + 1

    @property
    def is_safe(self) -> bool:
        """Whether any two quorums share an honest replica: ``2·size − n > f``."""
        return 2 * self.size - self.n > self.f

    @property
    def is_live(self) -> bool:
        """Whether the honest replicas alone can make a quorum: ``size ≤ n − f``."""
        return self.size <= self.n - self.f


def byzantine_quorum(n: int, rule: str = "safe") -> Quorum:
    """The quorum of n replicas under a named rule, for f = ⌊(n − 1) / 3⌋.

    Raises:
        ValueError: when no such rule exists; the message lists those that do.
    """
    if rule not in QUORUM_RULES:
        raise ValueError(f"unknown quorum rule {rule!r}; choose one of {', '.join(QUORUM_RULES)}")
    f = byzantine_faults(n)
    return Quorum(n, f, QUORUM_RULES[rule](n, f))
