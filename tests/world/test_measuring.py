"""What is measured of a run's models, and when."""

from __future__ import annotations

import dataclasses

from simulation.learning.params import EvaluationParams
from simulation.world import simulate


def rounds_of(outcome, metric: str, scope: str = "pooled") -> list[int]:
    wanted = (scope, metric)
    return [r["round"] for r in outcome.metrics if (r["scope"], r["metric"]) == wanted]


def test_by_default_every_model_is_measured_and_the_last_one_assessed(experiment):
    outcome = simulate(experiment, 1)
    assert rounds_of(outcome, "auroc") == [0, 1, 2]
    assert rounds_of(outcome, "auroc_low") == [2]
    assert rounds_of(outcome, "ece", "gap-hospital") == [2]
    assert rounds_of(outcome, "all@0.50", "decision") == [2]


def test_measuring_less_often_changes_no_model_and_keeps_the_first_and_the_last(vary):
    always = vary(rounds=3)
    seldom = dataclasses.replace(always, evaluation=EvaluationParams(every=5, resamples=0))
    one, other = simulate(always, 1), simulate(seldom, 1)
    assert rounds_of(other, "auroc") == [0, 3]
    assert not rounds_of(other, "auroc_low")
    last = {r["metric"]: r["value"] for r in one.metrics if r["round"] == 3}
    kept = {r["metric"]: r["value"] for r in other.metrics if r["round"] == 3}
    assert {metric: last[metric] for metric in kept} == kept
