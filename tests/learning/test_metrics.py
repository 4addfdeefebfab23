"""Metrics against numbers done by hand, and never a NaN."""

from __future__ import annotations

import math

import numpy as np
import pytest

from simulation.learning.metrics import METRICS, evaluate, measure

LABELS = np.array([0, 0, 1, 1])
GUESSES = np.array([0.1, 0.6, 0.4, 0.9])


def test_the_metrics_are_their_definitions() -> None:
    """Four rows by hand: three of four pairs in order, one wrong on either side of a half."""
    found = measure(LABELS, GUESSES)
    assert tuple(found) == METRICS
    assert found["auroc"] == pytest.approx(3 / 4)
    assert found["auprc"] == pytest.approx((1 + 2 / 3) / 2)
    assert found["accuracy"] == pytest.approx(1 / 2)
    assert found["brier"] == pytest.approx((0.01 + 0.36 + 0.36 + 0.01) / 4)
    logs = [math.log(0.9), math.log(0.4), math.log(0.4), math.log(0.9)]
    assert found["log_loss"] == pytest.approx(-sum(logs) / 4)


@pytest.mark.parametrize("label", [0, 1])
def test_a_ranking_of_one_class_is_left_out(label: int) -> None:
    """AUROC and AUPRC of one class do not exist; the others do, and nothing is NaN."""
    found = measure(np.full(4, label), GUESSES)
    assert set(found) == {"log_loss", "brier", "accuracy"}
    assert all(math.isfinite(value) for value in found.values())


def test_certainty_that_is_wrong_costs_a_finite_loss() -> None:
    """Log loss of probability 0 for what happened is infinite; it is capped, and says 16.1."""
    found = measure(np.array([1, 0]), np.array([0.0, 1.0]))
    assert found["log_loss"] == pytest.approx(-math.log(1e-7), rel=1e-6)


@pytest.mark.parametrize("bad", [math.nan, 1.5, -0.1])
def test_what_is_no_probability_is_an_error(bad: float) -> None:
    """A diverged model is reported, not averaged."""
    with pytest.raises(ValueError, match="diverged"):
        measure(np.array([0, 1]), np.array([0.5, bad]))


def test_no_rows_is_an_error() -> None:
    """There is nothing to measure."""
    with pytest.raises(ValueError, match="no rows"):
        measure(np.array([], dtype=np.int64), np.array([]))


def test_scopes_are_hospitals_pooled_rows_and_their_mean() -> None:
    """Pooled is over all test rows; the mean is over the hospitals where a metric exists."""
    one_class = (np.array([1, 1]), np.array([0.8, 0.2]))
    found = evaluate({1: one_class, 0: (LABELS, GUESSES)})
    assert list(found) == ["hospital-00", "hospital-01", "pooled", "mean"]
    assert "auroc" not in found["hospital-01"]
    assert found["mean"]["auroc"] == found["hospital-00"]["auroc"]
    assert found["mean"]["accuracy"] == pytest.approx((0.5 + 0.5) / 2)
    pooled = (np.concatenate([LABELS, one_class[0]]), np.concatenate([GUESSES, one_class[1]]))
    assert found["pooled"] == measure(*pooled)
