"""What the ledger holds against a member: misbehaviour that its own signatures prove.

An entry is written only from transactions that the accused has signed, or from the disagreement of
more replicas than can be faulty, so a member cannot be framed. A hospital that is accused is
*quarantined*: it commits and reveals nothing until the end of the task. The coordinator cannot be
replaced within a task; it is named.

State: ``evidence/count``, ``evidence/entry/<i>``, ``quarantine/<hospital>``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from simulation.base.encoding import Value
from simulation.base.ids import HospitalId, NodeId
from simulation.ledger.state import Journal, Reader

COUNT_KEY = "evidence/count"


@dataclass(frozen=True, slots=True)
class Evidence:
    """One act of a member, and what proves it."""

    node: NodeId
    kind: str
    """``equivocation``, ``wrong-aggregate`` or ``omission``."""
    round: int
    height: int
    proof: Mapping[str, Value]
    """Ids of the transactions, or the roots that disagree."""


def accuse(state: Journal, entry: Evidence, *, quarantine: bool) -> None:
    """Write an entry down; with ``quarantine``, bar the hospital from the rest of the task."""
    count = _count(state)
    state.put(COUNT_KEY, count + 1)
    state.put(
        entry_key(count),
        {
            "node": entry.node,
            "kind": entry.kind,
            "round": entry.round,
            "height": entry.height,
            "proof": dict(entry.proof),
        },
    )
    if quarantine:
        state.put(quarantine_key(entry.node), entry.height)


def is_quarantined(state: Reader, hospital: HospitalId) -> bool:
    """Whether the hospital is barred from the rest of the task."""
    return state.get(quarantine_key(hospital)) is not None


def evidence(state: Reader) -> tuple[Evidence, ...]:
    """All entries, in the order in which they were written."""
    return tuple(_read(state.get(entry_key(i))) for i in range(_count(state)))


def _count(state: Reader) -> int:
    match state.get(COUNT_KEY):
        case int(count):
            return count
        case _:
            return 0


def _read(value: Value) -> Evidence:
    match value:
        case {
            "node": int(node),
            "kind": str(kind),
            "round": int(number),
            "height": int(height),
            "proof": Mapping() as proof,
        }:
            return Evidence(node, kind, number, height, cast("Mapping[str, Value]", proof))
        case _:
            raise AssertionError("the contracts store complete entries")


def entry_key(index: int) -> str:
    """Where an entry is kept."""
    return f"evidence/entry/{index:06d}"


def quarantine_key(hospital: HospitalId) -> str:
    """Where the height of a hospital's quarantine is kept."""
    return f"quarantine/{hospital:03d}"
