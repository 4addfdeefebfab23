"""What can be seen in the models of all rounds: canaries' traces, and the noise beside them.

Everything is counted in units of one clipped gradient's effect, lr·C / expected batch, so that a
canary moves its weights by one unit whenever it is drawn, and noise has deviation σ in each step.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from simulation.base.rng import Streams
from simulation.learning.audit.canaries import Floats, first_layer, plant, slopes
from simulation.learning.audit.coins import Coins
from simulation.learning.engines import EngineParams, make_engine
from simulation.learning.models import build_model, load_arrays, model_arrays
from simulation.learning.params import DpSgdParams, ModelParams, TrainingParams
from simulation.learning.privacy import PrivacyPlan, plan
from simulation.learning.records import Records
from simulation.learning.train import Trainer
from simulation.learning.units import units_of
from simulation.learning.update import Spend

BRIGHTNESS = 6.0
"""How many times a canary's first gradient exceeds the clipping norm."""
VISITS = 3
"""Records of a canary under privacy by patient: clipped one by one they would show as three."""

TrainerClass = Callable[..., Trainer]


@dataclass(frozen=True, eq=False)
class Subject:
    """What is audited: one hospital's records under one configuration."""

    records: Records
    model: ModelParams
    training: TrainingParams
    privacy: DpSgdParams
    rounds: int
    engine: EngineParams
    trainer: TrainerClass = Trainer
    """What trains; a test puts a broken one here."""


@dataclass(frozen=True, eq=False)
class Sight:
    """What an audit has seen."""

    plan: PrivacyPlan
    """The plan that the trainer with the canaries has carried out, or says that it has."""
    coins: NDArray[np.bool_]
    """Which canaries were in, shape (m,)."""
    scores: Floats
    """How far each canary's weights went where the canary would pull them, shape (m,)."""
    noise: Floats
    """Changes of the weights of canaries that were out, shape (rounds, numbers)."""
    drift: tuple[float, float]
    """Units by which a gradient in every step of a round moves a weight, and the root of the sum of
    squares, which noise grows by; both are the number of steps without momentum, and its root."""
    history: tuple[Spend, ...]
    """What the trainer says it has released."""


def look(subject: Subject, tossed: Coins, seed: int) -> Sight:
    """Train with canaries as configured, and look at the model after each round.

    The canaries make the hospital larger; the batch grows with it, so that σ, the sampling rate and
    the number of steps stay those of the configuration.

    Raises:
        ValueError: when the model's first layer is not linear, or the configuration is refused.
    """
    streams = Streams(seed)
    coins, canaries = tossed.values, len(tossed.values)
    inputs = len(subject.records.features)
    module = build_model(subject.model, inputs + canaries, streams.integer("audit", "model"))
    name = first_layer(module)[0] + ".weight"
    first = np.linalg.norm(slopes(module, inputs, canaries, 1.0), axis=1)
    brightness = BRIGHTNESS * subject.privacy.max_grad_norm / max(1e-6, float(np.median(first)))
    visits = VISITS if subject.privacy.unit == "patient" else 1
    trainer = _trainer(subject, plant(subject.records, coins, brightness, visits), streams)
    engine = make_engine(subject.engine, [trainer])
    planned = trainer.plan
    assert planned is not None, "the subject is private"
    lr, momentum = subject.training.learning_rate, subject.training.momentum
    unit = lr * planned.max_grad_norm / (planned.sampling_rate * trainer.units.count)
    arrays, history = model_arrays(module), list[Spend]()
    scores = np.zeros(canaries)
    noise: list[Floats] = []
    try:
        for number in range(1, subject.rounds + 1):
            load_arrays(module, arrays)
            pull = -slopes(module, inputs, canaries, brightness)
            pull /= np.maximum(np.linalg.norm(pull, axis=1, keepdims=True), 1e-12)
            update = trainer.train(arrays, number, history)
            if update.spent is not None:
                history.append(update.spent)
            moved = (update.arrays[name] - arrays[name])[:, inputs:].T.astype(np.float64) / unit
            scores += (moved * pull).sum(axis=1)
            noise.append(moved[~coins].ravel())
            arrays = update.arrays
    finally:
        if engine is not None:
            engine.close()
    return Sight(
        planned, coins, scores, np.stack(noise), _drift(planned.steps, momentum), tuple(history)
    )


def _trainer(subject: Subject, records: Records, streams: Streams) -> Trainer:
    """The configuration's trainer on more records, with the σ, rate and steps of the fewer."""
    privacy = subject.privacy
    own = units_of(subject.records, privacy.unit).count
    wanted = plan(privacy, subject.training, own, subject.rounds, records.hospital)
    more = units_of(records, privacy.unit).count
    training = replace(
        subject.training,
        batch_size=max(1, round(wanted.sampling_rate * more)),
        local_epochs=None,
        local_steps=wanted.steps,
    )
    # δ is checked against the number of units, canaries included; ε is asked at the true δ later.
    private = replace(
        privacy,
        epsilon=None,
        hospital_epsilons=(),
        cap=None,
        noise_multiplier=wanted.sigma,
        delta=min(privacy.delta, 0.05 / more),
    )
    return subject.trainer(records, subject.model, training, private, subject.rounds, streams)


def _drift(steps: int, momentum: float) -> tuple[float, float]:
    # What enters at a step is carried on by all later ones: 1 + k + k² + … of it.
    carried = np.cumsum(momentum ** np.arange(steps, dtype=np.float64))
    return float(carried.sum()), math.sqrt(float((carried**2).sum()))
