"""Parameters of the changes of membership: who joins, leaves, gets another key or is revoked.

A change takes effect between two rounds, before the round that it names opens. The hospitals have
agreed on it outside the system; here they carry it out, each by its own transactions
(`simulation.contracts.membership`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Union

from simulation.base.ids import HospitalId


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """When a change takes effect, and whom it concerns."""

    round: int
    """The first round for which it holds, from 1."""
    hospital: int
    """Whom it concerns."""

    def __post_init__(self) -> None:
        if self.round < 1:
            raise ValueError(f"round: rounds count from 1, got {self.round}")
        if self.hospital < 0:
            raise ValueError(f"hospital: hospitals count from 0, got {self.hospital}")


@dataclass(frozen=True, kw_only=True, slots=True)
class JoinChange(Change):
    """A hospital registers, a quorum of replicas lets it in; it votes where all hospitals do.

    A hospital whose first change is to join is no founder: it has its records and its key, and
    follows the ledger, but takes part from this round on only.
    """

    kind: Literal["join"] = "join"


@dataclass(frozen=True, kw_only=True, slots=True)
class LeaveChange(Change):
    """A hospital leaves: it trains and votes no more, and keeps its ledger up to there."""

    kind: Literal["leave"] = "leave"


@dataclass(frozen=True, kw_only=True, slots=True)
class RotateChange(Change):
    """A hospital replaces its key by a new one, proving that it has it."""

    kind: Literal["rotate"] = "rotate"


@dataclass(frozen=True, kw_only=True, slots=True)
class RevokeChange(Change):
    """A quorum of replicas revokes a hospital's key: it is not heard any more."""

    kind: Literal["revoke"] = "revoke"


MembershipChange = Union[JoinChange, LeaveChange, RotateChange, RevokeChange]
"""One entry of the schedule of changes, chosen by ``kind``."""


def in_order(changes: Sequence[MembershipChange]) -> list[MembershipChange]:
    """The changes by round; those before one round as they are listed."""
    return sorted(changes, key=lambda change: change.round)


def founders(changes: Sequence[MembershipChange], hospitals: int) -> tuple[HospitalId, ...]:
    """The hospitals that are members from the start: all whose first change is not to join."""
    first: dict[HospitalId, str] = {}
    for change in in_order(changes):
        first.setdefault(change.hospital, change.kind)
    return tuple(h for h in range(hospitals) if first.get(h) != "join")


def members_at(
    changes: Sequence[MembershipChange], hospitals: int, number: int
) -> tuple[HospitalId, ...]:
    """The hospitals that are members when round ``number`` opens."""
    found = set(founders(changes, hospitals))
    for change in in_order(changes):
        if change.round > number:
            break
        if change.kind == "join":
            found.add(change.hospital)
        elif change.kind != "rotate":
            found.discard(change.hospital)
    return tuple(sorted(found))
