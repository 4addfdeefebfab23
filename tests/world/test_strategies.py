"""Stock Flower strategies by name, unchanged."""

from __future__ import annotations

import dataclasses

import pytest

from simulation.federation.params import STRATEGIES
from simulation.federation.strategies import build_strategy
from simulation.trace.events import RoundClosed
from simulation.world import simulate


@pytest.mark.parametrize("name", STRATEGIES)
def test_each_stock_strategy_runs_two_rounds(vary, name):
    outcome = simulate(dataclasses.replace(vary(strategy=name), hospitals=7), 1)
    closed = [e for e in outcome.events if isinstance(e, RoundClosed)]
    assert [e.outcome for e in closed] == ["aggregated", "aggregated"]
    assert closed[0].out_root != closed[1].out_root


def test_a_fraction_of_the_hospitals_may_be_asked(vary):
    outcome = simulate(vary(strategy_args={"fraction_train": 0.5}), 1)
    assert [e.accepted for e in outcome.events if isinstance(e, RoundClosed)] == [2, 2]


def test_an_argument_that_the_strategy_does_not_take_is_named(vary):
    with pytest.raises(ValueError, match=r"strategy_args.proximal: FedProx has no such argument"):
        simulate(vary(strategy="FedProx", strategy_args={"proximal": 1.0}), 1)


def test_an_argument_that_is_no_number_is_named(vary):
    with pytest.raises(ValueError, match="fraction_train: FixedFedAvg wants a number"):
        simulate(vary(strategy_args={"fraction_train": "half"}), 1)


def test_by_default_every_hospital_trains_and_nobody_is_asked_to_evaluate(experiment):
    strategy = build_strategy(experiment.federation, 4, evaluate=False)
    assert (strategy.fraction_train, strategy.fraction_evaluate) == (1.0, 0.0)
    assert strategy.min_available_nodes == 1
