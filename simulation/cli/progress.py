"""A run as it is watched: one row for each round, filled in by the events of the trace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from simulation.base.units import US_PER_MS, format_us
from simulation.trace.events import (
    Event,
    Measured,
    PrivacySpent,
    RoundClosed,
    RoundOpened,
    TransactionExecuted,
)

SCOPE = "pooled"
"""The metrics shown are those of all hospitals' test rows together."""

WORKLOAD = "workload"
"""The scope of what the clients of a workload measured."""

COLUMNS = ("round", "AUROC", "ε", "accepted", "consensus p50", "p99", "virtual time")


@dataclass(slots=True)
class Row:
    """One round."""

    round: int
    hospitals: int = 0
    accepted: int | None = None
    """Updates that went into the model; none while the round is open."""
    auroc: float | None = None
    epsilon: float | None = None
    """The largest ε that any hospital has spent so far."""
    latencies_us: list[int] = field(default_factory=list[int])
    """From submission to execution, of each ledger transaction of the round."""
    t_us: int = 0

    def cells(self) -> tuple[str, ...]:
        """The row as text, in the order of `COLUMNS`."""
        p50, p99 = percentile(self.latencies_us, 50), percentile(self.latencies_us, 99)
        return (
            str(self.round),
            "-" if self.auroc is None else f"{self.auroc:.4f}",
            "-" if self.epsilon is None else f"{self.epsilon:.3f}",
            f"{'…' if self.accepted is None else self.accepted}/{self.hospitals}",
            "-" if p50 is None else f"{p50 / US_PER_MS:.1f} ms",
            "-" if p99 is None else f"{p99 / US_PER_MS:.1f} ms",
            format_us(self.t_us),
        )


class Progress:
    """Listens to a run."""

    def __init__(self) -> None:
        self.rows: dict[int, Row] = {}
        self._waiting: list[int] = []
        self._epsilon = 0.0

    def listen(self, event: Event) -> None:
        """Take one event of the trace."""
        match event:
            case RoundOpened():
                row = self._row(event.round)
                row.hospitals, row.t_us = event.hospitals, event.t_us
            case TransactionExecuted():
                self._waiting.append(event.latency_us)
            case Measured(metric="auroc", scope=scope) if scope == SCOPE and event.round > 0:
                self._row(event.round).auroc = event.value
            case PrivacySpent():
                self._epsilon = max(event.epsilon, self._epsilon)
                self._row(event.round).epsilon = self._epsilon
            case RoundClosed():
                row = self._row(event.round)
                row.accepted, row.t_us = event.accepted, event.t_us
                # The transaction that opened a round ran before the round was announced.
                row.latencies_us, self._waiting = self._waiting, []
            case _:
                pass

    def latencies_us(self) -> list[int]:
        """Of all transactions of the run."""
        return [latency for row in self.rows.values() for latency in row.latencies_us]

    def last(self) -> Row | None:
        """The last round."""
        return self.rows[max(self.rows)] if self.rows else None

    def _row(self, number: int) -> Row:
        return self.rows.setdefault(number, Row(number))


def percentile(values: Sequence[int], share: int) -> int | None:
    """The smallest value that at least ``share`` percent do not exceed (nearest rank)."""
    if not values:
        return None
    return sorted(values)[max(0, -(-len(values) * share // 100) - 1)]
