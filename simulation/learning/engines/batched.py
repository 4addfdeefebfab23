"""The batched engine: gathers announced trainings and computes all of them when one is needed.

Hospitals get their orders at nearly the same virtual time and need their results later, so that
usually one computation serves a round. What is announced too late comes into the next one.

Which hospitals share a computation changes the last digits of a result, never its batches or noise.
Results are therefore kept until a later round begins: asked again, a hospital gives the same bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simulation.learning.engines.task import Key, Task
from simulation.learning.update import ModelUpdate

if TYPE_CHECKING:
    from simulation.learning.engines.cohort import Member
    from simulation.learning.engines.dense import Layer
    from simulation.learning.train import Trainer


class BatchedEngine:
    """Computes private trainings of dense models together, in cohorts of at most ``cohort``."""

    def __init__(self, cohort: int) -> None:
        self._cohort = cohort
        self._pending: dict[Key, tuple[Trainer, Task]] = {}
        self._done: dict[Key, ModelUpdate] = {}
        self._known: dict[int, tuple[dict[str, tuple[int, ...]], tuple[Layer, ...] | None]] = {}
        self.computed: list[int] = []
        """Sizes of the cohorts computed so far."""

    def begin(self, trainer: Trainer, task: Task) -> None:
        """Remember a training for the next computation; one that is no use here is left alone."""
        key = task.key(trainer.hospital)
        if key not in self._done and self._layers(trainer, task) is not None:
            self._pending[key] = (trainer, task)

    def result(self, trainer: Trainer, task: Task) -> ModelUpdate:
        """The result; computes everything that is pending when it is not there yet."""
        if self._layers(trainer, task) is None:
            return trainer.compute(task)
        key = task.key(trainer.hospital)
        if key not in self._done:
            self._pending[key] = (trainer, task)
            self._compute()
        return self._done[key]

    def close(self) -> None:
        """Forget everything."""
        self._pending.clear()
        self._done.clear()

    def _layers(self, trainer: Trainer, task: Task) -> tuple[Layer, ...] | None:
        """The dense layers of a private training; None when it is the reference's business."""
        if trainer.plan is None:
            return None
        if trainer.hospital not in self._known:
            from simulation.learning.engines.dense import layers_of

            state = trainer.module.state_dict()
            shapes = {name: tuple(value.shape) for name, value in state.items()}
            self._known[trainer.hospital] = (shapes, layers_of(trainer.module))
        shapes, layers = self._known[trainer.hospital]
        # What does not fit the model is refused by the reference, in its own words.
        fits = {name: np.shape(array) for name, array in task.arrays.items()} == shapes
        return layers if fits else None

    def _compute(self) -> None:
        newest = max(task.round for _, task in self._pending.values())
        self._done = {k: u for k, u in self._done.items() if k[1] >= newest - 1}
        # Most steps first, so that those who share a cohort end it at nearly the same step.
        waiting = sorted(self._pending.items(), key=lambda item: (-_steps(item[1][0]), item[0]))
        self._pending = {}
        groups: dict[tuple[Layer, ...], list[tuple[Key, Trainer, Task]]] = {}
        for key, (trainer, task) in waiting:
            layers = self._layers(trainer, task)
            assert layers is not None, "others are not remembered"
            groups.setdefault(layers, []).append((key, trainer, task))
        for layers, group in groups.items():
            for start in range(0, len(group), self._cohort):
                self._compute_cohort(layers, group[start : start + self._cohort])

    def _compute_cohort(
        self, layers: tuple[Layer, ...], group: list[tuple[Key, Trainer, Task]]
    ) -> None:
        from simulation.learning.engines.cohort import train_cohort

        trained = train_cohort(layers, [_member(trainer, task) for _, trainer, task in group])
        self.computed.append(len(group))
        for (key, trainer, _), theta in zip(group, trained, strict=True):
            assert trainer.plan is not None, "only private trainings come here"
            self._done[key] = ModelUpdate(
                _unflattened(trainer, theta),
                trainer.examples,
                trainer.plan.steps,
                trainer.plan.release,
            )


def _steps(trainer: Trainer) -> int:
    return 0 if trainer.plan is None else trainer.plan.steps


def _member(trainer: Trainer, task: Task) -> Member:
    from simulation.learning.engines.cohort import Member

    assert trainer.plan is not None, "only private trainings come here"
    sampling, noise = trainer.draws(task)
    x, y = trainer.rows(task.round)
    parts = [np.ravel(task.arrays[name]) for name, _ in trainer.module.named_parameters()]
    return Member(
        x=x,
        y=y,
        theta=np.concatenate(parts).astype(np.float32),
        plan=trainer.mechanism(task.round),
        units=trainer.units,
        training=trainer.training,
        proximal_mu=task.proximal_mu,
        sampling=sampling,
        noise=noise,
    )


def _unflattened(trainer: Trainer, theta: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
    found: dict[str, NDArray[Any]] = {}
    start = 0
    for name, value in trainer.module.named_parameters():
        found[name] = theta[start : start + value.numel()].reshape(tuple(value.shape)).copy()
        start += value.numel()
    return found
