"""Parameters of the sequencer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True, slots=True)
class SequencerParams:
    """One trusted orderer: replica 0 numbers batches. It survives no fault."""

    kind: Literal["sequencer"] = "sequencer"
    replicas: int | None = None
    """Replicas n, hospitals 0 to n − 1; the other hospitals follow certified blocks. Null means all
    hospitals."""
    batch_max_requests: int = 64
    """A batch is closed when it holds so many requests."""
    batch_max_bytes: int = 1_000_000
    """A batch is closed before it would exceed so many bytes; one larger request goes alone."""
    batch_max_age_ms: float = 2.0
    """A batch is closed when its first request has waited so long, in milliseconds of virtual
    time; 0 closes it at once."""

    def __post_init__(self) -> None:
        if self.replicas is not None and self.replicas < 1:
            raise ValueError(f"replicas: must be at least 1, got {self.replicas}")
        for name in ("batch_max_requests", "batch_max_bytes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: must be at least 1, got {getattr(self, name)}")
        if self.batch_max_age_ms < 0:
            raise ValueError(f"batch_max_age_ms: must be ≥ 0, got {self.batch_max_age_ms}")
