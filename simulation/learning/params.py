"""What a configuration may say about learning: model, training, privacy, and its virtual cost.

Nothing heavy is imported here, so that a configuration can be checked in milliseconds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, Union

from simulation.learning.trust import CentralParams, DistributedParams, DpParams


@dataclass(frozen=True, kw_only=True, slots=True)
class LogisticParams:
    """Logistic regression: one linear layer."""

    kind: Literal["logistic"] = "logistic"
    """Names this model."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MlpParams:
    """A multilayer perceptron with one output."""

    kind: Literal["mlp"] = "mlp"
    """Names this model."""
    hidden: tuple[int, ...] = (64, 32)
    """Units of each hidden layer, from the input to the output."""
    activation: Literal["relu", "tanh", "gelu"] = "tanh"
    """Function after each hidden layer. Bounded ones suit DP-SGD (Papernot et al., AAAI 2021)."""
    norm: Literal["none", "layer"] = "none"
    """Normalisation after each hidden layer. Batch normalisation is not offered: it mixes records,
    so that clipping one record's gradient no longer bounds that record's influence."""

    def __post_init__(self) -> None:
        if not self.hidden or any(units < 1 for units in self.hidden):
            raise ValueError(
                f"hidden: needs at least one layer of at least one unit, got {list(self.hidden)}; "
                "use kind: logistic for a model without hidden layers"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class AttentionParams:
    """Attention over the encounters of a patient: linear layers, so that DP-SGD fits it.

    Each step is embedded; its weight is a softmax over the steps that there are; the prediction is
    linear in the weighted sum and the last step. Needs ``data.history`` with as many steps.
    Source: Bahdanau, Cho & Bengio, ICLR 2015 (additive attention).
    """

    kind: Literal["attention"] = "attention"
    """Names this model."""
    steps: int = 8
    """Encounters in a row of inputs; the same as ``data.history``."""
    width: int = 16
    """Units of the embedding of a step."""

    def __post_init__(self) -> None:
        for name, value in (("steps", self.steps), ("width", self.width)):
            if value < 1:
                raise ValueError(f"{name}: must be at least 1, got {value}")


@dataclass(frozen=True, kw_only=True, slots=True)
class ModuleParams:
    """A model of one's own: a function of the number of inputs that returns a PyTorch module."""

    kind: Literal["module"] = "module"
    """Names this model."""
    object: str
    """The function, as ``module:object``. It takes the number of inputs; its module takes float32
    of shape (rows, inputs) and gives logits of shape (rows, 1)."""

    def __post_init__(self) -> None:
        module, _, name = self.object.partition(":")
        if not module or not name:
            raise ValueError(f"object: write it as module:object, got {self.object!r}")


ModelParams = Union[LogisticParams, MlpParams, AttentionParams, ModuleParams]
"""Every model that a configuration may name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingParams:
    """Local training between two aggregations. The optimiser starts afresh in every round."""

    optimizer: Literal["sgd"] = "sgd"
    """Stochastic gradient descent."""
    learning_rate: float = 0.1
    """Step size, above 0."""
    momentum: float = 0.0
    """Share of the last step that is kept, at least 0 and below 1."""
    batch_size: int = 32
    """Records in a batch. Under differential privacy the expected number of protected units
    (records, or patients with ``privacy.unit: patient``): batches are then drawn by Poisson
    sampling, otherwise from a fresh shuffle of the records."""
    local_epochs: int | None = None
    """Passes over the hospital's records, or patients, in a round; 1 when local_steps is not given
    either."""
    local_steps: int | None = None
    """Batches in a round, the same for every hospital; instead of local_epochs."""
    personal: Literal["none", "intercept", "head"] = "none"
    """What a hospital adapts to its own training records before it uses a model: nothing; the
    intercept, so that predicted and observed positives agree in number; or the head, the whole last
    layer, held near the global one. It stays at the hospital and is no part of any update, so it
    spends no privacy towards others."""

    def __post_init__(self) -> None:
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"learning_rate: must be above 0, got {self.learning_rate}; try 0.1")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum: must be at least 0 and below 1, got {self.momentum}")
        if self.batch_size < 1:
            raise ValueError(f"batch_size: must be at least 1, got {self.batch_size}")
        if self.local_epochs is not None and self.local_steps is not None:
            raise ValueError("local_epochs: give this or local_steps, not both")
        for name, value in (("local_epochs", self.local_epochs), ("local_steps", self.local_steps)):
            if value is not None and value < 1:
                raise ValueError(f"{name}: must be at least 1, got {value}")

    def steps(self, units: int) -> int:
        """Optimiser steps of one round at a hospital with so many records, or patients."""
        if self.local_steps is not None:
            return self.local_steps
        return (self.local_epochs or 1) * -(-units // self.batch_size)


@dataclass(frozen=True, kw_only=True, slots=True)
class NoPrivacy:
    """Training without differential privacy."""

    kind: Literal["none"] = "none"
    """Names this choice."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DpSgdParams(DpParams):
    """DP-SGD at the hospital: clipped gradients, Gaussian noise, Poisson sampling.

    Protects each record, or each patient, of a hospital against everyone outside it: coordinator,
    other hospitals, ledger, and whoever gets the model.
    """

    kind: Literal["dp_sgd"] = "dp_sgd"
    """Names this choice."""
    cap: float | None = None
    """Largest total epsilon that the ledger lets a hospital reserve; a commitment above it is
    refused and the round goes on without the hospital. Null: no cap. Needs a ledger."""

    def __post_init__(self) -> None:
        DpParams.__post_init__(self)
        if self.cap is not None and not 0 < self.cap < math.inf:
            raise ValueError(f"cap: must be > 0, got {self.cap}; leave it out for no cap")


PrivacyParams = Union[NoPrivacy, DpSgdParams, DistributedParams, CentralParams]
"""Every kind of privacy that a configuration may name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ComputeParams:
    """What local training costs in virtual time. A model, not a measurement of this machine."""

    device_gflops: float = 5.0
    """Sustained speed of a hospital's processor in 10^9 floating-point operations per second."""
    flops_per_example_parameter: float = 6.0
    """Operations for one record and one parameter: 2 forward, 4 backward (Kaplan et al., 2020)."""
    private_factor: float = 5.0
    """How many times longer a step takes under DP-SGD; per-record gradients cost 4 to 6 times."""
    step_overhead_us: int = 200
    """Time of a step that does not depend on its size, in microseconds."""
    round_overhead_ms: float = 50.0
    """Time to prepare a round (load, check, set up), in milliseconds."""
    speed_spread: float = 0.25
    """How unequal hospitals are: standard deviation of the logarithm of their speed; 0 is equal."""

    def __post_init__(self) -> None:
        for name, value in (
            ("device_gflops", self.device_gflops),
            ("flops_per_example_parameter", self.flops_per_example_parameter),
            ("private_factor", self.private_factor),
        ):
            if not 0 < value < math.inf:
                raise ValueError(f"{name}: must be above 0, got {value}")
        for name, value in (
            ("step_overhead_us", self.step_overhead_us),
            ("round_overhead_ms", self.round_overhead_ms),
            ("speed_spread", self.speed_spread),
        ):
            if not 0 <= value < math.inf:
                raise ValueError(f"{name}: must be at least 0, got {value}")


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationParams:
    """What is measured of the model on the hospitals' test rows, outside the modelled world.

    In rounds: metrics of each hospital, of all rows together, and the mean over hospitals. Of the
    last model also subgroups, gaps, reliability diagram, decision curve and intervals.
    """

    every: int = 1
    """Rounds from one measurement to the next; the first and the last model are always measured."""
    resamples: int = 200
    """Bootstrap resamples for the 95 % intervals of the last model's metrics; 0: no intervals."""

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ValueError(f"every: must be at least 1, got {self.every}")
        if self.resamples < 0:
            raise ValueError(f"resamples: must be at least 0, got {self.resamples}")
