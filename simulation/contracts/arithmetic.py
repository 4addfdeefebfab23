"""Exact arithmetic on quantised updates: the same bits in any order, without overflow.

Every stack is int64 of shape (updates, elements…) with elements of at most 2³⁹ in magnitude
(`simulation.contracts.aggregation` checks it).

Squared distances. A difference d has at most 2⁴⁰ and its square 2⁸⁰, too much for an int64. So
d = h·2²⁰ + l is cut with −2²⁰ ≤ h ≤ 2²⁰ and 0 ≤ l < 2²⁰; h², |h·l| and l² are at most 2⁴⁰ each, and
the sum of 2²² of them at most 2⁶². Sums of longer vectors are put together from such pieces, as
h²·2⁴⁰ + h·l·2²¹ + l², in Python's own integers, which have no limit.

Clipping. With an exact norm N above the radius R, a deviation of at most min(N, 2⁴⁰) is multiplied
by a factor φ < 2²² and divided by 2ˢ towards zero, where φ·2⁻ˢ ≤ R/N has 22 significant bits: the
product is below 2⁶², and the clipped deviation never longer than R.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]

LIMB_BITS = 20
PIECE = 1 << 22
"""Elements whose products can be added without overflow."""
FACTOR_BITS = 22


def divide(total: Integers, divisor: int) -> Integers:
    """``total / divisor`` to the nearest integer, ties to even; ``0 < divisor ≤ 2²³``."""
    quotient, remainder = np.divmod(total, divisor)
    twice = 2 * remainder
    up = (twice > divisor) | ((twice == divisor) & (quotient % 2 == 1))
    return quotient + up


def weighted_mean(stack: Integers, weights: Sequence[int]) -> Integers:
    """The mean of each element; the weights add up to at most 2²³."""
    total = np.tensordot(np.array(weights, dtype=np.int64), stack, axes=1)
    return divide(total, sum(weights))


def median(stack: Integers) -> Integers:
    """The median of each element; of an even number, the mean of the middle two."""
    ordered = np.sort(stack, axis=0)
    return divide(ordered[(len(stack) - 1) // 2] + ordered[len(stack) // 2], 2)


def trimmed_mean(stack: Integers, trim: int) -> Integers:
    """The mean of each element without its ``trim`` largest and smallest values."""
    kept = np.sort(stack, axis=0)[trim : len(stack) - trim]
    return divide(kept.sum(axis=0), len(kept))


def near_median_mean(stack: Integers, count: int) -> Integers:
    """The mean of the ``count`` values of each element that are closest to their median.

    Of two at the same distance on either side, the lower one counts first.
    """
    ordered = np.sort(stack, axis=0)
    middle = ordered[(len(stack) - 1) // 2] + ordered[len(stack) // 2]
    closest = np.argsort(np.abs(2 * ordered - middle), axis=0, kind="stable")[:count]
    return divide(np.take_along_axis(ordered, closest, axis=0).sum(axis=0), count)


def squared_length(vector: Integers) -> int:
    """The exact sum of the squares of a vector with elements of at most 2⁴⁰ in magnitude."""
    total = 0
    for start in range(0, len(vector), PIECE):
        piece = vector[start : start + PIECE]
        high, low = piece >> LIMB_BITS, piece & ((1 << LIMB_BITS) - 1)
        total += int(high @ high) << (2 * LIMB_BITS)
        total += int(high @ low) << (LIMB_BITS + 1)
        total += int(low @ low)
    return total


def krum_order(stack: Integers, byzantine: int) -> list[int]:
    """Positions of flat updates, shape (updates, elements), by Krum score, lowest first.

    A score is the sum of the squared distances to the n − f − 2 nearest others, at least to one;
    equal scores keep their order.
    """
    count = len(stack)
    distances = [[0] * count for _ in range(count)]
    for i in range(count):
        for j in range(i):
            distances[i][j] = distances[j][i] = squared_length(stack[i] - stack[j])
    nearest = max(1, count - byzantine - 2)
    scores = [sum(sorted(row[:i] + row[i + 1 :])[:nearest]) for i, row in enumerate(distances)]
    return sorted(range(count), key=lambda i: (scores[i], i))


def clipped(deviation: Integers, radius: int) -> Integers:
    """A flat deviation shortened to at most ``radius``, in the same direction; see the module."""
    squared = squared_length(deviation)
    if squared <= radius * radius:
        return deviation
    norm = math.isqrt(squared - 1) + 1  # rounded up, so that the result is never too long
    shift = FACTOR_BITS + norm.bit_length() - radius.bit_length()
    factor = (radius << shift) // norm
    while factor >= 1 << FACTOR_BITS:
        shift, factor = shift - 1, factor >> 1
    product = deviation * factor
    if shift >= 63:
        return np.zeros_like(deviation)
    return np.sign(product) * (np.abs(product) >> shift)
