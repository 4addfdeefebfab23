"""Privacy of a hospital over a whole run: the plan before it, the account during it.

The account is data: a list of `Spend`. Its ε is that of the composition of *all* entries, computed
afresh from the list; the ε of rounds are never added. The number of record comes from privacy loss
distributions (PLD) on a grid, rounded pessimistically: an upper bound, within 0.2 % of the truth.

Sources: Abadi et al., CCS 2016 (DP-SGD); Koskela et al., AISTATS 2020, and Doroshenko et al.,
PETS 2022 (PLD with connected dots); Zhu & Wang, ICML 2019 (Poisson subsampling).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Literal

from simulation.base.ids import HospitalId, hospital_name
from simulation.learning.params import DpSgdParams, TrainingParams
from simulation.learning.trust import CentralParams, DpParams, PrivacyUnit
from simulation.learning.update import Spend

if TYPE_CHECKING:
    from dp_accounting.pld.privacy_loss_distribution import PrivacyLossDistribution

SAMPLER = "poisson"
"""How batches are drawn; an account is valid for this sampler only."""
ACCOUNTANT = "pld"
"""Which accountant gives the number of record."""
NEIGHBOURS = "add-or-remove-one"
"""Which data sets the guarantee does not tell apart."""
GRID = 1e-3
"""Widest cells into which privacy losses are rounded; see `_grid`."""

_PPM = 1_000_000
_SIGMA_MIN, _SIGMA_MAX = 0.2, 1e4


@dataclass(frozen=True, slots=True)
class PrivacyPlan:
    """What one hospital does in every round, and what all rounds together cost."""

    sigma: float
    """Noise multiplier, a whole number of millionths, so that a ledger holds it exactly."""
    sampling_rate: float
    """Probability of each unit to enter a batch, a whole number of millionths."""
    steps: int
    """Releases in each round."""
    rounds: int
    """Rounds that the noise is calibrated for."""
    delta: float
    """The δ at which ε is stated."""
    max_grad_norm: float
    """Clipping norm."""
    unit: PrivacyUnit | Literal["hospital"] = "record"
    """What is sampled, clipped and accounted for as one."""
    share: float = 1.0
    """Which part of the noise this hospital adds itself; below 1 when only a sum with the noise of
    others is seen."""

    @property
    def own_sigma(self) -> float:
        """Noise that the hospital itself adds, in units of the clipping norm."""
        return self.sigma * self.share

    @property
    def release(self) -> Spend:
        """What one round adds to the history."""
        return Spend(self.sigma, self.sampling_rate, self.steps)

    @property
    def planned_epsilon(self) -> float:
        """ε after all planned rounds."""
        return epsilon([self.release] * self.rounds, self.delta)

    def epsilon(self, history: Sequence[Spend]) -> float:
        """ε of everything released so far."""
        return epsilon(history, self.delta)

    def entry(self, history: Sequence[Spend]) -> dict[str, int | str]:
        """The ledger's record of the last release in ``history``, in whole numbers.

        ε is rounded up: a ledger may overstate what was spent, never understate it.
        """
        last = history[-1]
        return {
            "epsilon_e6": math.ceil(self.epsilon(history) * _PPM),
            "delta_e12": round(self.delta * 10**12),
            "sigma_e6": round(last.sigma * _PPM),
            "clip_e6": round(self.max_grad_norm * _PPM),
            "sampling_e6": round(last.sampling_rate * _PPM),
            "steps": last.steps,
            "sampler": SAMPLER,
            "neighbours": NEIGHBOURS,
            "unit": self.unit,
            "accountant": ACCOUNTANT,
            "accountant_version": _accountant_version(),
        }


@lru_cache(maxsize=1)
def _accountant_version() -> str:
    """The release of the library that composes the losses."""
    return f"dp-accounting {version('dp-accounting')}"


def plan(
    privacy: DpParams,
    training: TrainingParams,
    units: int,
    rounds: int,
    hospital: HospitalId = 0,
) -> PrivacyPlan:
    """What a hospital with so many units to protect will do in each of ``rounds`` rounds.

    Raises:
        ValueError: when δ is not below 1 / (10 × units), when no noise reaches the target, or when
            the first round alone costs more than the cap.
    """
    if privacy.delta * 10 * units >= 1:
        raise ValueError(
            f"delta: {privacy.delta:g} is too large for {hospital_name(hospital)}, which has "
            f"{units} training {privacy.unit}s: it must be below 1 / (10 x {privacy.unit}s) = "
            f"{1 / (10 * units):.3g}, or the guarantee may fail for a {privacy.unit} outright; "
            "use 1e-5"
        )
    rate = min(1.0, math.ceil(training.batch_size / units * _PPM) / _PPM)
    steps = training.steps(units)
    if privacy.noise_multiplier is not None:
        sigma = math.ceil(round(privacy.noise_multiplier * _PPM, 3)) / _PPM
    else:
        target = privacy.target(hospital)
        assert target is not None, "the params hold a target or the noise"
        sigma = calibrate(target, privacy.delta, rate, steps * rounds)
    planned = PrivacyPlan(
        sigma, rate, steps, rounds, privacy.delta, privacy.max_grad_norm, privacy.unit
    )
    cap = privacy.cap if isinstance(privacy, DpSgdParams) else None
    if cap is not None and (first := planned.epsilon([planned.release])) > cap:
        raise ValueError(
            f"cap: {cap:g} is below what the first round costs {hospital_name(hospital)}, "
            f"{first:.3f}, so that it could never take part; use a larger cap, more noise or "
            "fewer local steps"
        )
    return planned


def central_plan(privacy: CentralParams, hospitals: int, rounds: int) -> PrivacyPlan:
    """What the coordinator adds to the average of so many hospitals in each of ``rounds`` rounds.

    Each round is one release of the Gaussian mechanism without sampling, since all take part.

    Raises:
        ValueError: when δ is not below 1 / hospitals, or no noise reaches the target.
    """
    if privacy.delta * hospitals >= 1:
        raise ValueError(
            f"delta: {privacy.delta:g} is too large for {hospitals} hospitals: it must be below "
            f"1 / hospitals = {1 / hospitals:.3g}, or the guarantee may fail for one outright"
        )
    sigma = privacy.noise_multiplier
    if sigma is None:
        assert privacy.epsilon is not None, "the params hold one of the two"
        sigma = calibrate(privacy.epsilon, privacy.delta, 1.0, rounds)
    return PrivacyPlan(sigma, 1.0, 1, rounds, privacy.delta, privacy.clipping_norm, "hospital")


def epsilon(history: Sequence[Spend], delta: float) -> float:
    """ε at ``delta`` of all releases of a history together; 0 for an empty one.

    Raises:
        ValueError: when an entry is no release (a rate outside 0 .. 1, σ not above 0).
    """
    # Composition does not depend on the order, so equal mechanisms are merged: the twelfth round
    # then costs as much as the first.
    merged: dict[tuple[float, float], int] = {}
    for spend in history:
        key = (spend.sigma, spend.sampling_rate)
        merged[key] = merged.get(key, 0) + spend.steps
    return _epsilon(tuple((s, q, n) for (s, q), n in sorted(merged.items()) if n), delta)


@lru_cache(maxsize=4096)
def _epsilon(
    releases: tuple[tuple[float, float, int], ...], delta: float, coarser: float = 1.0
) -> float:
    if not releases:
        return 0.0
    grid = coarser * min(_grid(sigma, rate) for sigma, rate, _ in releases)
    total: PrivacyLossDistribution | None = None
    for sigma, rate, steps in releases:
        part = _mechanism(sigma, rate, grid).self_compose(steps)
        total = part if total is None else total.compose(part)
    assert total is not None, "there is at least one release"
    return float(total.get_epsilon_for_delta(delta))


def _grid(sigma: float, rate: float) -> float:
    """Width of the cells for one mechanism, at most `GRID`.

    The bound is loose by about a tenth of the squared ratio of the width to the deviation of one
    release's privacy loss, q·√(exp(σ⁻²) − 1): at σ = 5 and q = 0.002, cells of 1e-3 would overstate
    ε by half. Widths are halved until the ratio is at most a tenth. They depend on the mechanism
    and not on the number of steps, so that ε never falls when steps are added.
    """
    if not sigma > 0 or not 0 < rate <= 1:
        raise ValueError(f"no release: sigma {sigma}, sampling rate {rate}")
    deviation = rate * math.sqrt(math.expm1(min(sigma**-2, 50.0)))
    halvings = math.ceil(math.log2(max(1.0, GRID / (0.1 * deviation))))
    return GRID / 2 ** min(halvings, 10)


@lru_cache(maxsize=256)
def _mechanism(sigma: float, rate: float, grid: float) -> PrivacyLossDistribution:
    """The privacy loss distribution of one release, under adding or removing one record."""
    from dp_accounting.pld import privacy_loss_distribution

    return privacy_loss_distribution.from_gaussian_mechanism(
        sigma, value_discretization_interval=grid, sampling_prob=rate, use_connect_dots=True
    )


@lru_cache(maxsize=256)
def patient_epsilon(history: tuple[Spend, ...], delta: float, records: int) -> float:
    """ε of a record-level history for a patient with so many records, each sampled by itself.

    In a step Binomial(records, q) of them are drawn and move the clipped sum by up to that many
    clipping norms, so that one release is a mixture of Gaussians. An upper bound, on a grid that is
    10 to 50 times as wide as that of `epsilon`.

    Source: Ganesh, "Tight Group-Level DP Guarantees for DP-SGD with Sampling via Mixture of
    Gaussians Mechanisms", 2024, arXiv 2401.10294.
    """
    from dp_accounting.pld import privacy_loss_distribution

    total: PrivacyLossDistribution | None = None
    for spend in history:
        q = spend.sampling_rate
        chances = [
            math.comb(records, k) * q**k * (1 - q) ** (records - k) for k in range(records + 1)
        ]
        drawn = [k for k, chance in enumerate(chances) if chance > 0]
        part = privacy_loss_distribution.from_mixture_gaussian_mechanism(
            spend.sigma,
            [float(k) for k in drawn],
            [chances[k] for k in drawn],
            value_discretization_interval=_grid(spend.sigma, q) * (10 if records <= 4 else 50),
            use_connect_dots=True,
        ).self_compose(spend.steps)
        total = part if total is None else total.compose(part)
    return 0.0 if total is None else float(total.get_epsilon_for_delta(delta))


@lru_cache(maxsize=1024)
def calibrate(target: float, delta: float, rate: float, steps: int) -> float:
    """The smallest σ with which ``steps`` releases stay within ε, at least 0.2.

    A whole number of millionths; the ε that it really gives is at most the target and misses it by
    less than a thousandth (or is 0, where δ alone covers all that leaks). One evaluation on the
    fine grid takes 50 to 100 ms, so the root is found on a coarse one and corrected.

    Raises:
        ValueError: when even σ = 10,000 is not enough.
    """
    sigma = _coarse_root(target, delta, rate, steps)
    slope = -1.0  # of log ε over log σ, for the first correction only
    last: tuple[float, float] | None = None
    while True:
        sigma = max(_SIGMA_MIN, math.ceil(sigma * _PPM) / _PPM)
        spent = _epsilon(((sigma, rate, steps),), delta)
        # A δ that covers everything that can leak leaves an ε of 0, which has no logarithm.
        close_enough = spent >= (1 - 1e-3) * target or spent == 0 or sigma == _SIGMA_MIN
        if spent <= target and close_enough:
            return sigma
        here = (math.log(sigma), math.log(spent))
        if last is not None and last[0] != here[0]:
            slope = min(-0.5, (here[1] - last[1]) / (here[0] - last[0]))
        last = here
        # Aim half a tolerance below the target: landing above it is not acceptable.
        sigma = math.exp(here[0] + (math.log(target * (1 - 5e-4)) - here[1]) / slope)


def _coarse_root(target: float, delta: float, rate: float, steps: int) -> float:
    """Where ε on a grid ten times as wide meets the target, by bisection of log σ."""

    def spent(sigma: float) -> float:
        return _epsilon(((sigma, rate, steps),), delta, 10.0)

    low = high = max(0.5, 2 * rate * math.sqrt(steps) / target)
    while spent(high) > target:
        low, high = high, high * 1.5
        if high > _SIGMA_MAX:
            raise ValueError(
                f"epsilon: {target} cannot be reached with {steps} steps at sampling rate {rate}; "
                "use a larger epsilon, fewer rounds or smaller batches"
            )
    while low > _SIGMA_MIN and spent(low) <= target:
        low, high = low / 1.5, low
    while high / low > 1.001:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if spent(middle) <= target else (middle, high)
    return high
