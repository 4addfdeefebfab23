"""Who is trusted: whole runs of the kinds of privacy that trust somebody, and what they refuse."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from simulation.config.errors import ConfigError
from simulation.config.load import load
from simulation.learning.privacy import epsilon
from simulation.learning.update import Spend
from simulation.runs.privacy import privacy_report
from simulation.trace.events import PrivacySpent, RoundClosed
from simulation.world import make_setting, simulate

QUICKSTART = Path(__file__).parents[2] / "configs" / "quickstart.yaml"
CENTRAL = [
    "privacy={kind: central, noise_multiplier: 0.5, clipping_norm: 0.2, delta: 0.01}",
    "ledger=none", "federation.strategy=FedAvg", "federation.rounds=2", "federation.min_updates=7",
]  # fmt: skip
SHARED = [
    "privacy={kind: distributed, noise_multiplier: 2.0, delta: 1e-4, dropouts: 1}",
    "ledger=none", "federation.strategy=FedAvg", "federation.rounds=2", "federation.min_updates=6",
    "training={local_steps: 1, batch_size: 16, learning_rate: 0.5}",
]  # fmt: skip


def test_central_noise_is_flowers_and_accounted_by_hospital() -> None:
    """Flower's wrapper clips and adds noise; the account is one Gaussian release a round, without
    sampling, and Flower's own (looser) accountant agrees that it is no more."""
    from flwr.supercore.privacy_accounting import GaussianPrivacyEvent

    from simulation.federation.strategies import build_strategy

    experiment = load(QUICKSTART, CENTRAL)
    setting = make_setting(experiment, 42)
    report = privacy_report(experiment, setting)
    strategy = build_strategy(experiment.federation, 7, False, setting.central)

    assert report.unit == "hospital"
    assert report.epsilon == epsilon([Spend(0.5, 1.0, 2)], 0.01)
    strategy.accountant.compose(GaussianPrivacyEvent(0.5, 7, 7), 2)
    spent = strategy.privacy_spent()
    assert report.epsilon <= spent.epsilon <= 1.5 * report.epsilon
    assert any("trusted: the coordinator" in text for text in report.warnings)


def test_under_central_noise_hospitals_weigh_the_same_and_are_clipped() -> None:
    """A hospital with ten times the records moves the average no more than any other: two rounds
    end within the clipped updates and the noise."""
    experiment = load(QUICKSTART, CENTRAL)
    setting = make_setting(experiment, 42)

    found = simulate(experiment, 42)

    moved = np.concatenate([(found.arrays[n] - a).ravel() for n, a in setting.initial.items()])
    noise = 0.5 * 0.2 / 7 * np.sqrt(2 * len(moved))
    assert 0.5 * noise < float(np.linalg.norm(moved)) < 2 * 0.2 + 1.5 * noise
    assert {setting.trainer_of(h).weight for h in range(7)} == {1}


def test_shared_noise_is_accounted_at_what_protects() -> None:
    """A run under distributed noise: hospitals add a share, accounts state the whole."""
    experiment = load(QUICKSTART, SHARED)
    setting = make_setting(experiment, 42)

    found = simulate(experiment, 42)

    assert [e.outcome for e in found.events if isinstance(e, RoundClosed)] == ["aggregated"] * 2
    last = {e.hospital: e for e in found.events if isinstance(e, PrivacySpent)}
    for hospital in range(7):
        planned = setting.trainer_of(hospital).plan
        assert planned is not None
        assert planned.share == pytest.approx(6**-0.5)
        assert last[hospital].epsilon == pytest.approx(planned.planned_epsilon, abs=2e-6)


def test_the_report_says_what_a_secret_sum_takes_away() -> None:
    """The trade-off against verifiability and the cost are stated with the numbers."""
    experiment = load(QUICKSTART, SHARED)

    warnings = privacy_report(experiment, make_setting(experiment, 42)).warnings

    for words in ("6 of 7 hospitals are honest", "not verifiable", "cost each hospital"):
        assert any(words in text for text in warnings)


@pytest.mark.parametrize(
    ("base", "change", "message"),
    [
        (SHARED, "ledger=commit_reveal", r"ledger\.kind: .*share of the noise only"),
        (SHARED, "federation.strategy=FedMedian", r"federation\.strategy: FedMedian looks at"),
        (SHARED, "training.local_steps=2", r"training\.local_steps: must be 1"),
        (SHARED, "federation.min_updates=5", r"federation\.min_updates: must be at least 6"),
        (CENTRAL, "ledger=hash_only", r"ledger\.kind: .*without any noise"),
        (CENTRAL, "federation.strategy=FixedFedAvg", r"federation\.strategy: .*plain average"),
        (CENTRAL, "federation.min_updates=3", r"federation\.min_updates: must be 7"),
    ],
)
def test_what_does_not_go_together_is_one_message(base, change, message) -> None:
    """Each combination that would break the guarantee is refused with the remedy."""
    with pytest.raises(ConfigError, match=message):
        load(QUICKSTART, [*base, change])


def test_central_delta_must_be_below_one_over_hospitals() -> None:
    """With δ at 1 / hospitals the guarantee could fail for one of them outright."""
    with pytest.raises(ValueError, match="too large for 7 hospitals"):
        make_setting(load(QUICKSTART, [*CENTRAL, "privacy.delta=0.15"]), 42)
