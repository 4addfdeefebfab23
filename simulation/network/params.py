"""What a configuration says about the network: a profile by name, and what departs from it.

Profiles give *round-trip* ranges as the literature does; delays inside the program are one-way,
half of that. Sources: IBM Cloud VPC network-latency page, 21 Jul 2024 (between zones of one region
1.75–2.2 ms; Frankfurt–Madrid 29, Frankfurt–London 13, Washington–Frankfurt 95, Dallas–Tokyo 145,
Sao Paulo–Dallas 144 ms round trip); cloudping.co's public matrix of AWS regions (between continents
mostly 70–160 ms in the northern hemisphere).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from simulation.network.latency import LatencyParams, PairLatency

ProfileName = Literal["metro", "national", "intercontinental"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Profile:
    """The defaults that a profile's name stands for."""

    latency: LatencyParams
    uplink_mbps: float
    downlink_mbps: float
    summary: str


PROFILES: dict[str, Profile] = {
    "metro": Profile(
        latency=PairLatency(low_ms=1.0, high_ms=2.5, jitter_ms=0.1),
        uplink_mbps=1000.0,
        downlink_mbps=1000.0,
        summary="hospitals of one city: 2-5 ms round trip, 1 Gbit/s",
    ),
    "national": Profile(
        latency=PairLatency(low_ms=10.0, high_ms=20.0, jitter_ms=0.5),
        uplink_mbps=1000.0,
        downlink_mbps=1000.0,
        summary="hospitals of one country: 20-40 ms round trip, 1 Gbit/s",
    ),
    "intercontinental": Profile(
        latency=PairLatency(low_ms=35.0, high_ms=80.0, jitter_ms=2.0),
        uplink_mbps=500.0,
        downlink_mbps=500.0,
        summary="hospitals of several continents: 70-160 ms round trip, 500 Mbit/s",
    ),
}
"""Profiles by name: round-trip ranges halved, each pair of nodes fixed, a little jitter."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkParams:
    """Cables between the nodes. Fields left out are the profile's."""

    profile: ProfileName = "national"
    """Named defaults: ``metro`` (2-5 ms round trip), ``national`` (20-40 ms) or
    ``intercontinental`` (70-160 ms); round trip, every pair of nodes drawn once from the range."""
    latency: LatencyParams | None = None
    """One-way delay distribution, in place of the profile's; chosen by ``kind``."""
    uplink_mbps: float | None = None
    """What a node can send, in Mbit/s, shared by everything it sends (one first-in first-out
    queue); 0 for unlimited. Left out: the profile's."""
    downlink_mbps: float | None = None
    """What a node can receive, in Mbit/s, shared by everything it receives; 0 for unlimited.
    Left out: the profile's."""
    loss: float = 0.0
    """Probability that a message is lost on its way, each copy of a broadcast apart; from 0 to 1.
    Protocols of this project retransmit for themselves, there is no TCP underneath."""
    duplicate: float = 0.0
    """Probability that a message arrives twice; from 0 to 1."""
    reorder: float = 0.0
    """Probability that a message is delayed, so that others overtake it; from 0 to 1."""
    reorder_ms: float = 50.0
    """The most that a reordered message, or the second copy of a duplicated one, is late, in
    milliseconds; drawn uniformly from 0."""

    def __post_init__(self) -> None:
        if self.profile not in PROFILES:
            raise ValueError(
                f"profile: unknown profile {self.profile!r}; choose one of {', '.join(PROFILES)}"
            )
        for name in ("uplink_mbps", "downlink_mbps"):
            rate = getattr(self, name)
            if rate is not None and not rate >= 0:
                raise ValueError(f"{name}: must be >= 0, got {rate}; use 0 for an unlimited link")
        for name in ("loss", "duplicate", "reorder"):
            check_probability(name, getattr(self, name))
        if not self.reorder_ms >= 0:
            raise ValueError(f"reorder_ms: must be >= 0, got {self.reorder_ms}")

    @property
    def delays(self) -> LatencyParams:
        """The delay distribution in force."""
        return self.latency if self.latency is not None else PROFILES[self.profile].latency

    @property
    def uplink_bps(self) -> int:
        """Rate of a node's uplink in bits per second; 0 for unlimited."""
        own = self.uplink_mbps
        return round((PROFILES[self.profile].uplink_mbps if own is None else own) * 1e6)

    @property
    def downlink_bps(self) -> int:
        """Rate of a node's downlink in bits per second; 0 for unlimited."""
        own = self.downlink_mbps
        return round((PROFILES[self.profile].downlink_mbps if own is None else own) * 1e6)


def check_probability(name: str, value: float) -> None:
    """Refuse what is no probability.

    Raises:
        ValueError: naming the field.
    """
    if not 0 <= value <= 1:
        raise ValueError(f"{name}: must be from 0 to 1, got {value}; 0.05 means 5 %")
