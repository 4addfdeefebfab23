"""The process engine: hospitals train side by side in worker processes, bit for bit as inline.

Records go to every worker once, when it starts; afterwards a round costs a model there and a model
back for each hospital. A hospital's result depends on its task alone, so it does not matter which
worker takes it, or when.
"""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import Future, ProcessPoolExecutor
from typing import TYPE_CHECKING

from simulation.learning.engines.task import Key, Task
from simulation.learning.update import ModelUpdate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from simulation.learning.train import Trainer


class ProcessEngine:
    """Starts its workers at the first announcement; a check or a plan needs none."""

    def __init__(self, workers: int | None, trainers: Sequence[Trainer]) -> None:
        self._workers = min(workers or os.cpu_count() or 1, len(trainers))
        self._trainers = {trainer.hospital: trainer for trainer in trainers}
        self._pool: ProcessPoolExecutor | None = None
        self._running: dict[Key, Future[ModelUpdate]] = {}

    def begin(self, trainer: Trainer, task: Task) -> None:
        """Hand a training to a worker."""
        key = task.key(trainer.hospital)
        if key in self._running:
            return
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self._workers,
                # A fork would copy the locks of whatever threads Flower runs just then.
                multiprocessing.get_context("spawn"),
                initializer=_receive,
                initargs=(self._trainers,),
            )
        self._running = {k: f for k, f in self._running.items() if k[1] >= task.round - 1}
        self._running[key] = self._pool.submit(_train, trainer.hospital, task)

    def result(self, trainer: Trainer, task: Task) -> ModelUpdate:
        """Wait for the worker; what was not announced is computed here."""
        running = self._running.get(task.key(trainer.hospital))
        return trainer.compute(task) if running is None else running.result()

    def close(self) -> None:
        """End the workers; what they have not begun is dropped."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
        self._pool = None
        self._running.clear()


_trainers: Mapping[int, Trainer] = {}
"""In a worker: the trainers of all hospitals."""


def _receive(trainers: Mapping[int, Trainer]) -> None:
    global _trainers  # noqa: PLW0603 - a worker process serves one run
    _trainers = trainers


def _train(hospital: int, task: Task) -> ModelUpdate:
    return _trainers[hospital].compute(task)
