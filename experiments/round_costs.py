"""What a round of a federated run costs on the virtual machinery: time, and bytes sent."""

from __future__ import annotations

from experiments.stem import Run
from simulation.base.units import US_PER_S


def seconds_per_round(run: Run) -> float:
    """Virtual seconds, the mean over all rounds of a run."""
    return run.manifest["summary"]["virtual_us"] / US_PER_S / _rounds(run)


def bytes_per_round(run: Run) -> float:
    """Bytes that all nodes send, the mean over all rounds of a run."""
    sent = run.manifest["summary"].get("messages", {})
    return sum(kind["bytes"] for kind in sent.values()) / _rounds(run)


def _rounds(run: Run) -> int:
    return max(number for number, _ in run.series("pooled", "auroc"))
