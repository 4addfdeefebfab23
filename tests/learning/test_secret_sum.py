"""Noise in shares: what h honest hospitals add hides each unit as much as its plan says."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from simulation.base.rng import Streams
from simulation.learning.params import LogisticParams, TrainingParams
from simulation.learning.privacy import plan
from simulation.learning.secret_sum import Size, protection, secret_sum_cost, shared_plans
from simulation.learning.train import Trainer
from simulation.learning.trust import DistributedParams

ONE_STEP = TrainingParams(learning_rate=1.0, batch_size=20, local_steps=1)
SIZES = [Size(100, 100), Size(400, 400), Size(60, 200), Size(1000, 1000), Size(250, 250)]


def shared(**changes: Any) -> DistributedParams:
    return DistributedParams(**{"noise_multiplier": 2.0, "delta": 1e-5, **changes})


@pytest.mark.parametrize(("dropouts", "colluding"), [(0, 0), (1, 0), (1, 2)])
def test_noise_is_sized_for_the_honest_survivors(dropouts: int, colluding: int) -> None:
    """Whoever drops out or colludes, the noise of the others in the sum is what each hospital's
    account states; one fewer and it is not."""
    privacy = shared(dropouts=dropouts, colluding=colluding)
    honest = privacy.honest(5)

    plans = shared_plans(privacy, ONE_STEP, SIZES, 10)

    for planned, kept in zip(plans, protection(plans, SIZES, honest), strict=True):
        assert kept == pytest.approx(planned.sigma, rel=1e-5)
        assert planned.own_sigma == pytest.approx(planned.sigma / math.sqrt(honest))
        assert planned.sigma >= 2.0
        assert planned.release.sigma == planned.sigma, "the account holds what protects"
    if honest > 1:
        assert protection(plans, SIZES, honest - 1)[0] < plans[0].sigma


def test_every_hospital_gets_at_least_its_own_target() -> None:
    """The common noise is that of the hospital that needs most of it."""
    targets = (1.0, 2.0, 8.0, 8.0, 8.0)
    privacy = DistributedParams(hospital_epsilons=targets)

    plans = shared_plans(privacy, ONE_STEP, SIZES, 10)

    spent = [p.planned_epsilon for p in plans]
    assert all(got <= target for got, target in zip(spent, targets, strict=True))
    assert any(got > 0.99 * target for got, target in zip(spent, targets, strict=True))


def test_the_sum_really_carries_that_noise(make_rows: Any) -> None:
    """The weighted average of what trainers return has, on weights that no record moves, the
    deviation that the plan promises: rate · σ · C · a / Σ w for a unit of pull a."""
    rows = [make_rows(h, records=n, features=300) for h, n in enumerate((40, 90, 160, 60))]
    for row in rows:
        row.train_x[:] = 0.0
    sizes = [Size(len(r.train_y), len(r.train_y)) for r in rows]
    plans = shared_plans(shared(noise_multiplier=3.0, delta=1e-4), ONE_STEP, sizes, 1)
    trainers = [
        Trainer(r, LogisticParams(), ONE_STEP, shared(delta=1e-4), 1, Streams(3), planned=p)
        for r, p in zip(rows, plans, strict=True)
    ]
    start = {
        "output.weight": np.zeros((1, 300), dtype=np.float32),
        "output.bias": np.zeros(1, dtype=np.float32),
    }

    moved = sum(t.train(start, 1).arrays["output.weight"] * t.examples for t in trainers)

    for size, planned in zip(sizes, plans, strict=True):
        pull = size.examples / (planned.sampling_rate * size.units)
        assert float(np.std(moved)) == pytest.approx(planned.sigma * pull, rel=0.15)


def test_it_takes_less_noise_than_each_for_itself() -> None:
    """The √H gain that a ledger of single updates forbids: the same guarantee, with 1/√H of the
    noise at each of H equal hospitals."""
    sizes = [Size(100, 100)] * 16
    alone = plan(shared(), ONE_STEP, 100, 10)

    together = shared_plans(shared(), ONE_STEP, sizes, 10)

    assert all(p.planned_epsilon == pytest.approx(alone.planned_epsilon) for p in together)
    assert together[0].own_sigma == pytest.approx(alone.own_sigma / 4)


def test_when_nobody_is_left_it_is_refused() -> None:
    """All hospitals dropped out or in collusion: one message."""
    with pytest.raises(ValueError, match=r"dropouts: 3 that drop out and 2 that collude are all 5"):
        shared_plans(shared(dropouts=3, colluding=2), ONE_STEP, SIZES, 1)


def test_the_cost_grows_with_hospitals_and_model() -> None:
    """Bonawitz et al.: a hospital computes O(n + mn) here and sends O(n + m)."""
    small, wide, many = (
        secret_sum_cost(shared(), h, m) for h, m in ((10, 1_000), (10, 100_000), (100, 1_000))
    )

    assert wide.bytes - small.bytes == 4 * 99_000
    assert wide.us > small.us
    assert 8 < (many.bytes - 4_000) / (small.bytes - 4_000) < 12
    assert 9 < many.us / small.us < 12
