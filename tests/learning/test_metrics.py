"""Metrics against numbers done by hand, and never a NaN."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulation.learning.metrics import ALWAYS_DEFINED, evaluate, measure
from simulation.learning.weighted import BINS, METRICS, SPECIFICITY, weighted_metrics

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
    # Bins (0, 0.1], (0.3, 0.4], (0.5, 0.6] and (0.8, 0.9] hold one row each.
    assert found["ece"] == pytest.approx((0.1 + 0.6 + 0.6 + 0.1) / 4)
    assert found["sensitivity"] == pytest.approx(1 / 2)
    logs = [math.log(0.9), math.log(0.4), math.log(0.4), math.log(0.9)]
    assert found["log_loss"] == pytest.approx(-sum(logs) / 4)


@pytest.mark.parametrize("label", [0, 1])
def test_a_ranking_of_one_class_is_left_out(label: int) -> None:
    """AUROC and AUPRC of one class do not exist; the others do, and nothing is NaN."""
    found = measure(np.full(4, label), GUESSES)
    assert tuple(found) == ALWAYS_DEFINED
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


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(2, 40), st.sampled_from([2, 5, 1000]))
def test_each_weighting_gives_what_scikit_learn_gives(seed: int, rows: int, levels: int) -> None:
    """ "held against scikit-learn, weighting by weighting", with ties and rows of no weight."""
    from sklearn import metrics as oracle

    rng = np.random.default_rng(seed)
    labels = np.r_[0, 1, rng.integers(0, 2, rows - 2)]
    scores = rng.integers(0, levels + 1, rows) / levels
    weights = np.vstack([np.ones(rows), rng.integers(0, 3, rows)]).astype(float)
    weights[1, :2] = 1
    found = weighted_metrics(labels, scores, weights)
    for row, weight in enumerate(weights):
        false, true, _ = oracle.roc_curve(
            labels, scores, sample_weight=weight, drop_intermediate=False
        )
        wanted = {
            "auroc": oracle.roc_auc_score(labels, scores, sample_weight=weight),
            "auprc": oracle.average_precision_score(labels, scores, sample_weight=weight),
            "sensitivity": true[false <= 1 - SPECIFICITY + 1e-9].max(),
            "brier": oracle.brier_score_loss(labels, scores, sample_weight=weight),
            "accuracy": oracle.accuracy_score(labels, scores > 0.5, sample_weight=weight),
            "log_loss": oracle.log_loss(
                labels, np.clip(scores, 1e-7, 1 - 1e-7), sample_weight=weight, labels=[0, 1]
            ),
        }
        assert {name: found[name][row] for name in wanted} == pytest.approx(wanted, abs=1e-12)


def test_the_calibration_error_is_over_the_bins_of_scikit_learn() -> None:
    """ECE: the distance of predicted from observed in each of ten bins, weighed by its rows."""
    from sklearn.calibration import calibration_curve

    rng = np.random.default_rng(5)
    scores = rng.random(400)
    labels = (rng.random(400) < scores**2).astype(np.int64)
    observed, predicted = calibration_curve(labels, scores, n_bins=BINS)
    counts = np.histogram(scores, np.linspace(0, 1, BINS + 1))[0]
    expected = (np.abs(observed - predicted) * counts).sum() / 400
    assert measure(labels, scores)["ece"] == pytest.approx(expected)


def test_a_weighting_without_one_class_has_no_ranking() -> None:
    """Of each weighting by itself: NaN where it is not defined, a number where it is."""
    weights = np.array([[1.0, 1, 1, 1], [1, 1, 0, 0], [0, 0, 0, 0]])
    found = weighted_metrics(LABELS, GUESSES, weights)
    assert np.isnan(found["auroc"]).tolist() == [False, True, True]
    assert np.isnan(found["brier"]).tolist() == [False, False, True]
    assert tuple(found) == METRICS
