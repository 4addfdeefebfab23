"""Which engine carries out the trainings. Nothing heavy is imported here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Union


@dataclass(frozen=True, kw_only=True, slots=True)
class InlineParams:
    """Hospitals train one after the other in the program's own process, with Opacus."""

    kind: Literal["inline"] = "inline"
    """Names this engine."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ProcessParams:
    """Hospitals train side by side in worker processes: the same bits as ``inline``, sooner."""

    kind: Literal["process"] = "process"
    """Names this engine."""
    workers: int | None = None
    """Worker processes; none: one for each processor core. Each takes seconds to start."""

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise ValueError(f"workers: must be at least 1, got {self.workers}")


@dataclass(frozen=True, kw_only=True, slots=True)
class RayParams:
    """Hospitals train on a Ray cluster: the same bits as ``inline`` where the machines are alike.

    Needs the extra ``ray``: ``pip install 'wardchain[ray]'``.
    """

    kind: Literal["ray"] = "ray"
    """Names this engine."""
    address: str | None = None
    """Where the cluster's head listens, as ``host:port``, or ``auto`` for the one that runs here;
    none: a cluster of this machine alone, for this run only."""
    workers: int | None = None
    """Processor cores of a cluster of this machine alone; none: all of them."""

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise ValueError(f"workers: must be at least 1, got {self.workers}")
        if self.workers is not None and self.address is not None:
            raise ValueError("workers: a cluster at an address has its own; leave one of them out")


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchedParams:
    """All private trainings of a round in one computation, with closed-form norms per record.

    For linear layers with pointwise activations under DP-SGD; everything else trains as in
    ``inline``. From one global model it gives the same updates as ``inline`` up to rounding, with
    the same batches and noise. Noise is keyed by the global model, so that over several rounds the
    two draw other noise of the same distribution, as two seeds would.
    Source: Goodfellow, "Efficient Per-Example Gradient Computations", 2015, arXiv 1510.01799.
    """

    kind: Literal["batched"] = "batched"
    """Names this engine."""
    cohort: int = 32
    """Most hospitals in one computation. Their working memory should fit a processor's cache."""

    def __post_init__(self) -> None:
        if self.cohort < 1:
            raise ValueError(f"cohort: must be at least 1, got {self.cohort}")


EngineParams = Union[InlineParams, ProcessParams, RayParams, BatchedParams]
"""Every engine that a configuration may name."""
