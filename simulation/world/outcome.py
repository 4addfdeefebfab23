"""What a run leaves behind."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from simulation.base.tensors import Arrays
from simulation.trace.events import Event


@dataclass(frozen=True)
class Outcome:
    """What a run leaves behind, besides its files."""

    metrics: list[dict[str, Any]]
    """Tidy rows: round, scope, metric, value, t_us."""
    trace_digest: str
    virtual_us: int
    summary: dict[str, Any]
    """What the closing table shows: model, ledger and privacy in a few numbers."""
    invariants: list[str]
    """The properties that were checked and hold."""
    events: list[Event] = field(repr=False)
    arrays: Arrays = field(repr=False)
    """The final model; empty when the run trained nothing."""
    notes: tuple[str, ...] = ()
    """What belongs beside the result about its records, e.g. that scaling was not private."""


class InvariantError(RuntimeError):
    """A property that every run must have does not hold."""
