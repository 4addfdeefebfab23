"""Parameters of a workload: how many clients, where they are, and when they submit.

*Open* clients submit at a rate, whatever happens to their requests; *closed* ones wait for a
result, think, and submit the next. `simulation.nodes.workload` runs them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Union

Place = Literal["replicas", "outside"]


@dataclass(frozen=True, kw_only=True, slots=True)
class NoLoad:
    """No workload: the hospitals learn."""

    kind: Literal["none"] = "none"
    """No workload."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    """What open and closed clients have in common."""

    clients: int = 4
    """Number of clients; client i is at replica i modulo n, or on a machine of its own."""
    place: Place = "replicas"
    """``replicas``: a client is its replica's own, and done when that replica has executed its
    request; ``outside``: a client has a machine of its own and waits for equal replies."""
    replies: int | None = None
    """Equal replies that an outside client waits for; null for f + 1 (§4.1)."""
    reply_bytes: int = 0
    """Size of a result, in bytes, without its framing."""
    retry_ms: float = 4_000.0
    """When an outside client sends its request to all replicas, in milliseconds; it doubles."""
    size_bytes: int = 0
    """Size of a request's payload, in bytes."""
    warmup_s: float = 1.0
    """Virtual seconds that are run but not measured, first."""
    measure_s: float = 10.0
    """Virtual seconds that are measured, then."""

    def __post_init__(self) -> None:
        if self.clients < 1:
            raise ValueError(f"clients: must be >= 1, got {self.clients}")
        if self.replies is not None and self.replies < 1:
            raise ValueError(f"replies: must be >= 1, got {self.replies}; null for f + 1")
        for name in ("size_bytes", "reply_bytes", "warmup_s"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name}: must be >= 0, got {getattr(self, name)}")
        for name in ("measure_s", "retry_ms"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}: must be > 0, got {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenLoad(Load):
    """Requests at a rate, whatever happens to them: for the latency at an offered load."""

    kind: Literal["open"] = "open"
    rate_per_s: float = 100.0
    """Requests per second of virtual time, of all clients together, in turn."""
    arrivals: Literal["poisson", "even"] = "poisson"
    """Whether the gaps between requests are exponential or all the same."""

    def __post_init__(self) -> None:
        Load.__post_init__(self)
        if not self.rate_per_s > 0:
            raise ValueError(f"rate_per_s: must be > 0, got {self.rate_per_s}")


@dataclass(frozen=True, kw_only=True, slots=True)
class ClosedLoad(Load):
    """One request per client at a time: for the throughput that a number of clients can drive."""

    kind: Literal["closed"] = "closed"
    think_ms: float = 0.0
    """Mean of the exponential time between a result and the next request, in milliseconds."""

    def __post_init__(self) -> None:
        Load.__post_init__(self)
        if not self.think_ms >= 0:
            raise ValueError(f"think_ms: must be >= 0, got {self.think_ms}")


LoadParams = Union[OpenLoad, ClosedLoad]
"""A workload, chosen by ``kind``."""

WorkloadParams = Union[NoLoad, OpenLoad, ClosedLoad]
"""A workload or none, chosen by ``kind``."""
