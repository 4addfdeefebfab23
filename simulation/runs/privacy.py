"""What a configuration will spend at every hospital, and what its guarantee does not cover.

Computed before any run, from the same plans that the trainers carry out and the ledger records.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from simulation.base.ids import hospital_name
from simulation.config.experiment import Experiment
from simulation.federation.params import OWN_CLIENT_APP
from simulation.learning.params import DpSgdParams

if TYPE_CHECKING:
    from simulation.federation.setting import Setting
    from simulation.learning.privacy import PrivacyPlan

WEAK_EPSILON = 10.0
"""From here on a plan says that it protects little: e^10 allows odds to change 22,000-fold."""

_ALWAYS = (
    (
        "the unit is one record: a patient with several records, or at several hospitals, is "
        "protected less"
    ),
    (
        "outside the guarantee: each hospital's number of records, every metric on test rows, and "
        "hyper-parameters that were chosen by looking at these records"
    ),
    "not claimed: amplification by choosing hospitals, or by summing them secretly",
)


@dataclass(frozen=True, slots=True)
class HospitalPrivacy:
    """One hospital's plan, and what three accountants say of it."""

    hospital: int
    records: int
    """Training records."""
    sigma: float
    """Noise multiplier."""
    sampling_rate: float
    """Probability of each record to enter a batch."""
    steps_per_round: int
    steps: int
    """Releases of all planned rounds."""
    epsilon: float
    """After all planned rounds, by privacy loss distributions: the number of record."""
    epsilon_prv: float | None
    """The same by Opacus's PRV accountant; none where it cannot be asked."""
    epsilon_rdp: float
    """The same by Rényi accounting."""
    epsilon_one_round: float
    """After the first round."""
    epsilon_one_more: float
    """After one round more than planned, with the same noise."""


@dataclass(frozen=True, slots=True)
class PrivacyReport:
    """What will be claimed, for whom, and what lies outside."""

    private: bool
    """Whether there is a guarantee at all."""
    rounds: int
    delta: float | None
    unit: str | None
    """What is protected: ``record``."""
    epsilon: float | None
    """Of the federation: the largest of its hospitals', because each record is at one of them."""
    enforced: bool
    """Whether training refuses one more round than planned; so with an epsilon target."""
    hospitals: tuple[HospitalPrivacy, ...]
    warnings: tuple[str, ...]

    def data(self) -> dict[str, Any]:
        """Plain data, for one JSON object."""
        return asdict(self)


def privacy_report(experiment: Experiment, setting: Setting) -> PrivacyReport:
    """The report for one seed, whose trainers ``setting`` holds."""
    privacy = experiment.privacy
    rounds = experiment.federation.rounds
    if not isinstance(privacy, DpSgdParams):
        own = experiment.federation.client_app == OWN_CLIENT_APP
        reason = "privacy: none" if own else "the ClientApp is not the program's own"
        return PrivacyReport(
            False, rounds, None, None, None, False, (), (f"no privacy guarantee: {reason}",)
        )
    rows: list[HospitalPrivacy] = []
    for hospital in range(setting.hospitals):
        trainer = setting.trainer_of(hospital)
        assert trainer.plan is not None, "every trainer plans under dp_sgd"
        rows.append(_row(hospital, trainer.examples, trainer.plan))
    return PrivacyReport(
        private=True,
        rounds=rounds,
        delta=privacy.delta,
        unit=privacy.unit,
        epsilon=max(row.epsilon for row in rows),
        enforced=privacy.epsilon is not None,
        hospitals=tuple(rows),
        warnings=tuple(_warnings(privacy, setting, rows)),
    )


def _row(hospital: int, records: int, plan: PrivacyPlan) -> HospitalPrivacy:
    from simulation.learning.accountants import epsilon_prv, epsilon_rdp

    history = [plan.release] * plan.rounds
    planned = plan.planned_epsilon
    return HospitalPrivacy(
        hospital=hospital,
        records=records,
        sigma=plan.sigma,
        sampling_rate=plan.sampling_rate,
        steps_per_round=plan.steps,
        steps=plan.steps * plan.rounds,
        epsilon=planned,
        epsilon_prv=epsilon_prv(history, plan.delta, planned),
        epsilon_rdp=epsilon_rdp(history, plan.delta),
        epsilon_one_round=plan.epsilon([plan.release]),
        epsilon_one_more=plan.epsilon([*history, plan.release]),
    )


def _warnings(privacy: DpSgdParams, setting: Setting, rows: list[HospitalPrivacy]) -> list[str]:
    """What the numbers above do not say, most specific first."""
    found = list(setting.notes)
    whole = [row for row in rows if row.sampling_rate >= 1]
    if whole:
        found.append(
            f"{_names(whole)}: every record is in every batch, so sampling protects nobody there; "
            f"use batches below {min(row.records for row in whole)} records"
        )
    weak = [row for row in rows if row.epsilon > WEAK_EPSILON]
    if weak:
        found.append(
            f"{_names(weak)}: epsilon above {WEAK_EPSILON:g} protects little; "
            "use more noise, fewer rounds or smaller batches"
        )
    if not privacy.secure_rng:
        found.append(
            "noise comes from the run's seed: whoever knows the seed can subtract it; "
            "secure_rng: true for models that leave the simulation"
        )
    return [*found, *_ALWAYS]


def _names(rows: list[HospitalPrivacy], shown: int = 3) -> str:
    names = [hospital_name(row.hospital) for row in rows[:shown]]
    more = len(rows) - shown
    return ", ".join(names) + (f" and {more} more" if more > 0 else "")
