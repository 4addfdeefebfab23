"""What the ledger adds to a round, from rows that are made up."""

from __future__ import annotations

import pytest

from experiments import ledger_overhead
from experiments.stem import Run


def costs(task, ledger, seconds):
    rows = [
        {"round": number, "scope": "round", "metric": f"{phase}_us", "value": 1e6 * value}
        for number in (1, 2)
        for phase, value in (("duration", seconds), ("train", 0.5), ("consensus", seconds - 0.5))
    ]
    return Run({"task": task, "ledger": ledger}, 1, None, rows)


def test_the_ledger_s_cost_is_what_it_adds_and_phases_add_up():
    sizes = {"n = 4": (1.0, 2.0, 2.5), "n = 64": (1.0, 3.0, 4.0)}
    runs = [
        costs(task, ledger, seconds)
        for task, found in sizes.items()
        for ledger, seconds in zip(ledger_overhead.LEDGERS, found, strict=True)
    ]
    table = ledger_overhead.table(runs)
    for row in table:
        assert sum(row[phase] for phase in ledger_overhead.PHASES) == pytest.approx(row["seconds"])
    verdict = ledger_overhead.verdict(table)
    assert verdict.holds
    assert "adds 1.50 s" in verdict.because
    assert "and 3.00 s at n = 64" in verdict.because
