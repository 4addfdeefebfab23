"""What a configuration will spend at every hospital, and what its guarantee does not cover.

Computed before any run, from the same plans that the trainers carry out and the ledger records.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from simulation.base.ids import hospital_name
from simulation.config.experiment import Experiment
from simulation.federation.params import OWN_CLIENT_APP
from simulation.learning.params import NoPrivacy
from simulation.learning.trust import DistributedParams, DpParams

if TYPE_CHECKING:
    from simulation.federation.setting import Setting
    from simulation.learning.privacy import PrivacyPlan
    from simulation.learning.train import Trainer

WEAK_EPSILON = 10.0
"""From here on a plan says that it protects little: e^10 allows odds to change 22,000-fold."""

_OUTSIDE = (
    "outside the guarantee: each hospital's numbers of records and patients, every metric on "
    "test rows, and hyper-parameters that were chosen by looking at these records"
)
_ALL_ROUNDS = (
    "planned for all rounds: who is not selected in a round, or whose run stops early, is charged "
    "for the rounds that it trained in, which is less"
)
_NOT_CLAIMED = "not claimed: amplification by choosing hospitals, or by summing them secretly"


@dataclass(frozen=True, slots=True)
class HospitalPrivacy:
    """One hospital's plan, and what three accountants say of it."""

    hospital: int
    records: int
    """Training records."""
    patients: int
    """Patients whose training records these are."""
    most_records: int
    """Training records of the patient who has the most of them."""
    sigma: float
    """Noise multiplier."""
    sampling_rate: float
    """Probability of each unit to enter a batch."""
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
    """What is protected: ``record``, ``patient`` or ``hospital``."""
    epsilon: float | None
    """Of the federation: the largest of its hospitals', for whoever is at one of them only."""
    enforced: bool
    """Whether training refuses one more round than planned; so with an epsilon target."""
    hospitals: tuple[HospitalPrivacy, ...]
    warnings: tuple[str, ...]

    def data(self) -> dict[str, Any]:
        """Plain data, for one JSON object."""
        return asdict(self)


def no_guarantee(experiment: Experiment) -> str | None:
    """Why a run that learns protects nobody, in words; none when it does protect.

    What a ClientApp of somebody else declares is its own word, which nothing here stands for.
    """
    if not experiment.learns or not isinstance(experiment.privacy, NoPrivacy):
        return None
    own = experiment.federation.client_app == OWN_CLIENT_APP
    reason = "privacy: none" if own else "the ClientApp is not the program's own"
    return f"no privacy guarantee: {reason}"


def privacy_report(experiment: Experiment, setting: Setting) -> PrivacyReport:
    """The report for one seed, whose trainers ``setting`` holds."""
    privacy = experiment.privacy
    rounds = experiment.federation.rounds
    if setting.central is not None:
        return _central(setting.central, setting)
    if not isinstance(privacy, DpParams):
        unprotected = no_guarantee(experiment)
        assert unprotected is not None, "no other kind is left"
        return PrivacyReport(False, rounds, None, None, None, False, (), (unprotected,))
    rows: list[HospitalPrivacy] = []
    for trainer in setting.learners:
        assert trainer.plan is not None, "every trainer plans under dp_sgd"
        rows.append(_row(trainer, trainer.plan))
    return PrivacyReport(
        private=True,
        rounds=rounds,
        delta=privacy.delta,
        unit=privacy.unit,
        epsilon=max(row.epsilon for row in rows),
        enforced=privacy.noise_multiplier is None,
        hospitals=tuple(rows),
        warnings=tuple(_warnings(privacy, setting, rows)),
    )


def _central(plan: PrivacyPlan, setting: Setting) -> PrivacyReport:
    """The report for noise that the coordinator adds."""
    found = (
        *setting.notes,
        "trusted: the coordinator, who sees every hospital's update without noise and adds it",
        (
            "the unit is one hospital's whole update, and the noise on their sum is "
            f"{plan.sigma:.3g} times its clipping norm, against {setting.hospitals} updates: with "
            "tens of hospitals it drowns them"
        ),
        "noise comes from a generator with a seed of 32 bits; good for this simulation only",
        _OUTSIDE,
    )
    return PrivacyReport(
        True, plan.rounds, plan.delta, plan.unit, plan.planned_epsilon, False, (), found
    )


def _row(trainer: Trainer, plan: PrivacyPlan) -> HospitalPrivacy:
    from simulation.learning.accountants import epsilon_prv, epsilon_rdp
    from simulation.learning.units import units_of

    patients = units_of(trainer.shard, "patient")
    history = [plan.release] * plan.rounds
    planned = plan.planned_epsilon
    return HospitalPrivacy(
        hospital=trainer.hospital,
        records=trainer.examples,
        patients=patients.count,
        most_records=patients.most,
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


def _warnings(privacy: DpParams, setting: Setting, rows: list[HospitalPrivacy]) -> list[str]:
    """What the numbers above do not say, most specific first."""
    found = list(setting.notes)
    unit = privacy.unit
    whole = [row for row in rows if row.sampling_rate >= 1]
    if whole:
        least = min(row.records if unit == "record" else row.patients for row in whole)
        found.append(
            f"{_names(whole)}: every {unit} is in every batch, so sampling protects nobody there; "
            f"use batches below {least} {unit}s"
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
    if setting.federation.selection.kind != "all" or setting.federation.stop_when is not None:
        found.append(_ALL_ROUNDS)
    found += [_unit(privacy, rows), *_shared(setting, rows, privacy.delta), _OUTSIDE]
    if not isinstance(privacy, DistributedParams):
        return [*found, _NOT_CLAIMED]
    return [*found, *_distributed(privacy, setting)]


def _shared(setting: Setting, rows: list[HospitalPrivacy], delta: float) -> list[str]:
    """What composes for patients whom several hospitals have."""
    from simulation.learning.privacy import epsilon
    from simulation.learning.update import Spend

    patients, hospitals = setting.shared
    if not patients:
        return []
    most = sorted(rows, key=lambda row: -row.epsilon)[:hospitals]
    together = [Spend(row.sigma, row.sampling_rate, row.steps) for row in most]
    return [
        (
            f"{patients} patients have training records at several hospitals, up to {hospitals}; "
            "what these spend composes: with one unit at each, up to epsilon "
            f"{epsilon(together, delta):.3g}"
        )
    ]


def _distributed(privacy: DistributedParams, setting: Setting) -> list[str]:
    """What has to be trusted, and what it costs to see nothing but a sum."""
    from simulation.learning.models import parameter_count
    from simulation.learning.secret_sum import secret_sum_cost

    hospitals, honest = setting.hospitals, privacy.honest(setting.hospitals)
    cost = secret_sum_cost(privacy, hospitals, parameter_count(setting.initial))
    return [
        (
            f"trusted: that sums stay secret, and that {honest} of {hospitals} hospitals are "
            f"honest and answer; each adds {1 / math.sqrt(honest):.3g} of the noise, so that its "
            "update by itself is protected by that much less"
        ),
        (
            "not verifiable: nobody sees single updates, so that no ledger can check one, no "
            "robust rule can leave one out, and a hospital that adds no noise goes unseen; what "
            "could be checked is the sum"
        ),
        (
            f"secret sums cost each hospital {cost.us / 1e6:.3g} s and {cost.bytes / 1e6:.3g} MB a "
            "round, by the protocol's cost model"
        ),
    ]


def _unit(privacy: DpParams, rows: list[HospitalPrivacy]) -> str:
    """Who is protected less than the numbers say."""
    if privacy.unit == "patient":
        return "the unit is one patient at one hospital: one who is at several is protected less"
    worst = max(rows, key=lambda row: row.most_records)
    if worst.most_records == 1:
        return (
            "the unit is one record: a patient with several records, or at several hospitals, is "
            "protected less"
        )
    from simulation.learning.privacy import patient_epsilon
    from simulation.learning.update import Spend

    whole = Spend(worst.sigma, worst.sampling_rate, worst.steps)
    real = patient_epsilon((whole,), privacy.delta, worst.most_records)
    return (
        f"the unit is one record: the patient with {worst.most_records} records at "
        f"{hospital_name(worst.hospital)} is protected by epsilon {real:.3g} only, not "
        f"{worst.epsilon:.3g}; privacy.unit: patient protects patients"
    )


def _names(rows: list[HospitalPrivacy], shown: int = 3) -> str:
    names = [hospital_name(row.hospital) for row in rows[:shown]]
    more = len(rows) - shown
    return ", ".join(names) + (f" and {more} more" if more > 0 else "")
