"""Parameters of Raft, with the paper's sections that define them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True, slots=True)
class RaftParams:
    """Raft: a majority of replicas that do not lie is enough; f of n = 2f + 1 may crash."""

    kind: Literal["raft"] = "raft"
    replicas: int | None = None
    """Replicas n, hospitals 0 to n − 1; the other hospitals follow certified blocks. Null means all
    hospitals."""
    batch_max_requests: int = 64
    """A batch is closed when it holds so many requests; one batch is one log entry."""
    batch_max_bytes: int = 1_000_000
    """A batch is closed before it would exceed so many bytes; one larger request goes alone."""
    batch_max_age_ms: float = 2.0
    """A batch is closed when its first request has waited so long, in milliseconds of virtual
    time; 0 closes it at once."""
    pipeline: int = 16
    """The most log entries the leader keeps uncommitted at once; new requests wait meanwhile and
    fill larger batches."""
    window: int = 256
    """The most committed entries kept in memory for followers that are behind; older ones are read
    from the journal (in place of the snapshots of §7)."""
    append_max_entries: int = 64
    """The most log entries in one message."""
    election_timeout_ms: float = 10_000.0
    """How long a replica with unfinished work waits for a sign of the leader before it stands for
    election, in milliseconds: each term it draws a value from T to 2T (§5.2, §9.3). It doubles with
    every election that leads to no commitment."""
    heartbeat_ms: float = 1_000.0
    """How long the leader lets an unanswered follower wait before it sends again, in milliseconds
    (§5.2). Shorter than ``election_timeout_ms``."""
    client_retry_ms: float = 4_000.0
    """How long a replica waits for its own request to be executed before it sends it to the leader
    again, in milliseconds (§8)."""

    def __post_init__(self) -> None:
        if self.replicas is not None and self.replicas < 1:
            raise ValueError(f"replicas: {too_few(self.replicas)}")
        for name in (
            "batch_max_requests",
            "batch_max_bytes",
            "pipeline",
            "window",
            "append_max_entries",
        ):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: must be at least 1, got {getattr(self, name)}")
        if self.batch_max_age_ms < 0:
            raise ValueError(f"batch_max_age_ms: must be ≥ 0, got {self.batch_max_age_ms}")
        for name in ("election_timeout_ms", "heartbeat_ms", "client_retry_ms"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}: must be > 0, got {getattr(self, name)}")
        if self.heartbeat_ms >= self.election_timeout_ms:
            raise ValueError(
                f"heartbeat_ms: must be shorter than election_timeout_ms "
                f"({self.election_timeout_ms}), got {self.heartbeat_ms}; lower it, or followers "
                "depose a leader that is well"
            )


def too_few(n: int) -> str:
    """What to say when there is no replica."""
    return f"Raft needs at least 1 replica, and 2f + 1 to survive f crashes, got {n}"
