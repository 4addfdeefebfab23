"""Intervals, subgroups, gaps and the two curves of the last model."""

from __future__ import annotations

import numpy as np
import pytest

from simulation.base.rng import Streams
from simulation.learning.assess import assess, decision_curve
from simulation.learning.metrics import Scores, evaluate, measure


def hospital(seed: int, rows: int = 60) -> Scores:
    rng = np.random.default_rng(seed)
    scores = rng.random(rows)
    return (rng.random(rows) < scores).astype(np.int64), scores


@pytest.fixture
def scores() -> dict[int, Scores]:
    return {h: hospital(h) for h in range(3)}


@pytest.fixture
def groups() -> dict[int, dict[str, np.ndarray]]:
    names = np.array(["female", "male", ""]).repeat(20)
    return {0: {"sex": names}, 2: {"sex": names[::-1]}}


def as_dict(readings) -> dict[tuple[str, str], float]:
    found = {(scope, metric): value for scope, metric, value in readings}
    assert len(found) == len(readings), "no reading comes twice"
    return found


def test_each_metric_of_each_scope_has_an_interval_around_it(scores, groups):
    found = as_dict(assess(scores, groups, Streams(1), 200))
    for scope, metrics in evaluate(scores).items():
        for metric, value in metrics.items():
            assert found[scope, f"{metric}_low"] <= value + 0.06
            assert found[scope, f"{metric}_high"] >= value
    assert found["pooled", "auroc_low"] > found["hospital-00", "auroc_low"]
    assert ("pooled", "auroc") not in found, "measured as every model is, not again"


def test_a_subgroup_is_its_rows_at_all_hospitals(scores, groups):
    """Rows of unknown subgroup are in none; a hospital may know of none."""
    found = as_dict(assess(scores, groups, Streams(1), 0))
    rows = [(scores[0][i][:20], scores[2][i][40:]) for i in (0, 1)]
    expected = measure(*(np.concatenate(parts) for parts in rows))
    assert {m: found["sex=female", m] for m in expected} == expected
    assert not any(scope == "sex=" for scope, _ in found)


def test_a_gap_is_between_the_best_and_the_worst(scores, groups):
    found = as_dict(assess(scores, groups, Streams(1), 50))
    values = [measure(*scores[h])["brier"] for h in scores]
    assert found["gap-hospital", "brier"] == pytest.approx(max(values) - min(values))
    sexes = [found[f"sex={name}", "auroc"] for name in ("female", "male")]
    assert found["gap-sex", "auroc"] == pytest.approx(abs(sexes[0] - sexes[1]))
    assert found["gap-sex", "auroc_low"] >= 0


def test_the_same_seed_draws_the_same_rows_again(scores):
    """Intervals are seeded, and a hospital's draws do not depend on who else is there."""
    one, same, other = (assess(scores, {}, Streams(seed), 70) for seed in (1, 1, 2))
    assert one == same
    assert one != other
    alone = as_dict(assess({0: scores[0]}, {}, Streams(1), 70))
    together = as_dict(one)
    assert all(alone[key] == together[key] for key in alone if key[0] == "hospital-00")


def test_an_interval_covers_the_truth_about_as_often_as_it_says():
    """Probabilities drawn as they are predicted: AUROC of all of them is known, 5/6."""
    inside = 0
    for seed in range(60):
        found = as_dict(assess({0: hospital(100 + seed, 150)}, {}, Streams(seed), 200))
        inside += found["pooled", "auroc_low"] <= 5 / 6 <= found["pooled", "auroc_high"]
    assert inside >= 51, "below 51 of 60 has probability 0.005 at 95 %"


def test_where_a_metric_is_seldom_defined_it_has_no_interval():
    """One positive of twenty is missed by a third of the resamples."""
    labels = np.r_[1, np.zeros(19, dtype=np.int64)]
    found = as_dict(assess({0: (labels, np.linspace(0.9, 0.1, 20))}, {}, Streams(1), 100))
    assert ("pooled", "auroc_low") not in found
    assert ("pooled", "brier_low") in found


def test_net_benefit_weighs_false_alarms_by_the_odds():
    """Vickers and Elkin: TP/n - FP/n x p/(1 - p), by hand at a threshold of one fifth."""
    found = as_dict(decision_curve(np.array([1, 1, 0, 0]), np.array([0.9, 0.1, 0.3, 0.05])))
    assert found["decision", "model@0.20"] == pytest.approx(1 / 4 - 1 / 4 * 0.25)
    assert found["decision", "all@0.20"] == pytest.approx(1 / 2 - 1 / 2 * 0.25)


def test_the_reliability_diagram_accounts_for_every_row(scores):
    found = as_dict(assess(scores, {}, Streams(1), 0))
    rows = {m: v for (s, m), v in found.items() if s == "reliability" and m.startswith("rows")}
    assert sum(rows.values()) == 180
    assert found["reliability", "predicted@3"] == pytest.approx(0.25, abs=0.05)


def test_a_diverged_model_is_an_error_here_too():
    with pytest.raises(ValueError, match="diverged"):
        assess({0: (np.array([0, 1]), np.array([0.5, np.nan]))}, {}, Streams(1), 0)
