"""The one-run bound in its f-DP form: the whole trade-off curve is refuted, not one (ε, δ).

The canaries' coins are guessed as in `onerun`. If training is μ-GDP (its trade-off curve is at
least that of two Gaussians at distance μ), the number of right guesses has a tail that a recursion
over that number bounds; a μ whose tail at the number seen cannot reach the confidence is refuted.
The largest such μ is then stated as the ε that μ-GDP has at δ. That last step takes the curve of
the training to be Gaussian, which composed DP-SGD nearly is (Dong et al., 2022); so the number
refutes a claim only together with that assumption, and shows more than the bound without it.

Sources: Mahloujifar, Melis, Chaudhuri, "Auditing f-Differential Privacy in One Run", 2024, arXiv
2410.22235 (the recursion, with fewer guesses than coins); Dong, Roth, Su, "Gaussian Differential
Privacy", JRSS B 84 (2022), corollary 2.13.
"""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from simulation.learning.audit.onerun import guesses_of, level_of, right_guesses

_NORMAL = NormalDist()
_MU_MAX = 64.0


def f_dp_epsilon(scores: NDArray[np.float64], coins: NDArray[np.bool_], delta: float) -> float:
    """The ε at ``delta`` of the largest μ that is refuted; 0 when none is.

    ``scores`` and ``coins``, shape (m,), are those of `onerun.one_run_epsilon`.
    """
    m = len(coins)
    tried = [(g, right_guesses(scores, coins, g)) for g in guesses_of(m)]
    return max(gdp_epsilon(refuted_mu(m, g, right, level_of()), delta) for g, right in tried)


@lru_cache(maxsize=64)
def f_dp_ceiling(m: int, delta: float) -> float:
    """The most that m canaries can ever show: every guess right."""
    return max(gdp_epsilon(refuted_mu(m, g, g, level_of()), delta) for g in guesses_of(m))


def refuted_mu(m: int, guesses: int, right: int, level: float) -> float:
    """The largest μ that so many right guesses refute with error probability ``level``."""
    if not refutes(m, guesses, right, 0.0, level):
        return 0.0
    low, high = 0.0, 0.5
    while high < _MU_MAX and refutes(m, guesses, right, high, level):
        low, high = high, 2 * high
    while high - low > 1e-3:
        middle = (low + high) / 2
        if refutes(m, guesses, right, middle, level):
            low = middle
        else:
            high = middle
    return low


def refutes(m: int, guesses: int, right: int, mu: float, level: float) -> bool:
    """Whether ``right`` of ``guesses`` on m coins are too many for μ-GDP.

    ``hit`` and ``miss`` bound the chances that the guess counts to the number at hand and is right,
    or wrong; they are carried down from the number seen to none, where together they must not
    exceed the share of coins that is guessed.
    """
    miss = level * guesses / m * (guesses - right) / guesses
    hit = level * guesses / m * right / guesses
    for count in range(right - 1, -1, -1):
        least = max(miss, _least(hit, mu))
        hit += count / (guesses - count) * (least - miss)
        miss = least
        if hit + miss > guesses / m:
            return True
    return False


def _least(chance: float, mu: float) -> float:
    """The least that an event of this chance with a canary can have without it, under μ-GDP."""
    if chance <= 0:
        return 0.0
    return 1.0 if chance >= 1 else _NORMAL.cdf(_NORMAL.inv_cdf(chance) - mu)


def gdp_epsilon(mu: float, delta: float) -> float:
    """The ε of μ-GDP at δ, by bisection of δ(ε) = Φ(−ε/μ + μ/2) − e^ε Φ(−ε/μ − μ/2)."""
    if mu <= 0 or gdp_delta(mu, 0.0) <= delta:
        return 0.0
    low, high = 0.0, 1.0
    while gdp_delta(mu, high) > delta:
        low, high = high, 2 * high
    while high - low > 1e-6 * max(1.0, high):
        middle = (low + high) / 2
        low, high = (middle, high) if gdp_delta(mu, middle) > delta else (low, middle)
    return low


def gdp_delta(mu: float, epsilon: float) -> float:
    """The δ of μ-GDP at ε."""
    second = _NORMAL.cdf(-epsilon / mu - mu / 2)
    # Far out the second term is a product of a huge and a vanishing number, both beyond floats.
    lost = 0.0 if second == 0 else math.exp(min(700.0, epsilon + math.log(second)))
    return _NORMAL.cdf(-epsilon / mu + mu / 2) - lost
