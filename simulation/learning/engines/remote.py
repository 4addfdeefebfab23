"""Trainings handed to workers elsewhere: what the engines of processes and of a cluster share.

A hospital's result depends on its task alone, so it does not matter which worker takes it, or when.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from simulation.learning.engines.task import Key, Task
    from simulation.learning.train import Trainer
    from simulation.learning.update import ModelUpdate

Handle = TypeVar("Handle")


class RemoteEngine(ABC, Generic[Handle]):
    """Submits a training when it is announced and waits for it when its result is needed."""

    def __init__(self) -> None:
        self._running: dict[Key, Handle] = {}

    def begin(self, trainer: Trainer, task: Task) -> None:
        """Hand a training to a worker."""
        key = task.key(trainer.hospital)
        if key in self._running:
            return
        # A hospital may be asked again for the last round, never for one before it.
        self._running = {k: h for k, h in self._running.items() if k[1] >= task.round - 1}
        self._running[key] = self._submit(trainer, task)

    def result(self, trainer: Trainer, task: Task) -> ModelUpdate:
        """Wait for the worker; what was not announced is computed here."""
        running = self._running.get(task.key(trainer.hospital))
        return trainer.compute(task) if running is None else self._wait(running)

    def close(self) -> None:
        """Drop what is not begun and let the workers go."""
        self._running.clear()
        self._release()

    @abstractmethod
    def _submit(self, trainer: Trainer, task: Task) -> Handle:
        """Start a training, and the workers if there are none yet."""

    @abstractmethod
    def _wait(self, handle: Handle) -> ModelUpdate:
        """The result of a training, or the error that it has ended with."""

    @abstractmethod
    def _release(self) -> None:
        """End the workers, if they were started."""
