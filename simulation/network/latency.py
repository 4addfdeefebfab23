"""Parameters of how long a message travels between two nodes, chosen by ``kind``.

Delays are *one-way* times from the last bit leaving the sender to the first bit arriving; a round
trip takes two. The models that draw them are in `simulation.network.delays`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Union

from simulation.network.regions import RegionLatency


def _positive(name: str, value: float) -> None:
    if not value > 0:
        raise ValueError(f"{name}: must be > 0, got {value}; use kind: constant for no variation")


def _not_negative(name: str, value: float) -> None:
    if not value >= 0:
        raise ValueError(f"{name}: must be >= 0, got {value}; a delay cannot be negative")


@dataclass(frozen=True, kw_only=True, slots=True)
class ConstantLatency:
    """Every message takes the same time."""

    kind: Literal["constant"] = "constant"
    delay_ms: float = 10.0
    """One-way delay, in milliseconds."""

    def __post_init__(self) -> None:
        _not_negative("delay_ms", self.delay_ms)


@dataclass(frozen=True, kw_only=True, slots=True)
class UniformLatency:
    """Every message draws its own delay, uniformly from a range."""

    kind: Literal["uniform"] = "uniform"
    low_ms: float = 10.0
    """Shortest one-way delay, in milliseconds."""
    high_ms: float = 20.0
    """Longest one-way delay, in milliseconds."""

    def __post_init__(self) -> None:
        _not_negative("low_ms", self.low_ms)
        _ordered(self.low_ms, self.high_ms)


@dataclass(frozen=True, kw_only=True, slots=True)
class NormalLatency:
    """Normally distributed delays, truncated at zero (negative draws are drawn again)."""

    kind: Literal["normal"] = "normal"
    mean_ms: float = 15.0
    """Mean of the normal distribution before truncation, one-way, in milliseconds."""
    sd_ms: float = 2.0
    """Its standard deviation, in milliseconds."""

    def __post_init__(self) -> None:
        _not_negative("mean_ms", self.mean_ms)
        _positive("sd_ms", self.sd_ms)


@dataclass(frozen=True, kw_only=True, slots=True)
class LognormalLatency:
    """Lognormal delays: the long right tail of measured wide-area paths."""

    kind: Literal["lognormal"] = "lognormal"
    median_ms: float = 15.0
    """Median one-way delay, in milliseconds."""
    sigma: float = 0.2
    """Standard deviation of the delay's natural logarithm."""

    def __post_init__(self) -> None:
        _positive("median_ms", self.median_ms)
        _positive("sigma", self.sigma)


@dataclass(frozen=True, kw_only=True, slots=True)
class GammaLatency:
    """A fixed floor (the speed of light) plus gamma-distributed queueing."""

    kind: Literal["gamma"] = "gamma"
    floor_ms: float = 10.0
    """Shortest possible one-way delay, in milliseconds."""
    mean_ms: float = 15.0
    """Mean one-way delay including the floor, in milliseconds."""
    shape: float = 2.0
    """Shape of the gamma distribution above the floor: 1 is exponential, larger is more even."""

    def __post_init__(self) -> None:
        _not_negative("floor_ms", self.floor_ms)
        _positive("shape", self.shape)
        if not self.mean_ms > self.floor_ms:
            raise ValueError(
                f"mean_ms: must be above floor_ms = {self.floor_ms}, got {self.mean_ms}"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class EmpiricalLatency:
    """Delays drawn with replacement from measured ones."""

    kind: Literal["empirical"] = "empirical"
    samples_ms: tuple[float, ...] = ()
    """Measured one-way delays, in milliseconds; at least one."""

    def __post_init__(self) -> None:
        if not self.samples_ms:
            raise ValueError("samples_ms: is empty; list at least one measured one-way delay")
        for sample in self.samples_ms:
            _not_negative("samples_ms", sample)


@dataclass(frozen=True, kw_only=True, slots=True)
class PairLatency:
    """Every pair of nodes has its own base delay, the same in both directions, plus jitter.

    The base is drawn once per run from a range, because two hospitals do not move during a run;
    the jitter of each message is exponential.
    """

    kind: Literal["pairs"] = "pairs"
    low_ms: float = 10.0
    """Shortest base delay between two nodes, one-way, in milliseconds."""
    high_ms: float = 20.0
    """Longest base delay between two nodes, one-way, in milliseconds."""
    jitter_ms: float = 0.5
    """Mean of the exponential jitter added to each message, in milliseconds; 0 for none."""

    def __post_init__(self) -> None:
        _not_negative("low_ms", self.low_ms)
        _ordered(self.low_ms, self.high_ms)
        _not_negative("jitter_ms", self.jitter_ms)


LatencyParams = Union[
    ConstantLatency,
    UniformLatency,
    NormalLatency,
    LognormalLatency,
    GammaLatency,
    EmpiricalLatency,
    PairLatency,
    RegionLatency,
]
"""How long a message travels, chosen by ``kind``."""


def _ordered(low_ms: float, high_ms: float) -> None:
    if high_ms < low_ms:
        raise ValueError(f"high_ms: must be >= low_ms = {low_ms}, got {high_ms}; swap the two")
