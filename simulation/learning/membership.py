"""Membership inference: how well can somebody with the model tell who was in the training?

Two attackers. One calls everybody a member whose loss is below a threshold (Yeom et al.). The other
is LiRA: for each record they know how confident models are that were trained with it and without
it, and compare the likelihoods (Carlini et al., online attack). They train such *shadow* models
themselves on halves of the hospital's records, each model being in turn the one attacked and the
others its shadows.

The training attacked is the hospital's own, alone and over all rounds: what a coordinator sees of a
hospital is at most as far from its records, and an average with others' updates is further.

Sources: Yeom, Giacomelli, Fredrikson, Jha, "Privacy Risk in Machine Learning", CSF 2018 (advantage:
true minus false positive rate); Carlini, Chien, Nasr, Song, Terzis, Tramèr, "Membership Inference
Attacks From First Principles", IEEE S&P 2022 (true positives at 0.1 % false ones; one variance for
all records where there are few shadows).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from simulation.base.rng import Streams
from simulation.base.tensors import Arrays
from simulation.learning.engines import BatchedParams, make_engine
from simulation.learning.engines.task import Task
from simulation.learning.models import build_model, load_arrays, model_arrays
from simulation.learning.params import DpSgdParams, ModelParams, NoPrivacy, TrainingParams
from simulation.learning.privacy import plan
from simulation.learning.records import Records, Rows
from simulation.learning.train import Trainer
from simulation.learning.units import units_of

Floats = NDArray[np.float64]

SHADOWS = 32
FALSE_POSITIVES = 1e-3
"""Rate of false positives at which the true positives are counted."""


@dataclass(frozen=True, slots=True)
class Membership:
    """What the two attackers reach against one hospital's training."""

    hospital: int
    records: int
    """Records that may have been in; half of them are, in each model."""
    shadows: int
    epsilon: float | None
    """What the account says; none without differential privacy."""
    loss_advantage: float
    """Largest true minus false positive rate of any threshold on the loss; 0 is chance."""
    loss_tpr: float
    """True positive rate at 0.1 % false positives."""
    lira_advantage: float
    lira_tpr: float
    lira_auroc: float
    """Probability that a member scores above somebody who is none."""

    def data(self) -> dict[str, Any]:
        """Plain data, for one JSON object."""
        return asdict(self)


def membership(
    records: Records,
    model: ModelParams,
    training: TrainingParams,
    privacy: DpSgdParams | NoPrivacy,
    rounds: int,
    shadows: int = SHADOWS,
    seed: int = 0,
) -> Membership:
    """Attack a hospital's training with so many models, each on a random half of its records.

    The privacy claimed is that of a training on such a half: the same batch and the same target, or
    the same noise. Under privacy by patient, patients are in or out with all of their records.

    Raises:
        ValueError: for fewer than four shadows, or records, or a training that is refused.
    """
    rows = len(records.train_y)
    if shadows < 4 or rows < 4:
        raise ValueError(
            f"shadows: needs at least four models and four records, got {shadows} and {rows}"
        )
    streams = Streams(seed)
    private = isinstance(privacy, DpSgdParams)
    units = units_of(records, privacy.unit if private else "record")
    inside = _halves(units.count, shadows, streams)[:, units.owner]
    # One mechanism for all, since halves differ a little in size.
    planned = plan(privacy, training, max(1, units.count // 2), rounds) if private else None
    trainers = [
        Trainer(
            Rows.of(records, chosen, k), model, training, privacy, rounds, streams, planned=planned
        )
        for k, chosen in enumerate(inside)
    ]
    confidence = np.stack(_confidences(trainers, records, model, rounds, streams))
    scores = _likelihood_ratios(confidence, inside)
    return Membership(
        hospital=records.hospital,
        records=rows,
        shadows=shadows,
        epsilon=None if planned is None else planned.planned_epsilon,
        loss_advantage=advantage(confidence[inside], confidence[~inside]),
        loss_tpr=true_positives(confidence[inside], confidence[~inside]),
        lira_advantage=advantage(scores[inside], scores[~inside]),
        lira_tpr=true_positives(scores[inside], scores[~inside]),
        lira_auroc=_auroc(scores[inside], scores[~inside]),
    )


def advantage(members: Floats, others: Floats) -> float:
    """Largest difference of true and false positive rate over all thresholds; at least 0."""
    cuts = np.unique(np.concatenate([members, others]))
    hits = 1 - np.searchsorted(np.sort(members), cuts) / len(members)
    alarms = 1 - np.searchsorted(np.sort(others), cuts) / len(others)
    return max(0.0, float((hits - alarms).max()))


def true_positives(members: Floats, others: Floats, rate: float = FALSE_POSITIVES) -> float:
    """Share of members above the threshold that at most ``rate`` of the others reach."""
    allowed = int(rate * len(others))
    threshold = np.sort(others)[len(others) - 1 - allowed]
    return float((members > threshold).mean())


def _auroc(members: Floats, others: Floats) -> float:
    order = np.sort(others)
    below = np.searchsorted(order, members, side="left")
    upto = np.searchsorted(order, members, side="right")
    return float((below + upto).mean() / (2 * len(others)))


def _halves(units: int, shadows: int, streams: Streams) -> NDArray[np.bool_]:
    """Which unit is in which model, shape (shadows, units): each in half of them."""
    rng = streams.stream("membership", "halves")
    inside = np.zeros((shadows, units), dtype=np.bool_)
    for unit in range(units):
        inside[rng.permutation(shadows)[: shadows // 2], unit] = True
    return inside


def _confidences(
    trainers: Sequence[Trainer],
    records: Records,
    model: ModelParams,
    rounds: int,
    streams: Streams,
) -> list[Floats]:
    """Logit of the true label's probability, shape (records,) for each model: high is sure."""
    # All models of a round in one computation, where their class allows it.
    engine = make_engine(BatchedParams(), trainers)
    start = streams.integer("membership", "model")
    arrays = [model_arrays(build_model(model, len(records.features), start)) for _ in trainers]
    for number in range(1, rounds + 1):
        tasks = [Task(a, number) for a in arrays]
        for trainer, task in zip(trainers, tasks, strict=True):
            trainer.begin(task)
        updates = [t.train(a, number) for t, a in zip(trainers, arrays, strict=True)]
        arrays = [update.arrays for update in updates]
    if engine is not None:
        engine.close()
    return [_logits(t, a, records) for t, a in zip(trainers, arrays, strict=True)]


def _logits(trainer: Trainer, arrays: Arrays, records: Records) -> Floats:
    load_arrays(trainer.module, arrays)
    with torch.no_grad():
        found = trainer.module(torch.from_numpy(records.train_x.copy())).squeeze(-1)
    logits = found.double().numpy()
    return np.where(records.train_y == 1, logits, -logits)


def _likelihood_ratios(confidence: Floats, inside: NDArray[np.bool_]) -> Floats:
    """Log likelihood of "in" over "out" for each model and record, the model itself left out."""
    means: list[Floats] = []
    spreads: list[float] = []
    for group in (inside, ~inside):
        total, count = (confidence * group).sum(axis=0), group.sum(axis=0)
        residual = (confidence - total / count)[group]
        spreads.append(max(1e-12, float(residual.std())))
        # A model's own confidence must not speak for the group that it belongs to.
        means.append((total - confidence * group) / (count - group))
    (mean_in, mean_out), (sd_in, sd_out) = means, spreads
    return (
        ((confidence - mean_out) / sd_out) ** 2 / 2
        - ((confidence - mean_in) / sd_in) ** 2 / 2
        + np.log(sd_out / sd_in)
    )
