"""The plan that is printed before a run is what the trainers do and the ledger will say."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from simulation.config.errors import ConfigError
from simulation.config.load import load
from simulation.learning.params import NoPrivacy
from simulation.learning.privacy import epsilon
from simulation.learning.update import Spend
from simulation.runs.privacy import no_guarantee, privacy_report
from simulation.world import make_setting

QUICKSTART = Path(__file__).parents[2] / "configs" / "quickstart.yaml"
NOISE = ["privacy={kind: dp_sgd, noise_multiplier: 2.0, delta: 1e-4}", "federation.rounds=3"]


def report_of(*overrides: str):
    experiment = load(QUICKSTART, [*NOISE, *overrides])
    return privacy_report(experiment, make_setting(experiment, 42))


def test_each_hospital_is_accounted_for_all_its_steps() -> None:
    """σ, steps per round and in all, sampling rate, ε and what one more round would make of it."""
    report = report_of()

    assert len(report.hospitals) == 7
    assert report.epsilon == max(row.epsilon for row in report.hospitals)
    for row in report.hospitals:
        assert row.sigma == 2.0
        assert row.steps == 3 * row.steps_per_round
        assert row.sampling_rate == pytest.approx(min(1, 32 / row.records), abs=1e-6)
        release = Spend(2.0, row.sampling_rate, row.steps_per_round)
        by_hand = [epsilon([release] * rounds, 1e-4) for rounds in (1, 3, 4)]
        assert [row.epsilon_one_round, row.epsilon, row.epsilon_one_more] == by_hand
        assert by_hand == sorted(set(by_hand)), "each round costs"
        assert row.epsilon_prv is not None
        assert 0 < row.epsilon_prv - row.epsilon < 0.02
        assert row.epsilon_rdp > row.epsilon


def test_the_plan_is_that_of_the_trainers() -> None:
    """σ, q and steps of the plan are what a hospital's first round really declares."""
    experiment = load(QUICKSTART, NOISE)
    setting = make_setting(experiment, 42)

    row = privacy_report(experiment, setting).hospitals[3]

    update = setting.trainer_of(3).train(setting.initial, 1)
    assert update.spent == Spend(row.sigma, row.sampling_rate, row.steps_per_round)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("data.normalisation=site", "normalis"),
        ("training.batch_size=100", "every record is in every batch"),
        ("privacy.noise_multiplier=0.5", "epsilon above 10 protects little"),
    ],
)
def test_what_lies_outside_is_said(override: str, words: str) -> None:
    """Each circumstance that the numbers hide is a warning, and only where it is the case."""
    usual, changed = (
        report_of("training.batch_size=8"),
        report_of("training.batch_size=8", override),
    )

    assert not any(words in text for text in usual.warnings)
    assert any(words in text for text in changed.warnings)


def test_a_seeded_noise_and_a_secure_one_are_told_apart() -> None:
    """Who knows the seed can subtract the noise; said plainly unless the key is the system's."""
    seeded, secure = report_of(), report_of("privacy.secure_rng=true")

    assert any("knows the seed" in text for text in seeded.warnings)
    assert not any("knows the seed" in text for text in secure.warnings)


def test_no_privacy_is_never_labelled_private() -> None:
    """Without DP-SGD the report says that there is no guarantee, whoever trains."""
    experiment = dataclasses.replace(load(QUICKSTART), privacy=NoPrivacy())

    report = privacy_report(experiment, make_setting(experiment, 42))

    assert not report.private
    assert report.epsilon is None
    assert report.warnings == ("no privacy guarantee: privacy: none",)


def test_a_users_own_app_is_never_silently_labelled_private() -> None:
    """Whatever it declares, the report says that there is no guarantee, and why."""
    app = "federation.client_app=tests.world.foreign_apps:client_app"
    experiment = load(QUICKSTART, ["privacy=none", app])

    report = privacy_report(experiment, make_setting(experiment, 42))

    assert not report.private
    assert report.warnings == ("no privacy guarantee: the ClientApp is not the program's own",)
    assert no_guarantee(experiment) == report.warnings[0]
    assert no_guarantee(load(QUICKSTART)) is None


COHORT = [
    "data={kind: synthetic, patients_per_hospital: 120}",
    "training.batch_size=8",
    "hospitals=4",
]


def test_a_record_level_claim_says_what_its_patients_get() -> None:
    """Where patients have several records, example-level accounting understates what they lose; the
    report says by how much, for the patient who has most."""
    report = report_of(*COHORT, "federation.rounds=1")

    worst = max(report.hospitals, key=lambda row: row.most_records)
    assert all(row.patients < row.records for row in report.hospitals)
    assert worst.most_records > 2
    said = next(text for text in report.warnings if "the unit is one record" in text)
    assert f"the patient with {worst.most_records} records" in said
    assert f"not {worst.epsilon:.3g}" in said


def test_by_patient_the_plan_counts_patients() -> None:
    """Unit, sampling rate and steps are the patients'; what is left to say is who is at several
    hospitals, which only the source's own hospitals have."""
    report = report_of(*COHORT, "partition=natural", "privacy.unit=patient")

    assert report.unit == "patient"
    for row in report.hospitals:
        assert row.sampling_rate == pytest.approx(8 / row.patients, abs=1e-6)
        assert row.steps_per_round == 2 * -(-row.patients // 8), "two local epochs"
    assert not any("the unit is one record" in text for text in report.warnings)
    assert any("at several is protected less" in text for text in report.warnings)
    assert any("patients have training records at several" in text for text in report.warnings)


def test_one_target_for_each_hospital_or_one_message() -> None:
    """A list that does not fit the hospitals is refused with the number that does."""
    targets = "privacy={kind: dp_sgd, hospital_epsilons: [1.0, 2.0], delta: 1e-4}"

    with pytest.raises(ConfigError, match=r"privacy\.hospital_epsilons: needs one target for each"):
        load(QUICKSTART, [targets])
