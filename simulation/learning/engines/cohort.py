"""DP-SGD of several hospitals in step: the same algorithm as the reference, with one more axis.

Every hospital keeps its own batches, noise, σ, rate, number of steps and model; only the arithmetic
is shared. Hospitals with more steps come first, so that those which are done drop off the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from simulation.learning.engines.dense import Layer, Tensor, clipped_sums
from simulation.learning.params import TrainingParams
from simulation.learning.privacy import PrivacyPlan
from simulation.learning.units import Units

DRAWN_AT_ONCE = 1_000_000
"""Random numbers for sampling that are held at one time."""


@dataclass(frozen=True, eq=False)
class Member:
    """One hospital's part of a cohort."""

    x: NDArray[np.float32]
    """Training inputs, shape (records, inputs)."""
    y: NDArray[np.int64]
    """Training labels, shape (records,)."""
    theta: NDArray[np.float32]
    """The global model it starts from, flat, in the order of its layers."""
    plan: PrivacyPlan
    units: Units
    training: TrainingParams
    proximal_mu: float
    sampling: np.random.Generator
    noise: np.random.Generator


def train_cohort(layers: Sequence[Layer], members: Sequence[Member]) -> list[NDArray[np.float32]]:
    """The members' models after their training, flat, in the order of ``members``."""
    order = sorted(range(len(members)), key=lambda i: -members[i].plan.steps)
    with torch.no_grad():
        trained = _train(layers, [members[i] for i in order]).numpy()
    found = {place: trained[row].copy() for row, place in enumerate(order)}
    return [found[i] for i in range(len(members))]


def _train(layers: Sequence[Layer], members: Sequence[Member]) -> Tensor:
    theta = torch.from_numpy(np.stack([member.theta for member in members]))
    origin = theta.clone()
    batches = _Batches(members)
    clip = _column([m.plan.max_grad_norm for m in members])
    expected = _column([m.plan.sampling_rate * m.units.count for m in members])
    rate = _column([m.training.learning_rate for m in members])
    keep = _column([m.training.momentum for m in members])
    pull = _column([m.proximal_mu for m in members])
    momentum, pulled = bool(keep.any()), bool(pull.any())
    velocity = torch.zeros_like(theta) if momentum else theta
    noise = _Noise(members, theta.shape[1])
    for step in range(members[0].plan.steps):
        k = batches.active(step)
        x, y, mask, owners = batches.batch(step, k)
        gradient = clipped_sums(layers, theta[:k], x, y, mask, clip[:k], owners)
        gradient += noise.draw(k)
        gradient /= expected[:k]
        if pulled:
            gradient += pull[:k] * (theta[:k] - origin[:k])
        if momentum:
            velocity[:k].mul_(keep[:k]).add_(gradient)
            gradient = velocity[:k]
        theta[:k] -= rate[:k] * gradient
    return theta


def _column(values: Sequence[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float32).unsqueeze(1)


class _Noise:
    """Each member's Gaussian noise, from its own generator, in the reference's order."""

    def __init__(self, members: Sequence[Member], parameters: int) -> None:
        self._generators = [member.noise for member in members]
        scale = [member.plan.own_sigma * member.plan.max_grad_norm for member in members]
        self._scale = np.array(scale)[:, None]
        self._drawn = np.empty((len(members), parameters))

    def draw(self, members: int) -> Tensor:
        """Noise of the first ``members`` members for one step."""
        for row in range(members):
            self._generators[row].standard_normal(out=self._drawn[row])
        scaled = self._drawn[:members] * self._scale[:members]
        return torch.from_numpy(scaled.astype(np.float32))


class _Batches:
    """All Poisson batches of all members, as row numbers into their records laid end to end."""

    def __init__(self, members: Sequence[Member]) -> None:
        self._steps = [member.plan.steps for member in members]
        inputs = members[0].x.shape[1]
        blank = np.zeros((1, inputs), dtype=np.float32)
        self._x = torch.from_numpy(np.concatenate([*(m.x for m in members), blank]))
        labels = [member.y.astype(np.float32) for member in members]
        self._y = torch.from_numpy(np.concatenate([*labels, np.zeros(1, dtype=np.float32)]))
        self._blank = len(self._x) - 1
        self._owners: Tensor | None = None
        if not all(member.units.single for member in members):
            numbered = [member.units.owner for member in members]
            self._owners = torch.from_numpy(np.concatenate([*numbered, np.array([-1])]))
        drawn = [_drawn(member) for member in members]
        self._sizes = np.zeros((self._steps[0], len(members)), dtype=np.int64)
        for column, (sizes, _) in enumerate(drawn):
            self._sizes[: len(sizes), column] = sizes
        shape = (*self._sizes.shape, max(1, int(self._sizes.max())))
        rows = np.full(shape, self._blank, dtype=np.int64)
        start = 0
        for column, (member, (sizes, taken)) in enumerate(zip(members, drawn, strict=True)):
            step = np.repeat(np.arange(len(sizes)), sizes)
            place = np.arange(len(taken)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
            rows[step, column, place] = start + taken
            start += len(member.y)
        self._rows = torch.from_numpy(rows)

    def active(self, step: int) -> int:
        """How many members have this step; they are the first ones."""
        return sum(steps > step for steps in self._steps)

    def batch(self, step: int, members: int) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """Inputs, labels, mask and owners of one step, padded to these members' largest batch."""
        width = max(1, int(self._sizes[step, :members].max()))
        rows = self._rows[step, :members, :width]
        owners = None if self._owners is None else self._owners[rows]
        return self._x[rows], self._y[rows], (rows != self._blank).to(torch.float32), owners


def _drawn(member: Member) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sizes of a member's batches, and the row numbers in all of them, one after the other."""
    records, steps = len(member.y), member.plan.steps
    at_once = max(1, DRAWN_AT_ONCE // records)
    sizes: list[NDArray[np.int64]] = []
    taken: list[NDArray[np.int64]] = []
    for first in range(0, steps, at_once):
        count = min(at_once, steps - first)
        units = member.sampling.random((count, member.units.count)) < member.plan.sampling_rate
        chosen = units if member.units.single else units[:, member.units.owner]
        sizes.append(chosen.sum(axis=1))
        taken.append(np.nonzero(chosen)[1])
    return np.concatenate(sizes), np.concatenate(taken)
