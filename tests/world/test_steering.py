"""Whole runs in which only some hospitals train, or which stop before their last round."""

from __future__ import annotations

import dataclasses
from collections import Counter

import pytest

from simulation.config.errors import ConfigError
from simulation.federation.selection import SelectBySize, SelectInTurn, SelectRandom
from simulation.federation.stopping import StopWhen
from simulation.learning.params import DpSgdParams, TrainingParams
from simulation.runs.preflight import preflight
from simulation.trace.events import PrivacySpent, RoundClosed, RoundOpened, Trained
from simulation.world import make_setting, simulate

PRIVATE = DpSgdParams(epsilon=None, noise_multiplier=1.0, delta=1e-4)
STILL = TrainingParams(learning_rate=1e-9, batch_size=32)


def trained(outcome) -> dict[int, list[int]]:
    """Who trained, by round."""
    found: dict[int, list[int]] = {}
    for event in outcome.events:
        if isinstance(event, Trained):
            found.setdefault(event.round, []).append(event.hospital)
    return {number: sorted(hospitals) for number, hospitals in sorted(found.items())}


def outcomes(outcome) -> list[str]:
    return [e.outcome for e in outcome.events if isinstance(e, RoundClosed)]


def test_in_turn_every_hospital_trains_and_is_charged_for_its_turns_alone(vary):
    """ "every hospital is still charged only for rounds in which it trained", without any gain."""
    turns = vary(rounds=3, selection=SelectInTurn(count=2), min_updates=2)
    experiment = dataclasses.replace(turns, privacy=PRIVATE)

    outcome = simulate(experiment, 1)

    assert trained(outcome) == {1: [0, 1], 2: [2, 3], 3: [0, 1]}
    assert [e.hospitals for e in outcome.events if isinstance(e, RoundOpened)] == [2, 2, 2]
    setting = make_setting(experiment, 1)
    last = {e.hospital: e.epsilon for e in outcome.events if isinstance(e, PrivacySpent)}
    for hospital, rounds in {0: 2, 1: 2, 2: 1, 3: 1}.items():
        plan = setting.trainer_of(hospital).plan
        assert plan.rounds == 3
        assert last[hospital] == pytest.approx(plan.epsilon([plan.release] * rounds), abs=2e-6)


@pytest.mark.parametrize("name", ["FixedMedian", "FedProx", "FedAdam", "Krum"])
def test_any_strategy_can_be_told_who_trains(vary, name):
    """The rule is around the strategy, so a stock one needs nothing for it."""
    some = dataclasses.replace(vary(strategy=name, selection=SelectRandom(count=7)), hospitals=8)
    outcome = simulate(some, 1)
    assert outcomes(outcome) == ["aggregated", "aggregated"]
    assert [len(hospitals) for hospitals in trained(outcome).values()] == [7, 7]


def test_by_size_asks_for_what_hospitals_have_committed(vary):
    """Runs through the ledger path, and two with one seed agree to the byte."""
    experiment = vary(rounds=3, selection=SelectBySize(fraction=0.5))
    first, second = simulate(experiment, 3), simulate(experiment, 3)
    assert first.trace_digest == second.trace_digest
    assert [len(hospitals) for hospitals in trained(first).values()] == [2, 2, 2]


def test_a_selection_too_small_for_its_rule_is_refused_before_the_run(vary):
    krum = vary(strategy="FixedKrum", selection=SelectInTurn(count=3))
    with pytest.raises(ConfigError, match="3 hospitals a round, and FixedKrum needs 5 updates"):
        preflight(krum, [1])


def test_a_model_at_rest_ends_the_run_with_everything_settled(vary):
    """ "Ends the run cleanly": the ledger holds the rounds played, the summary says why."""
    planned = vary(rounds=6, stop_when=StopWhen(tolerance=1e-4, patience=2, min_rounds=3))
    outcome = simulate(dataclasses.replace(planned, training=STILL), 1)

    assert outcomes(outcome) == ["aggregated"] * 3
    assert outcome.summary["stopped"]["round"] == 3
    assert "moved by less than 0.0001" in outcome.summary["stopped"]["reason"]
    assert max(row["round"] for row in outcome.metrics) == 3
    assert outcome.summary["ledger"]["height"] > 0
    assert outcome.invariants == simulate(vary(rounds=1), 1).invariants


def test_a_model_that_moves_is_trained_to_the_end(vary):
    outcome = simulate(vary(rounds=3, stop_when=StopWhen(tolerance=1e-4, patience=1)), 1)
    assert len(outcomes(outcome)) == 3
    assert "stopped" not in outcome.summary


def test_a_void_round_is_no_quiet_one(vary):
    """ "A void round says nothing": a quorum that is never reached stops nothing."""
    void = vary(rounds=3, strategy="FixedKrum", stop_when=StopWhen(patience=1))
    outcome = simulate(void, 1)
    assert outcomes(outcome) == ["void"] * 3
    assert "stopped" not in outcome.summary


def test_stopping_early_leaves_budget_unspent(vary):
    """ "noise calibrated for all planned rounds, so stopping early leaves budget unspent"."""
    planned = vary(rounds=5, stop_when=StopWhen(tolerance=1e9, patience=2))
    outcome = simulate(dataclasses.replace(planned, privacy=DpSgdParams(epsilon=2.0)), 1)

    spent = Counter(e.hospital for e in outcome.events if isinstance(e, PrivacySpent))
    assert spent == Counter(dict.fromkeys(range(4), 2))
    assert max(e.epsilon for e in outcome.events if isinstance(e, PrivacySpent)) < 1.9
