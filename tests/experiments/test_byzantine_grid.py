"""Where guarantees end: what is safe, what is live, and what ends where it should."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments import byzantine_grid
from experiments.stem import Run, Table


@pytest.mark.parametrize(
    ("broken", "safe"),
    [("liveness: node 7 waits", True), ("agreement at replica 4, 87735 µs", False)],
)
def test_a_standstill_is_safe_and_a_contradiction_is_not(
    broken: str, safe: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ "A run ends at the first thing that it may not do"; neither has a model."""
    from simulation.runs import artifacts

    monkeypatch.setattr(artifacts, "read_trace", lambda _: iter(()))
    experiment = byzantine_grid_experiment()
    run = Run({}, 1, Path("x"), [], experiment, broken=broken)
    assert byzantine_grid.measure(run) == {"safe": safe, "live": False, "auroc": None}


def byzantine_grid_experiment():
    """The stem's own experiment."""
    from experiments.runs import study_of
    from simulation.config.sweep import Size

    study = study_of("byzantine_grid", Size.SMOKE)
    assert study is not None
    return study.points[0].experiment


def grid() -> Table:
    """A table that is as the claim says."""
    rows: Table = []
    points = [("none", 0), *((how, k) for how in ("silent", "lying") for k in (1, 2, 3))]
    for how, replicas in points:
        for poisoned in range(4):
            split, still = how == "lying" and replicas > 2, how == "silent" and replicas > 2
            auroc = 0.5 if poisoned > 2 else 0.94
            rows.append(
                {
                    "byzantine": how, "replicas": replicas, "poisoned": poisoned, "seeds": 3,
                    "safe": float(not split), "live": float(not split and not still),
                    "auroc": "none" if split or still else auroc,
                }
            )  # fmt: skip
    return rows


def test_every_part_of_the_claim_can_fail() -> None:
    """Safe, live and accurate within the bounds; each ends one step outside its own."""
    assert byzantine_grid.verdict(grid()).holds
    for change in (
        {"byzantine": "silent", "replicas": 2, "poisoned": 2, "live": 0.5},
        {"byzantine": "lying", "replicas": 1, "poisoned": 1, "auroc": 0.8},
        {"byzantine": "silent", "replicas": 3, "poisoned": 0, "live": 1.0, "auroc": 0.94},
        {"byzantine": "lying", "replicas": 3, "poisoned": 3, "safe": 1.0},
        {"byzantine": "none", "replicas": 0, "poisoned": 3, "auroc": 0.93},
    ):
        place = {name: change[name] for name in byzantine_grid.KEYS}
        changed = [{**r, **change} if place.items() <= r.items() else r for r in grid()]
        assert not byzantine_grid.verdict(changed).holds, change
