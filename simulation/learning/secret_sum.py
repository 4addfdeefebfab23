"""Noise in shares under secure aggregation: what each hospital adds, what it gets, what it costs.

With weights wᵢ the coordinator's average moves by wᵢ/bᵢ for each clipped gradient of hospital i,
whose expected batch is bᵢ. The noise of all honest hospitals lands in the same sum, so a unit of
hospital i is hidden by √(Σⱼ (aⱼσⱼ)²) / aᵢ clipping norms of it, with aᵢ = wᵢ/bᵢ. Hospitals choose
aⱼσⱼ equal; then each σⱼ is 1/√h of what hospital j is protected by, for h honest ones.

The protocol itself is an ideal functionality: nobody sees a single update. Its cost is a model.

Sources: Bonawitz et al., CCS 2017 (cost: a hospital agrees on keys with all others and
expands a mask of the model's size for each); Truex et al., "A Hybrid Approach to Privacy-Preserving
Federated Learning", AISec 2019 (noise divided among the honest).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from simulation.learning.params import TrainingParams
from simulation.learning.privacy import PrivacyPlan, plan
from simulation.learning.trust import DistributedParams

KEY_BYTES = 32
"""A public key, and a share of a secret, as they are sent."""
NUMBER_BYTES = 4
"""A masked number of the model."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much a hospital has."""

    units: int
    """Training records, or patients: what is sampled."""
    examples: int
    """Its weight in the average."""


def shared_plans(
    privacy: DistributedParams, training: TrainingParams, sizes: Sequence[Size], rounds: int
) -> list[PrivacyPlan]:
    """The plan of each hospital: the σ that protects its units, and its share of that noise.

    Every hospital gets at least the noise that its own target asks for.

    Raises:
        ValueError: when no hospital is left whose noise can be relied on, or `plan` refuses one.
    """
    honest = privacy.honest(len(sizes))
    if honest < 1:
        raise ValueError(
            f"dropouts: {privacy.dropouts} that drop out and {privacy.colluding} that collude are "
            f"all {len(sizes)} hospitals, so that nobody's noise is left; use fewer"
        )
    alone = [plan(privacy, training, s.units, rounds, h) for h, s in enumerate(sizes)]
    pulls = [s.examples / (p.sampling_rate * s.units) for p, s in zip(alone, sizes, strict=True)]
    common = max(a * p.sigma for a, p in zip(pulls, alone, strict=True))
    return [
        replace(p, sigma=math.ceil(round(common / a * 1e6, 3)) / 1e6, share=1 / math.sqrt(honest))
        for a, p in zip(pulls, alone, strict=True)
    ]


def protection(plans: Sequence[PrivacyPlan], sizes: Sequence[Size], honest: int) -> list[float]:
    """The σ that really protects each hospital when only so many add their noise, the least ones.

    What `shared_plans` promises, computed from what each hospital adds.
    """
    pulls = [s.examples / (p.sampling_rate * s.units) for p, s in zip(plans, sizes, strict=True)]
    added = sorted((a * p.own_sigma) ** 2 for a, p in zip(pulls, plans, strict=True))
    return [math.sqrt(sum(added[:honest])) / a for a in pulls]


@dataclass(frozen=True, slots=True)
class SecretSumCost:
    """What secure aggregation costs one hospital in one round, beside training."""

    us: int
    """Time for keys and masks, in microseconds."""
    bytes: int
    """Sent and received: keys, shares of secrets, the masked model."""


def secret_sum_cost(privacy: DistributedParams, hospitals: int, parameters: int) -> SecretSumCost:
    """O(n) key agreements and masks of the model's size, O(n) keys and shares on the wire."""
    others = hospitals - 1
    masked = NUMBER_BYTES * parameters
    # One mask with each other hospital, and one of its own that survives if it drops out.
    masks_us = (others + 1) * masked / privacy.mask_mb_per_s
    us = round(2 * others * privacy.key_agreement_us + masks_us)
    # Two public keys of everybody, two shares to and from everybody, one share each for unmasking.
    return SecretSumCost(us, (2 * hospitals + 5 * others) * KEY_BYTES + masked)
