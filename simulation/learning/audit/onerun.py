"""A lower bound on ε from one training with many canaries.

Each of m canaries is in the training or not, by a fair coin. Whoever sees the result guesses some
of the coins. If training is (ε, δ)-private, the number of right guesses is hardly larger than that
of a guesser who is right with probability e^ε / (e^ε + 1) each time; so many right guesses refute a
small ε.

Source: Steinke, Nasr, Jagielski, NeurIPS 2023, arXiv 2305.08846, theorem 5.2.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
"""Probability with which the bound holds."""
SHARES = (0.1, 0.2, 0.4, 1.0)
"""Guesses tried, as shares of m; fixed beforehand, and the confidence is divided among them."""


def one_run_epsilon(
    scores: NDArray[np.float64], coins: NDArray[np.bool_], delta: float
) -> tuple[float, int, int]:
    """The largest ε that is refuted, with the guesses and right guesses that refute it.

    ``scores``, shape (m,), are high for canaries that seem to be in; ``coins``, shape (m,), say
    which are. Half of the guesses are "in" for the highest scores, half "out" for the lowest.
    """
    m = len(coins)
    best = (0.0, 0, 0)
    for guesses in guesses_of(m):
        right = right_guesses(scores, coins, guesses)
        best = max(best, (bound(m, guesses, right, delta, level_of()), guesses, right))
    return best


def ceiling(m: int, delta: float) -> float:
    """The most that m canaries can ever show: every guess right."""
    return max(bound(m, g, g, delta, level_of()) for g in guesses_of(m))


def guesses_of(m: int) -> list[int]:
    """The numbers of guesses that are tried, all even: as many "in" as "out"."""
    return [max(2, round(share * m) // 2 * 2) for share in SHARES]


def level_of() -> float:
    """The error probability that each number of guesses has."""
    return (1 - CONFIDENCE) / len(SHARES)


def right_guesses(scores: NDArray[np.float64], coins: NDArray[np.bool_], guesses: int) -> int:
    """How many are right of that many guesses: half "out" for the lowest scores, half "in"."""
    order = np.argsort(scores, kind="stable")
    half = guesses // 2
    return int((~coins[order[:half]]).sum() + coins[order[len(coins) - half :]].sum())


def bound(m: int, guesses: int, right: int, delta: float, level: float) -> float:
    """The largest ε whose p-value for so many right guesses is at most ``level``."""
    if p_value(m, guesses, right, 0.0, delta) > level:
        return 0.0
    low, high = 0.0, 1.0
    while high < 64 and p_value(m, guesses, right, high, delta) <= level:
        low, high = high, 2 * high
    while high - low > 1e-4:
        middle = (low + high) / 2
        if p_value(m, guesses, right, middle, delta) <= level:
            low = middle
        else:
            high = middle
    return low


def p_value(m: int, guesses: int, right: int, epsilon: float, delta: float) -> float:
    """How probable so many right guesses are at most, if training is (ε, δ)-private."""
    chance = 1 / (1 + math.exp(-epsilon))
    pmf = _binomial(guesses, chance)
    beta = float(pmf[right:].sum())
    # δ can help i guesses at once, at the price of being spent on i of them.
    below = np.cumsum(pmf[:right][::-1])
    alpha = float((below / np.arange(1, right + 1)).max()) if right else 0.0
    return min(1.0, beta + 2 * m * delta * alpha)


def _binomial(n: int, p: float) -> NDArray[np.float64]:
    k = np.arange(n + 1)
    logs = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])
    log_miss = -math.inf if p >= 1 else math.log1p(-p)
    with np.errstate(invalid="ignore"):
        tails = np.where(n - k > 0, (n - k) * log_miss, 0.0)
    return np.exp(logs[n] - logs - logs[::-1] + k * math.log(p) + tails)
