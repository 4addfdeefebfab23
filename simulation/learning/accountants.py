"""Second opinions on an account: other accountants of one history, beside the number of record.

The number of record (`privacy.epsilon`, PLD) is an upper bound. Opacus's PRV accountant finds the
same quantity by other mathematics and must agree within its error; Rényi accounting is looser, and
quick. Both assume what the number of record assumes: Poisson sampling, one record added or removed.

Sources: Gopi, Lee, Wutschitz, NeurIPS 2021 (PRV); Mironov, Talwar, Zhang, 2019, arXiv 1908.10530
(Rényi accounting of the sampled Gaussian mechanism).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from simulation.learning.update import Spend

PRV_LIMIT = 50.0
"""Above this ε the PRV accountant's grid grows to gigabytes, and such an ε protects nobody."""
ORDERS = [1 + k / 10 for k in range(1, 100)] + [*range(11, 64), 80, 128, 256, 512, 1024]
"""Rényi orders: low ones serve much spending, high ones little."""


def epsilon_rdp(history: Sequence[Spend], delta: float) -> float:
    """ε by Rényi accounting: never below the number of record, apart from its rounding."""
    return _rdp(_merged(history), delta)


def epsilon_prv(history: Sequence[Spend], delta: float, of_record: float) -> float | None:
    """ε by Opacus's PRV accountant, whose own error is 0.01; None above `PRV_LIMIT`.

    ``of_record`` is ε by the number of record; it says whether the question can be asked.
    """
    if not history or of_record > PRV_LIMIT:
        return 0.0 if not history else None
    return _prv(_merged(history), delta)


def _merged(history: Sequence[Spend]) -> tuple[tuple[float, float, int], ...]:
    steps: dict[tuple[float, float], int] = {}
    for spend in history:
        key = (spend.sigma, spend.sampling_rate)
        steps[key] = steps.get(key, 0) + spend.steps
    return tuple((sigma, rate, n) for (sigma, rate), n in sorted(steps.items()) if n)


@lru_cache(maxsize=4096)
def _prv(releases: tuple[tuple[float, float, int], ...], delta: float) -> float | None:
    from opacus.accountants import PRVAccountant

    accountant = PRVAccountant()
    accountant.history = list(releases)
    with warnings.catch_warnings():
        # At a sampling rate of 1 it takes a logarithm of zero, and handles it.
        warnings.simplefilter("ignore")
        found = float(accountant.get_epsilon(delta))
    return found if math.isfinite(found) else None


@lru_cache(maxsize=4096)
def _rdp(releases: tuple[tuple[float, float, int], ...], delta: float) -> float:
    from opacus.accountants.analysis import rdp

    if not releases:
        return 0.0
    total = np.zeros(len(ORDERS))
    for sigma, rate, steps in releases:
        total += rdp.compute_rdp(q=rate, noise_multiplier=sigma, steps=steps, orders=ORDERS)
    with warnings.catch_warnings():
        # It says so when the best order is the first or last; the bound holds all the same.
        warnings.simplefilter("ignore")
        return float(rdp.get_privacy_spent(orders=ORDERS, rdp=total.tolist(), delta=delta)[0])
