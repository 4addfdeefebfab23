"""When the global model has come to rest: the rule alone, without a run."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from simulation.federation.stopping import Progress, StopWhen, relative_change


def model(*values: float) -> dict[str, np.ndarray]:
    return {"w": np.array(values[:1], np.float32), "b": np.array(values[1:], np.float32)}


def play(progress: Progress, values: list[float]) -> list[bool]:
    """Whether it would stop after each round, for a model whose one weight takes these values."""
    verdicts = []
    for number, (before, after) in enumerate(pairwise(values), start=1):
        progress.moved(model(before), model(after))
        verdicts.append(progress.verdict(number) is not None)
    return verdicts


def test_a_constant_model_stops_after_its_patience():
    assert play(Progress(StopWhen(patience=3)), [1.0] * 5) == [False, False, True, True]


def test_a_moving_model_never_stops():
    assert not any(play(Progress(StopWhen(tolerance=0.01)), [1.02**n for n in range(30)]))


def test_quiet_rounds_have_to_be_in_a_row():
    """ "Quiet rounds in a row after which the run stops"."""
    quiet_and_not = [1.0, 1.0, 2.0, 2.0, 2.0]
    assert play(Progress(StopWhen(patience=2)), quiet_and_not) == [False, False, False, True]


def test_the_least_rounds_are_played_in_any_case():
    found = play(Progress(StopWhen(patience=1, min_rounds=3)), [1.0] * 5)
    assert found == [False, False, True, True]


def test_the_change_is_relative_and_over_all_parameters_together():
    assert relative_change(model(3.0, 4.0), model(3.0, 4.5)) == pytest.approx(0.1)
    assert relative_change(model(0.0, 0.0), model(0.0, 1.0)) == math.inf
    assert relative_change(model(0.0, 0.0), model(0.0, 0.0)) == 0
    assert not relative_change(model(1.0, 1.0), model(1.0, math.nan)) < 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tolerance": 0.0}, "tolerance: must be above 0 and finite"),
        ({"tolerance": math.inf}, "tolerance: must be above 0 and finite"),
        ({"patience": 0}, "patience: must be at least 1, got 0"),
        ({"min_rounds": 0}, "min_rounds: must be at least 1, got 0"),
    ],
)
def test_a_rule_that_could_not_work_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        StopWhen(**arguments)
