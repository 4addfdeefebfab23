"""Gradient inversion: records read back from the update of one step, as a demonstration.

A record's gradient for the first linear layer is δ·[x, 1] for each unit, weight beside bias, so
that whoever divides a unit's weight gradient by its bias gradient holds x itself. With several
records in the batch the quotient is a mean of them, weighted by their δ: exact where a unit is
awake for one record only, blurred elsewhere. Noise of DP-SGD drowns numerator and denominator.

Sources: Phong, Aono, Hayashi, Wang, Moriai, "Privacy-Preserving Deep Learning via Additively
Homomorphic Encryption", IEEE TIFS 13 (2018), section 3 (the quotient); Geiping, Bauermeister,
Dröge, Moeller, "Inverting Gradients", NeurIPS 2020, proposition 3.1 (any depth behind the layer).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simulation.base.tensors import Arrays

Floats = NDArray[np.float64]


def candidates(before: Arrays, after: Arrays) -> Floats:
    """What the step from one model to the other shows of its records, shape (units, inputs).

    The learning rate, the batch size and the clipping factor cancel in the quotient.

    Raises:
        ValueError: when the first two arrays are not weight and bias of a linear layer.
    """
    names = list(before)[:2]
    moved = [before[name].astype(np.float64) - after[name] for name in names]
    if len(moved) < 2 or moved[0].ndim != 2 or moved[1].shape != moved[0].shape[:1]:
        raise ValueError(f"model: begins with {', '.join(names)}, not with a linear layer")
    weight, bias = moved
    awake = np.abs(bias) > 1e-12
    return weight[awake] / bias[awake, None]


def errors(found: Floats, records: NDArray[np.float32]) -> Floats:
    """For each record the distance of the nearest candidate, in lengths of the record, at most 1.

    0 is the record itself; 1 is no better than guessing zeros.
    """
    if not len(found):
        return np.ones(len(records))
    wanted = records.astype(np.float64)
    distance = np.linalg.norm(wanted[:, None, :] - found[None, :, :], axis=2).min(axis=1)
    return np.minimum(1.0, distance / np.maximum(np.linalg.norm(wanted, axis=1), 1e-12))
