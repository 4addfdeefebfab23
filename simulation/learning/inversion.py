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

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulation.base.rng import Streams
from simulation.base.tensors import Arrays
from simulation.learning.models import build_model, model_arrays
from simulation.learning.params import DpSgdParams, ModelParams, NoPrivacy, TrainingParams
from simulation.learning.privacy import PrivacyPlan
from simulation.learning.records import Records, Rows
from simulation.learning.train import Trainer

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


@dataclass(frozen=True, slots=True)
class Inverted:
    """How near an attacker comes to the records of one step, with a batch of so many."""

    batch: int
    sigma: float
    """Noise multiplier; 0 without differential privacy."""
    median: float
    """Median over records of `errors`."""
    read: float
    """Share of the records that come out within a tenth of their length."""


def invert(
    records: Records,
    model: ModelParams,
    batch: int,
    privacy: DpSgdParams | None,
    sigma: float = 0.0,
    repeats: int = 20,
    seed: int = 0,
) -> Inverted:
    """Train single steps on ``repeats`` random batches of a hospital's records and read them back.

    Every record of a batch is in the step, as the attacker would wish; with ``privacy`` the step is
    clipped and noised by the program's own trainer at noise multiplier ``sigma``.

    Raises:
        ValueError: when the model does not begin with a linear layer, or there are too few records.
    """
    if not 1 <= batch <= len(records.train_y):
        raise ValueError(f"batch: must be 1 to {len(records.train_y)}, got {batch}")
    streams = Streams(seed)
    training = TrainingParams(learning_rate=0.1, batch_size=batch, local_steps=1)
    found: list[Floats] = []
    for number in range(1, repeats + 1):
        chosen = streams.stream("inversion", batch, number).permutation(len(records.train_y))
        rows = Rows.of(records, chosen[:batch])
        planned = None
        if privacy is not None:
            clip = privacy.max_grad_norm
            planned = PrivacyPlan(sigma, 1.0, 1, 1, privacy.delta, clip)
        own = NoPrivacy() if privacy is None else privacy
        trainer = Trainer(rows, model, training, own, 1, streams, planned=planned)
        start = model_arrays(
            build_model(model, len(records.features), streams.integer("inversion", number))
        )
        after = trainer.train(start, number).arrays
        found.append(errors(candidates(start, after), rows.train_x))
    pooled = np.concatenate(found)
    return Inverted(batch, sigma, float(np.median(pooled)), float((pooled < 0.1).mean()))
