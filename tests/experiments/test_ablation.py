"""The ablation: what counts as a success, and what the table must say for the claim to hold."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from experiments import ablation
from experiments.stem import Run, Table
from simulation.runs import artifacts

Events = list[dict[str, Any]]


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Events], float]:
    """The share of attempts that succeed, by the name of the attack and the events of the run."""

    def measure(attack: str, events: Events) -> float:
        monkeypatch.setattr(artifacts, "read_trace", lambda _: iter(events))
        return ablation.measure(Run({"attack": attack}, 1, Path("x"), []))[attack]

    return measure


def test_a_copy_succeeds_when_the_coordinator_takes_it(
    measured: Callable[[str, Events], float],
) -> None:
    """Its own acceptance by other hospitals does not matter."""
    tried = [{"event": "attacked", "kind": "copycat", "round": r, "node": 2} for r in (1, 2)]
    checks = [
        {"event": "update_checked", "round": 1, "hospital": 2, "by": 4, "accepted": True},
        {"event": "update_checked", "round": 2, "hospital": 2, "by": 1, "accepted": True},
        {"event": "update_checked", "round": 2, "hospital": 2, "by": 4, "accepted": False},
    ]
    assert measured("copy", [*tried, *checks]) == 0.5


def test_a_false_aggregate_succeeds_when_nobody_refuses_it(
    measured: Callable[[str, Events], float],
) -> None:
    """One refusal in its own round stops it."""
    tried = [{"event": "attacked", "kind": "tamper", "round": r, "node": 4} for r in (1, 2)]
    assert measured("change", tried) == 1
    assert measured("change", [*tried, {"event": "aggregate_refused", "round": 2}]) == 0.5


def test_a_run_that_breaks_is_a_success_for_who_orders() -> None:
    """Honest ledgers that contradict each other end the run, and that is what was tried."""
    run = Run({"attack": "fork"}, 1, Path("x"), [], broken="agreement at replica 2")
    assert ablation.measure(run) == {"fork": 1.0}


def rows(**changed: float) -> Table:
    """A table in which each part stops something; shares by ``system.attack`` may differ."""
    through = {
        "all parts": (), "no consensus": ("stop", "fork"), "no commit–reveal": ("copy",),
        "no verification": ("change", "omit"), "no DP": ("read",), "none of them": ("change",),
    }  # fmt: skip
    return [
        {
            "system": system, "seeds": 5, "auroc": 0.9, "seconds": 1.0, "bytes": 1e5,
            **{attack: float(attack in found) for attack in ablation.ATTACKS},
            **(changed if system == "all parts" else {}),
        }
        for system, found in through.items()
    ]  # fmt: skip


def test_both_halves_of_the_claim_can_fail() -> None:
    """Nothing may get through all parts, and something must without each."""
    assert ablation.verdict(rows()).holds
    assert not ablation.verdict(rows(copy=0.1)).holds
    idle = [{**row, "read": 0.0} if row["system"] == "no DP" else row for row in rows()]
    assert "no DP: nothing" in ablation.verdict(idle).because
    assert not ablation.verdict(idle).holds
