"""What an audit concludes: a bound that refutes, an estimate that conforms or not, and findings.

The one-run bound holds whatever the trainer does, but cannot exceed a ceiling set by the number of
canaries. Its f-DP form shows more, and assumes a Gaussian trade-off curve. The estimate assumes
Gaussian noise and Poisson sampling, and compares what is seen with what is planned: level of the
noise, its repetition, length of a clipped gradient, number of steps.
None of them sees batches that are not drawn by Poisson sampling; the trainer offers no others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from simulation.base.digest import Digest
from simulation.base.rng import Streams
from simulation.learning.audit.coins import toss
from simulation.learning.audit.fdp import f_dp_ceiling, f_dp_epsilon
from simulation.learning.audit.onerun import ceiling, one_run_epsilon
from simulation.learning.audit.sight import Sight, Subject, look
from simulation.learning.privacy import epsilon
from simulation.learning.trust import PrivacyUnit
from simulation.learning.units import units_of
from simulation.learning.update import Spend

Account = Callable[[Sequence[Spend], float], float]

CANARIES = 1000
SURE = 4.0
"""Standard errors beyond which a difference is no chance."""
SAME = 0.5
"""Correlation of two rounds' noise above which it is the same noise."""
SIGMA_MIN = 0.05
"""Below this noise no finite ε is worth computing."""


@dataclass(frozen=True, slots=True)
class AuditReport:
    """One audit of one hospital."""

    hospital: int
    unit: PrivacyUnit
    units: int
    """Its own records, or patients, without the canaries."""
    canaries: int
    rounds: int
    delta: float
    claimed: float
    """ε that the account states for all rounds."""
    one_run: float
    """Lower bound on ε with confidence 95 %, whatever the trainer does."""
    guesses: int
    right: int
    """The guesses behind that bound, and how many were right."""
    one_run_ceiling: float
    """The most that this number of canaries could have shown."""
    f_dp: float
    """The same bound in its f-DP form, for training whose trade-off curve is Gaussian."""
    f_dp_ceiling: float
    conformance: float | None
    """Lower estimate of ε from noise, clipping and releases as seen; none stands for infinity."""
    sigma_planned: float
    sigma_seen: float
    """Noise in units of the clipping norm."""
    clip_seen: float
    """Mean length of a canary's clipped gradient, in units of the clipping norm."""
    noise_repeats: bool
    findings: tuple[str, ...]
    """What contradicts the claim; empty when nothing that was seen does."""
    commitment: str
    """Digest of salt and coins, made before training, in hexadecimal digits."""
    salt: str
    coins: str
    """Which canaries were in, one bit each, in hexadecimal digits."""
    scores: tuple[float, ...]
    """How much each canary seems to be in: with the coins, what the bounds are computed from."""

    def data(self) -> dict[str, Any]:
        """Plain data, for one JSON object."""
        return asdict(self)


def audit(
    subject: Subject,
    canaries: int = CANARIES,
    seed: int = 0,
    account: Account = epsilon,
    committed: Callable[[Digest], None] = lambda _: None,
) -> AuditReport:
    """Audit one hospital's training as configured.

    ``account`` states the claimed ε of a history at a δ; a test puts a broken one here.
    ``committed`` is told the commitment to the coins before training begins.

    Raises:
        ValueError: when the model's first layer is not linear, or the configuration is refused.
    """
    coins = toss(canaries, Streams(seed))
    committed(coins.commitment)
    seen = look(subject, coins, seed)
    delta = subject.privacy.delta
    claimed = account(seen.history, delta)
    one_run, guesses, right = one_run_epsilon(seen.scores, seen.coins, delta)
    f_dp = f_dp_epsilon(seen.scores, seen.coins, delta)
    sigma, sigma_error = _noise_level(seen)
    clip, clip_error = _clipped_length(seen)
    repeats = _repeats(seen)
    estimate = _conformance(
        seen, subject, sigma + SURE * sigma_error, max(1e-9, clip - SURE * clip_error), repeats
    )
    findings: list[str] = []
    if one_run > claimed:
        findings.append(f"the one-run bound {one_run:.2f} refutes the claimed {claimed:.2f}")
    if f_dp > claimed:
        findings.append(f"the f-DP bound {f_dp:.2f} refutes the claimed {claimed:.2f}")
    if estimate > claimed:
        findings.append(f"the estimate {estimate:.2f} exceeds the claimed {claimed:.2f}")
    if abs(sigma - seen.plan.sigma) > SURE * sigma_error + 0.01 * seen.plan.sigma:
        findings.append(f"the noise is {sigma:.3f}, not the planned {seen.plan.sigma:.3f}")
    if repeats:
        findings.append("two rounds have the same noise, so that subtracting removes it")
    if clip - SURE * clip_error > 1.01:
        findings.append(f"a gradient moves the model {clip:.2f} times the clipping norm")
    released = sum(spend.steps for spend in seen.history)
    if released != seen.plan.steps * subject.rounds:
        findings.append(f"{released} steps are accounted for, not all of them")
    return AuditReport(
        hospital=subject.records.hospital,
        unit=subject.privacy.unit,
        units=units_of(subject.records, subject.privacy.unit).count,
        canaries=canaries,
        rounds=subject.rounds,
        delta=delta,
        claimed=claimed,
        one_run=one_run,
        guesses=guesses,
        right=right,
        one_run_ceiling=ceiling(canaries, delta),
        f_dp=f_dp,
        f_dp_ceiling=f_dp_ceiling(canaries, delta),
        conformance=None if math.isinf(estimate) else estimate,
        sigma_planned=seen.plan.sigma,
        sigma_seen=sigma,
        clip_seen=clip,
        noise_repeats=repeats,
        findings=tuple(findings),
        commitment=coins.commitment.hex(),
        salt=coins.salt.hex(),
        coins=coins.packed.hex(),
        scores=tuple(seen.scores.tolist()),
    )


def _noise_level(seen: Sight) -> tuple[float, float]:
    """σ from weights that only noise has moved, and its standard error."""
    level = float(np.sqrt(np.mean(seen.noise**2))) / seen.drift[1]
    return level, level / math.sqrt(2 * seen.noise.size)


def _clipped_length(seen: Sight) -> tuple[float, float]:
    """Mean length of a clipped canary over all draws, in clipping norms, and its standard error."""
    inside = seen.scores[seen.coins]
    whole = seen.plan.sampling_rate * seen.drift[0] * len(seen.noise)
    return float(inside.mean()) / whole, float(inside.std(ddof=1)) / math.sqrt(len(inside)) / whole


def _repeats(seen: Sight) -> bool:
    """Whether two rounds share their noise."""
    rounds = len(seen.noise)
    if rounds < 2 or not seen.noise.any(axis=1).all():
        return False
    correlations = np.corrcoef(seen.noise) - np.eye(rounds)
    return bool(np.abs(correlations).max() > SAME)


def _conformance(seen: Sight, subject: Subject, sigma: float, clip: float, repeats: bool) -> float:
    """ε of what was seen, every uncertainty taken in the claim's favour."""
    effective = sigma / min(clip, 1e9)
    if repeats or effective < SIGMA_MIN:
        return math.inf
    steps = seen.plan.steps * subject.rounds
    release = Spend(min(effective, 1e4), seen.plan.sampling_rate, steps)
    return epsilon([release], subject.privacy.delta)
