"""Parameters of chained HotStuff, with the paper's sections that define them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

MIN_REPLICAS = 4
MIN_WINDOW = 4
"""A block says what is committed by the three before it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HotStuffParams:
    """Chained HotStuff: n = 3f + 1 replicas survive f Byzantine ones with linear messages."""

    kind: Literal["hotstuff"] = "hotstuff"
    replicas: int | None = None
    """Replicas n, hospitals 0 to n − 1; the other hospitals follow certified blocks. Null means all
    hospitals. At least 4 (n = 3f + 1 with f = 1; §3)."""
    quorum: Literal["safe", "2f+1", "majority"] = "safe"
    """Votes that certify: ``safe`` is ⌈(n + f + 1) / 2⌉, right for every n; ``2f+1`` is unsafe when
    n is not 3f + 1; ``majority`` survives crashes only."""
    batch_max_requests: int = 64
    """A batch is closed when it holds so many requests; one batch is the content of one block."""
    batch_max_bytes: int = 1_000_000
    """A batch is closed before it would exceed so many bytes; one larger request goes alone."""
    batch_max_age_ms: float = 2.0
    """With no block under way, a batch is closed when its first request has waited so long, in
    milliseconds of virtual time; 0 closes it at once. A block that is due anyway takes all."""
    tenure: int = 4
    """Rounds that one leader leads before the next takes over: 1 in §5; §6 allows a stable leader.
    A commitment needs three blocks in successive rounds and the next leader to certify the third,
    so with less than 4 and a silent leader at every fourth place nothing is ever committed."""
    window: int = 64
    """The most committed blocks kept in memory for replicas that are behind; older batches are read
    from the journal. At least 4."""
    round_timeout_ms: float = 10_000.0
    """How long a replica with unfinished work waits in a round before it asks for the next leader,
    in milliseconds (the pacemaker, §4.4 and §6). It doubles with every leader given up since the
    last commitment."""
    client_retry_ms: float = 4_000.0
    """How long a replica waits for its own request to be executed before it sends it to all
    replicas again, in milliseconds. It doubles with every repetition."""
    retransmit_ms: float = 1_000.0
    """How long a replica waits for a missing block before it asks for it, and for an answer before
    it asks another replica, in milliseconds."""
    transfer_batches: int = 64
    """The most decided batches in one message of state transfer."""
    clock_skew_ms: float = 5_000.0
    """How far in the future of a replica's own clock the leader's time for a batch may lie, in
    milliseconds, before the replica refuses to vote for it."""

    def __post_init__(self) -> None:
        if self.replicas is not None and self.replicas < MIN_REPLICAS:
            raise ValueError(f"replicas: {too_few(self.replicas)}")
        for name in (
            "batch_max_requests",
            "batch_max_bytes",
            "tenure",
            "transfer_batches",
        ):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: must be at least 1, got {getattr(self, name)}")
        if self.window < MIN_WINDOW:
            raise ValueError(f"window: must be at least {MIN_WINDOW}, got {self.window}; raise it")
        if self.batch_max_age_ms < 0:
            raise ValueError(f"batch_max_age_ms: must be ≥ 0, got {self.batch_max_age_ms}")
        for name in ("round_timeout_ms", "client_retry_ms", "retransmit_ms", "clock_skew_ms"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}: must be > 0, got {getattr(self, name)}")


def too_few(n: int) -> str:
    """What to say when n is below 3f + 1 for f = 1."""
    return (
        f"HotStuff needs n = 3f + 1 replicas, so at least {MIN_REPLICAS} to survive one fault, "
        f"got {n}; use >= {MIN_REPLICAS}"
    )
