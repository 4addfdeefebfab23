"""Parameters of PBFT, with the paper's sections that define them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

MIN_REPLICAS = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class PbftParams:
    """Practical Byzantine Fault Tolerance: n = 3f + 1 replicas survive f Byzantine ones."""

    kind: Literal["pbft"] = "pbft"
    replicas: int | None = None
    """Replicas n, hospitals 0 to n − 1; the other hospitals follow certified blocks. Null means all
    hospitals. At least 4 (n = 3f + 1 with f = 1; §3)."""
    quorum: Literal["safe", "2f+1", "majority"] = "safe"
    """Votes that decide: ``safe`` is ⌈(n + f + 1) / 2⌉, right for every n; ``2f+1`` is the paper's
    rule, unsafe when n is not 3f + 1 (§4.2); ``majority`` survives crashes only."""
    batch_max_requests: int = 64
    """A batch is closed when it holds so many requests (TOCS 2002, §5.1.2)."""
    batch_max_bytes: int = 1_000_000
    """A batch is closed before it would exceed so many bytes; one larger request goes alone."""
    batch_max_age_ms: float = 2.0
    """A batch is closed when its first request has waited so long, in milliseconds of virtual
    time; 0 closes it at once."""
    pipeline: int = 16
    """The most sequence numbers the primary keeps undecided at once; new requests wait meanwhile
    and fill larger batches (the sliding window of TOCS 2002, §5.1.2)."""
    window: int = 256
    """Sequence numbers between the low and the high water mark: L in §4.3. At least twice the
    checkpoint interval, so that no replica waits for a checkpoint to become stable."""
    checkpoint_interval: int = 128
    """A checkpoint is taken every so many sequence numbers: K in §4.3."""
    request_timeout_ms: float = 10_000.0
    """How long a backup waits for a known request to be executed before it asks for a new view, in
    milliseconds: T in §4.4 and §4.5.2. It doubles with every unsuccessful view."""
    client_retry_ms: float = 4_000.0
    """How long a replica waits for its own request to be executed before it sends it to all
    replicas, in milliseconds (§4.1: client retransmission). It doubles with every repetition."""
    retransmit_ms: float = 3_000.0
    """How long unfinished work may stand still before a replica tells the others what it has, so
    that they send it what it lacks, in milliseconds (status messages; TOCS 2002, §5.2)."""
    heartbeat_ms: float = 0.0
    """How often a replica with nothing to do tells the others what it has, in milliseconds, so that
    it finds out what it missed while it was cut off; 0 means never."""
    transfer_batches: int = 64
    """The most decided batches in one message of state transfer."""
    clock_skew_ms: float = 5_000.0
    """How far in the future of a backup's own clock the primary's time for a batch may lie, in
    milliseconds, before the backup refuses it (§4.6: the primary's choice is checked)."""

    def __post_init__(self) -> None:
        if self.replicas is not None and self.replicas < MIN_REPLICAS:
            raise ValueError(f"replicas: {too_few(self.replicas)}")
        for name in (
            "batch_max_requests",
            "batch_max_bytes",
            "pipeline",
            "checkpoint_interval",
            "transfer_batches",
        ):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: must be at least 1, got {getattr(self, name)}")
        if self.window < 2 * self.checkpoint_interval:
            raise ValueError(
                f"window: must be at least twice checkpoint_interval "
                f"({2 * self.checkpoint_interval}), got {self.window}; raise it"
            )
        for name in ("batch_max_age_ms", "heartbeat_ms"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}: must be ≥ 0, got {getattr(self, name)}")
        for name in ("request_timeout_ms", "client_retry_ms", "retransmit_ms", "clock_skew_ms"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}: must be > 0, got {getattr(self, name)}")


def too_few(n: int) -> str:
    """What to say when n is below 3f + 1 for f = 1."""
    return (
        f"PBFT needs n = 3f + 1 replicas, so at least {MIN_REPLICAS} to survive one fault, "
        f"got {n}; use >= {MIN_REPLICAS}"
    )
