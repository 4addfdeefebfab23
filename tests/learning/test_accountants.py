"""Three accountants on one grid: who is above whom, and when one is not asked."""

from __future__ import annotations

import pytest

from simulation.learning.accountants import epsilon_prv, epsilon_rdp
from simulation.learning.privacy import calibrate, epsilon
from simulation.learning.update import Spend

GRID = [
    (sigma, rate, steps, delta)
    for sigma in (0.8, 1.0, 1.5, 2.0, 4.0)
    for rate, steps in ((1 / 200, 2000), (1 / 50, 500), (1 / 16, 160), (1 / 4, 60), (1.0, 12))
    for delta in (1e-5, 1e-4)
]


@pytest.mark.parametrize(("sigma", "rate", "steps", "delta"), GRID)
def test_prv_confirms_and_rdp_bounds(sigma: float, rate: float, steps: int, delta: float) -> None:
    """Over a grid of at least 40 settings, PRV stays within 0.02 above PLD; RDP is never below."""
    assert len(GRID) >= 40
    history = [Spend(sigma, rate, steps)]

    of_record = epsilon(history, delta)

    other = epsilon_prv(history, delta, of_record)
    assert other is not None
    assert 0 < other - of_record < 0.02
    assert epsilon_rdp(history, delta) >= of_record


def test_an_account_in_parts_is_the_account_of_the_whole() -> None:
    """Both compose a history; neither adds the ε of its entries."""
    parts, whole = [Spend(2.0, 0.05, 40)] * 5, [Spend(2.0, 0.05, 200)]
    of_record = epsilon(whole, 1e-5)

    assert epsilon_rdp(parts, 1e-5) == epsilon_rdp(whole, 1e-5)
    assert epsilon_prv(parts, 1e-5, of_record) == epsilon_prv(whole, 1e-5, of_record)
    assert epsilon_rdp([], 1e-5) == epsilon_prv([], 1e-5, 0.0) == 0.0


def test_prv_is_not_asked_where_its_grid_would_take_gigabytes() -> None:
    """An ε beyond all use has no second opinion, and the program does not fall over it."""
    history = [Spend(0.2, 1.0, 3000)]

    assert epsilon_prv(history, 1e-5, epsilon(history, 1e-5)) is None


def test_a_target_that_delta_alone_covers_is_met() -> None:
    """Far below δ there is nothing left for ε to say; the noise is found all the same."""
    sigma = calibrate(1e-6, 1e-4, 0.5, 60)

    assert epsilon([Spend(sigma, 0.5, 60)], 1e-4) <= 1e-6
