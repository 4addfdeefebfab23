"""Whom a hospital trusts, as parameters: what the kinds of differential privacy have in common, and
the two kinds that trust somebody. Nothing heavy is imported here.

`dp_sgd` (in `params`) trusts nobody outside the hospital and is the default. `distributed` trusts a
protocol that shows nothing but the sum of a round's updates, and that enough hospitals are honest.
`central` trusts the coordinator, who sees everything and adds the noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

PrivacyUnit = Literal["record", "patient"]
"""What is protected as one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DpParams:
    """DP-SGD, whoever adds the noise: give a target ``epsilon`` or a ``noise_multiplier``.

    Neighbours differ in one unit, added or removed. A hospital's numbers of records and of patients
    are treated as public.
    Source: Abadi et al., "Deep Learning with Differential Privacy", CCS 2016.
    """

    epsilon: float | None = None
    """Target for all steps of all planned rounds together; the noise is calibrated to it."""
    hospital_epsilons: tuple[float, ...] = ()
    """A target for each hospital, in their order, instead of one for all: who asks for more
    privacy adds more noise. Empty: the one of ``epsilon``."""
    noise_multiplier: float | None = None
    """Standard deviation of the noise in units of max_grad_norm, instead of a target."""
    delta: float = 1e-5
    """Probability with which the guarantee may fail; below 1 / (10 x units of any hospital)."""
    max_grad_norm: float = 1.0
    """Norm to which each record's gradient, or the sum of a patient's, is clipped, above 0."""
    unit: PrivacyUnit = "record"
    """What is protected as one: a ``record``, or a ``patient`` with all of their records at the
    hospital. By patient, patients are sampled and the sum of a patient's gradients is clipped."""
    secure_rng: bool = False
    """Draw the key of noise and sampling from the operating system instead of the run's seed. Then
    the run cannot be reproduced; without it, who knows the seed can subtract the noise."""

    def __post_init__(self) -> None:
        ways = (self.epsilon, self.hospital_epsilons or None, self.noise_multiplier)
        if sum(way is not None for way in ways) != 1:
            raise ValueError(
                "epsilon: give either epsilon (a target over all rounds), or hospital_epsilons, or "
                "noise_multiplier; use kind: none for no privacy"
            )
        for name, value in (
            ("epsilon", self.epsilon),
            *(("hospital_epsilons", value) for value in self.hospital_epsilons),
            ("noise_multiplier", self.noise_multiplier),
            ("max_grad_norm", self.max_grad_norm),
        ):
            if value is not None and not 0 < value < math.inf:
                raise ValueError(f"{name}: must be > 0, got {value}; use kind: none for no privacy")
        if not 0 < self.delta < 1:
            raise ValueError(f"delta: must be between 0 and 1, got {self.delta}; usual is 1e-5")

    def target(self, hospital: int) -> float | None:
        """A hospital's target ε; none when the noise is given instead."""
        return self.hospital_epsilons[hospital] if self.hospital_epsilons else self.epsilon


@dataclass(frozen=True, kw_only=True, slots=True)
class DistributedParams(DpParams):
    """DP-SGD whose noise the hospitals add together, under secure aggregation.

    Only the sum of a round's updates is seen, so each of h honest hospitals adds 1/√h of the noise.
    Secure aggregation is an ideal functionality here: it gives the sum to the coordinator and
    nothing to anybody else, or nothing at all when too many hospitals drop out. Protects against
    everyone outside the hospital, but for ``colluding`` hospitals who pool what they know with the
    coordinator. Needs ``local_steps: 1`` without momentum: after a second step of its own a
    hospital's update is no sum of clipped gradients and noise any more. Needs ``ledger: none``: a
    ledger that holds single updates would show each of them with its share of the noise only, and
    one that holds none can check neither an update nor a robust rule.

    Sources: Bonawitz et al., "Practical Secure Aggregation", CCS 2017; Kairouz, Liu, Steinke, "The
    Distributed Discrete Gaussian Mechanism", ICML 2021 (noise in shares; its noise is discrete,
    ours continuous, as if sums of real numbers could be kept secret).
    """

    kind: Literal["distributed"] = "distributed"
    """Names this choice."""
    dropouts: int = 0
    """Most hospitals that may fail to answer in a round; with more the round is void."""
    colluding: int = 0
    """Most hospitals that may tell the coordinator their own noise."""
    key_agreement_us: int = 100
    """Time to agree on a key with one other hospital, in microseconds."""
    mask_mb_per_s: float = 500.0
    """Speed at which a hospital expands a key into a mask, in 10^6 bytes per second."""

    def __post_init__(self) -> None:
        DpParams.__post_init__(self)
        for name, value in (("dropouts", self.dropouts), ("colluding", self.colluding)):
            if value < 0:
                raise ValueError(f"{name}: must be at least 0, got {value}")
        if self.key_agreement_us < 0:
            raise ValueError(f"key_agreement_us: must be at least 0, got {self.key_agreement_us}")
        if not 0 < self.mask_mb_per_s < math.inf:
            raise ValueError(f"mask_mb_per_s: must be above 0, got {self.mask_mb_per_s}")

    def honest(self, hospitals: int) -> int:
        """Hospitals whose noise can be relied on in every round that counts."""
        return hospitals - self.dropouts - self.colluding


@dataclass(frozen=True, kw_only=True, slots=True)
class CentralParams:
    """Noise by the coordinator, who clips each hospital's whole update: Flower's own wrapper.

    Protects a whole hospital against whoever sees the models but not the updates. The coordinator,
    and with a ledger every member, sees the updates as they are, so nothing protects against them.
    With tens of hospitals one of them is a large part of the average, and the noise that hides it
    drowns the rest: a baseline. Needs a strategy with Flower's plain average (FedAvg, FedProx), all
    hospitals in every round and ``ledger: none``; every hospital then weighs the same.
    Source: McMahan et al., "Learning Differentially Private Recurrent Language Models", ICLR 2018.
    """

    kind: Literal["central"] = "central"
    """Names this choice."""
    epsilon: float | None = None
    """Target over all planned rounds; the noise is calibrated to it."""
    noise_multiplier: float | None = None
    """Standard deviation of the noise on the sum in units of clipping_norm, instead of a target."""
    delta: float = 1e-2
    """Probability with which the guarantee may fail; below 1 / hospitals."""
    clipping_norm: float = 1.0
    """Norm to which a hospital's update is clipped, above 0."""

    def __post_init__(self) -> None:
        if (self.epsilon is None) == (self.noise_multiplier is None):
            raise ValueError("epsilon: give either epsilon (over all rounds) or noise_multiplier")
        for name, value in (
            ("epsilon", self.epsilon),
            ("noise_multiplier", self.noise_multiplier),
            ("clipping_norm", self.clipping_norm),
        ):
            if value is not None and not 0 < value < math.inf:
                raise ValueError(f"{name}: must be > 0, got {value}; use kind: none for no privacy")
        if not 0 < self.delta < 1:
            raise ValueError(f"delta: must be between 0 and 1, got {self.delta}; use 1e-2")
