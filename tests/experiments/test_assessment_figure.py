"""The figure of a run's last model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from experiments import style
from experiments.assessment_figure import SHOWN, assessment_figure, last_values
from simulation.base.rng import Streams
from simulation.learning.assess import assess
from simulation.learning.metrics import evaluate


def rows_of(hospitals: int, resamples: int = 20) -> list[dict[str, Any]]:
    rng = np.random.default_rng(3)
    scores = {h: (rng.integers(0, 2, 30), rng.random(30)) for h in range(hospitals)}
    groups = {h: {"sex": np.array(["female", "male"]).repeat(15)} for h in scores}
    rows = [
        {"round": number, "scope": scope, "metric": metric, "value": value, "t_us": 0}
        for number in (0, 1)
        for scope, values in evaluate(scores).items()
        for metric, value in values.items()
    ]
    last = assess(scores, groups, Streams(1), resamples)
    return rows + [{"round": 1, "scope": s, "metric": m, "value": v, "t_us": 0} for s, m, v in last]


@pytest.mark.parametrize(
    ("hospitals", "shown"), [(1, 1 + 1 + 1 + 2), (4, 1 + 1 + 4 + 2), (SHOWN + 1, 1 + 1 + 2 + 2)]
)
def test_all_rows_the_mean_hospitals_and_subgroups_are_shown(hospitals: int, shown: int) -> None:
    """Of more hospitals than can be read, the best and the worst."""
    with style.figure_style():
        figure = assessment_figure(last_values(rows_of(hospitals)), "name", "rest")
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert len(names) == shown
    assert names[-2:] == ["sex: female", "sex: male"]


def test_it_is_drawn_without_intervals_too() -> None:
    with style.figure_style():
        figure = assessment_figure(last_values(rows_of(3, resamples=0)), "name", "rest")
    assert len(figure.axes) == 4


def test_a_run_that_measured_no_model_has_none() -> None:
    """A workload, or a user's app that trains another model."""
    rows = [{"round": 1, "scope": "round", "metric": "void", "value": 0.0, "t_us": 0}]
    assert last_values(rows) == {}
