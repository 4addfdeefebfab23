"""The table of main results, from rows that are made up."""

from __future__ import annotations

import pytest

from experiments import main_results
from experiments.main_results import LEDGER, PLAIN, PRIVATE
from experiments.stem import Run

SYSTEMS = {"central": 0.9, "local": 0.7, PLAIN: 0.85, PRIVATE: 0.8, LEDGER: 0.8}


def finished(system, seed, auroc, model="a model"):
    """Two rounds on one data set, of 1 s and 100 B, and of 3 s and 1000 B with the ledger."""
    metrics = dict.fromkeys(main_results.MEASURES, 0.1) | {"auroc": auroc}
    rows = [{"round": 2, "scope": "pooled", "metric": m, "value": v} for m, v in metrics.items()]
    if "DP" in system:
        rows.append({"round": 2, "scope": "max", "metric": "epsilon", "value": 1.0})
    run = Run({"data": "IST", "system": system}, seed, None, rows)
    summary = {"virtual_us": 6_000_000 if system == LEDGER else 2_000_000, "model": model}
    if system not in {"central", "local"}:
        summary["messages"] = {"submit": {"bytes": 2000 if system == LEDGER else 200}}
    run.__dict__["manifest"] = {"summary": summary}
    return run


def runs(**of_the_ledger):
    return [
        finished(system, seed, auroc, **(of_the_ledger if system == LEDGER else {}))
        for system, auroc in SYSTEMS.items()
        for seed in (1, 2)
    ]


def test_the_ledger_may_add_time_and_bytes_and_nothing_else():
    """Equal models and metrics hold; what the ledger and DP cost is said in numbers."""
    verdict = main_results.verdict(main_results.table(runs()))
    assert verdict.holds
    assert "takes 3.0 to 3.0 times as long and sends 10 to 10 times" in verdict.because
    assert "costs an AUROC of 0.050 on IST" in verdict.because


def test_equal_values_have_equal_intervals():
    """Five seeds that differ: the resamples of the two systems must be the same ones."""
    many = [
        finished(system, seed, auroc + seed**2 / 100)
        for system, auroc in SYSTEMS.items()
        for seed in range(1, 6)
    ]
    table = main_results.table(many)
    assert main_results.verdict(table).holds
    (row,) = (row for row in table if row["system"] == LEDGER)
    assert row["auroc_low"] < row["auroc"] < row["auroc_high"]


def test_another_model_with_equal_metrics_does_not_hold():
    """Equal to the last bit of the model, not to the digits that the table shows."""
    verdict = main_results.verdict(main_results.table(runs(model="another")))
    assert not verdict.holds
    assert "on 0 of 1 data sets" in verdict.because


@pytest.mark.parametrize("column", ["auroc", "ece_low", "epsilon"])
def test_a_column_that_differs_is_named(column):
    """Nothing but time and bytes may differ."""
    table = main_results.table(runs())
    (row,) = (row for row in table if row["system"] == LEDGER)
    row[column] += 1e-6
    verdict = main_results.verdict(table)
    assert not verdict.holds
    assert f"IST: {column}" in verdict.because
