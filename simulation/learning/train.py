"""One hospital's private learner: arrays of the global model in, arrays of a local model out.

`Trainer.train` is a pure function of the arrays, the round and the history: calling it twice gives
the same bytes, so an update can be sent again without spending more privacy. Nothing is kept
between rounds; the optimiser starts afresh, and the account is the caller's.

Sources: McMahan et al., AISTATS 2017 (local SGD); Abadi et al., CCS 2016 (DP-SGD);
Li et al., MLSys 2020 (FedProx).
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from simulation.base.ids import HospitalId, hospital_name
from simulation.base.rng import Streams
from simulation.base.tensors import Arrays
from simulation.learning.cost import hospital_speed, training_us
from simulation.learning.engines.task import Engine, Task
from simulation.learning.metrics import Scores
from simulation.learning.models import build_model, load_arrays, model_arrays, refuse_coupled
from simulation.learning.params import (
    ComputeParams,
    ModelParams,
    PrivacyParams,
    TrainingParams,
)
from simulation.learning.personal import head_of, own_head, own_intercept, taken_by
from simulation.learning.privacy import PrivacyPlan, plan
from simulation.learning.records import Records
from simulation.learning.tampering import HONEST, Rows, Tampering
from simulation.learning.trust import CentralParams, DpParams
from simulation.learning.units import Units, units_of
from simulation.learning.update import ModelUpdate, Spend


class BudgetSpent(ValueError):
    """Training once more would release more than the plan of the whole run allows."""


class Trainer:
    """Trains and scores one model on one hospital's records.

    ``tampering`` says what the hospital changes in its own training, when it is not honest.

    Raises:
        ValueError: when the privacy asked for cannot be given (see `privacy.plan`).
    """

    def __init__(
        self,
        shard: Records,
        model: ModelParams,
        training: TrainingParams,
        privacy: PrivacyParams,
        rounds: int,
        streams: Streams,
        tampering: Tampering = HONEST,
        planned: PrivacyPlan | None = None,
    ) -> None:
        _settle_torch()
        self.hospital: HospitalId = shard.hospital
        self.plan: PrivacyPlan | None = None
        self.engine: Engine | None = None
        self.shard = shard
        self.model = model
        self.training = training
        self._tampering = tampering
        self._rounds = rounds
        self._targeted = False
        self._streams = self._private_streams = streams
        self.module = build_model(model, len(shard.features), seed=0)
        self._head: nn.Linear | None = None
        if training.personal == "head":
            self._head = head_of(self.module, len(shard.features))
        self._per_record: nn.Module | None = None
        self.units: Units = units_of(shard, "record")
        self._equal = isinstance(privacy, CentralParams)
        if isinstance(privacy, DpParams):
            self.units = units_of(shard, privacy.unit)
            self.plan = planned or plan(privacy, training, self.units.count, rounds, shard.hospital)
            self._targeted = privacy.target(shard.hospital) is not None
            refuse_coupled(self.module)
            if privacy.secure_rng:
                self._private_streams = Streams(int.from_bytes(os.urandom(32), "big"))

    @property
    def examples(self) -> int:
        """Training records of this hospital."""
        return len(self.shard.train_y)

    @property
    def weight(self) -> int:
        """Its weight in the average: its records; 1 where all hospitals have to weigh the same."""
        return 1 if self._equal else self.examples

    def rows(self, number: int) -> Rows:
        """The rows that are really trained on in a round.

        Raises:
            ValueError: when a tampering gives more or fewer rows than the hospital declares.
        """
        x, y = self._tampering.rows(number, self.shard.train_x, self.shard.train_y)
        if x.shape != self.shard.train_x.shape or y.shape != self.shard.train_y.shape:
            raise ValueError(
                f"{hospital_name(self.hospital)} would train on inputs of shape {x.shape} and "
                f"labels of shape {y.shape}; a tampering keeps {self.shard.train_x.shape}"
            )
        return x, y

    def mechanism(self, number: int) -> PrivacyPlan:
        """The privacy mechanism that is really carried out in a round; ``plan`` is declared."""
        assert self.plan is not None, "only private trainings have one"
        return self._tampering.mechanism(number, self.plan)

    def train(
        self,
        arrays: Arrays,
        round: int,  # noqa: A002 - the field's word
        history: Sequence[Spend] = (),
        proximal_mu: float = 0.0,
    ) -> ModelUpdate:
        """One round of local training from the global model ``arrays``.

        ``history`` is everything this hospital has released so far; ``proximal_mu`` pulls the
        local model towards the global one (FedProx).

        Raises:
            BudgetSpent: when there is an ε target and the planned rounds are used up.
            ValueError: when the arrays are not those of the model.
        """
        if self.plan is not None:
            self._check_budget(self.plan, history)
        task = Task(arrays, round, proximal_mu)
        return self.compute(task) if self.engine is None else self.engine.result(self, task)

    def __getstate__(self) -> dict[str, Any]:
        """For a worker process: without the engine, and without Opacus's hooks, made anew there."""
        return {**self.__dict__, "engine": None, "_per_record": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        _settle_torch()
        self.__dict__.update(state)

    def begin(self, task: Task) -> None:
        """Tell the engine, if there is one, that this training will be asked for."""
        if self.engine is not None:
            self.engine.begin(self, task)

    def compute(self, task: Task) -> ModelUpdate:
        """The training itself, by the reference implementation; the account is not looked at."""
        if self.plan is None:
            return self._train_plainly(task.arrays, task.round, task.proximal_mu)
        return self._train_privately(self.plan, task)

    def scores(self, arrays: Arrays, split: Literal["train", "test"] = "test") -> Scores:
        """True labels and predicted probabilities of this hospital's rows, shape (rows,) each."""
        shard = self.shard
        x, y = (shard.test_x, shard.test_y) if split == "test" else (shard.train_x, shard.train_y)
        return y, self.predict(arrays, x)

    def predict(self, arrays: Arrays, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """A model's probabilities of 1, shape (rows,), for inputs of shape (rows, features).

        With ``personal`` the hospital's own intercept or last layer is in them.
        """
        shard = self.shard
        if self._head is not None:
            logits = self._own_logits(self._head, arrays, x)
        else:
            logits = self._logits(arrays, x)
        if self.training.personal == "intercept":
            logits = logits + own_intercept(self._logits(arrays, shard.train_x), shard.train_y)
        return torch.sigmoid(torch.from_numpy(logits)).numpy()

    def _logits(self, arrays: Arrays, x: NDArray[np.float32]) -> NDArray[np.float64]:
        load_arrays(self.module, arrays)
        with torch.no_grad():
            return self.module(torch.from_numpy(x.copy())).squeeze(-1).double().numpy()

    def _own_logits(
        self, head: nn.Linear, arrays: Arrays, x: NDArray[np.float32]
    ) -> NDArray[np.float64]:
        load_arrays(self.module, arrays)
        known, asked = (
            taken_by(head, self.module, torch.from_numpy(rows.copy())).double().numpy()
            for rows in (self.shard.train_x, x)
        )
        bias = getattr(head, "bias", None)  # a Linear may be made without one
        bias = torch.zeros(1) if bias is None else bias.detach()
        shared = torch.cat([head.weight.detach().reshape(-1), bias]).double().numpy()
        own = own_head(known, self.shard.train_y, shared)
        return asked @ own[:-1] + own[-1]

    def training_us(self, compute: ComputeParams) -> int:
        """Virtual duration of one round at this hospital, in microseconds."""
        private = self.plan is not None
        units = self.units.count
        batch = min(self.training.batch_size, units) * (self.examples / units)
        return training_us(
            compute,
            steps=self.training.steps(units),
            batch_size=batch,
            parameters=sum(p.numel() for p in self.module.parameters()),
            private=private,
            speed=hospital_speed(compute, self.hospital, self._streams),
        )

    # ---- without differential privacy -----------------------------------------------------------

    def _train_plainly(self, arrays: Arrays, number: int, mu: float) -> ModelUpdate:
        module = self.module
        load_arrays(module, arrays)
        optimizer = self._sgd(module)
        pull = _proximal(module, mu)
        x, y = self._tensors(number)
        steps = self.training.steps(self.examples)
        rng = self._streams.stream("learning", "batches", self.hospital, number)
        for rows in _shuffled(rng, self.examples, self.training.batch_size, steps):
            optimizer.zero_grad()
            _loss(module, x[rows], y[rows], "mean").backward()
            pull()
            optimizer.step()
        return ModelUpdate(model_arrays(module), self.weight, steps, None)

    # ---- with differential privacy --------------------------------------------------------------

    def _train_privately(self, declared: PrivacyPlan, task: Task) -> ModelUpdate:
        # An engine may do without Opacus, whose import takes as long as all of PyTorch's.
        from simulation.learning.dpsgd import KeyedOptimizer, record_gradients

        if self._per_record is None:
            self._per_record = record_gradients(
                build_model(self.model, len(self.shard.features), 0)
            )
        wrapped = self._per_record
        module: nn.Module = wrapped._module  # pyright: ignore[reportPrivateUsage, reportAssignmentType]
        load_arrays(module, task.arrays)
        sampling, noise = self.draws(task)
        planned = self.mechanism(task.round)
        optimizer = KeyedOptimizer(
            self._sgd(module),
            planned,
            expected_batch=planned.sampling_rate * self.units.count,
            noise=noise,
            after_noise=_proximal(module, task.proximal_mu),
        )
        x, y = self._tensors(task.round)
        x.requires_grad_()  # else the hooks warn at the first layer, which has no gradient to pass
        for rows in _poisson(sampling, self.units, planned.sampling_rate, planned.steps):
            optimizer.zero_grad(set_to_none=True)
            _loss(wrapped, x[rows], y[rows], "sum").backward()
            if not self.units.single:
                owners = np.unique(self.units.owner[rows], return_inverse=True)[1]
                optimizer.owners = torch.from_numpy(owners)
            optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return ModelUpdate(model_arrays(module), self.examples, declared.steps, declared.release)

    def draws(self, task: Task) -> tuple[np.random.Generator, np.random.Generator]:
        """Fresh generators of a private training's batches and of its noise.

        Their name holds all that the update depends on, so that two updates of one round from
        different models never share their noise and cannot be subtracted.
        """
        name = ("learning", self.hospital, task.round, task.root.hex(), repr(task.proximal_mu))
        streams = self._private_streams
        return streams.stream(*name, "sampling"), streams.stream(*name, "noise")

    def _check_budget(self, planned: PrivacyPlan, history: Sequence[Spend]) -> None:
        done = sum(spend.steps for spend in history)
        if self._targeted and done + planned.steps > planned.steps * self._rounds:
            raise BudgetSpent(
                f"{hospital_name(self.hospital)} has released {done} steps; one more round of "
                f"{planned.steps} passes the {self._rounds} rounds that its epsilon is planned for"
            )

    def _sgd(self, module: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.SGD(
            module.parameters(),
            lr=self.training.learning_rate,
            momentum=self.training.momentum,
        )

    def _tensors(self, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        x, y = self.rows(number)
        return torch.tensor(x), torch.tensor(y, dtype=torch.float32)


def _settle_torch() -> None:
    """One thread and deterministic kernels: float addition is not associative."""
    if torch.get_num_threads() != 1:
        torch.set_num_threads(1)
    if not torch.are_deterministic_algorithms_enabled():
        torch.use_deterministic_algorithms(True)


def _loss(
    module: nn.Module, x: torch.Tensor, y: torch.Tensor, reduction: Literal["mean", "sum"]
) -> torch.Tensor:
    """Binary cross-entropy; each record's term depends on that record alone."""
    logits = module(x)
    assert logits.shape == (len(y), 1), "one logit for each record"
    return nn.functional.binary_cross_entropy_with_logits(
        logits.squeeze(-1), y, reduction=reduction
    )


def _proximal(module: nn.Module, mu: float) -> Callable[[], None]:
    """Adds FedProx's ``mu (w − w_global)`` to the gradients that are there when it is called.

    It is added to gradients and not to the loss: per-record gradients do not see a term of the loss
    that does not run through a layer, and FedProx would silently be FedAvg.
    """
    start = [parameter.detach().clone() for parameter in module.parameters()]

    def pull() -> None:
        if not mu:
            return
        for parameter, origin in zip(module.parameters(), start, strict=True):
            assert parameter.grad is not None, "called after the gradients are there"
            parameter.grad.add_(parameter.detach() - origin, alpha=mu)

    return pull


def _shuffled(
    rng: np.random.Generator, records: int, batch_size: int, steps: int
) -> Iterator[torch.Tensor]:
    """``steps`` batches of row numbers: a fresh shuffle for each pass, the last batch shorter."""
    passes = math.ceil(steps / math.ceil(records / batch_size))
    left = steps
    for _ in range(passes):
        order = torch.from_numpy(rng.permutation(records))
        for start in range(0, records, batch_size):
            if not left:
                return
            left -= 1
            yield order[start : start + batch_size]


def _poisson(
    rng: np.random.Generator, units: Units, rate: float, steps: int
) -> Iterator[torch.Tensor]:
    """``steps`` batches with all records of each unit that is drawn, independently of the others,
    with probability ``rate``.
    """
    for _ in range(steps):
        yield torch.from_numpy(units.rows(rng.random(units.count) < rate))
