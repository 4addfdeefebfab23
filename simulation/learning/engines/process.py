"""The process engine: hospitals train side by side in worker processes, bit for bit as inline.

Records go to every worker once, when it starts; afterwards a round costs a model there and a model
back for each hospital.
"""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import Future, ProcessPoolExecutor
from typing import TYPE_CHECKING

from simulation.learning.engines.remote import RemoteEngine
from simulation.learning.update import ModelUpdate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from simulation.learning.engines.task import Task
    from simulation.learning.train import Trainer


class ProcessEngine(RemoteEngine["Future[ModelUpdate]"]):
    """Starts its workers at the first announcement; a check or a plan needs none."""

    def __init__(self, workers: int | None, trainers: Sequence[Trainer]) -> None:
        super().__init__()
        self._workers = min(workers or os.cpu_count() or 1, len(trainers))
        self._trainers = {trainer.hospital: trainer for trainer in trainers}
        self._pool: ProcessPoolExecutor | None = None

    def _submit(self, trainer: Trainer, task: Task) -> Future[ModelUpdate]:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self._workers,
                # A fork would copy the locks of whatever threads Flower runs just then.
                multiprocessing.get_context("spawn"),
                initializer=_receive,
                initargs=(self._trainers,),
            )
        return self._pool.submit(_train, trainer.hospital, task)

    def _wait(self, handle: Future[ModelUpdate]) -> ModelUpdate:
        return handle.result()

    def _release(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
        self._pool = None


_trainers: Mapping[int, Trainer] = {}
"""In a worker: the trainers of all hospitals."""


def _receive(trainers: Mapping[int, Trainer]) -> None:
    global _trainers  # noqa: PLW0603 - a worker process serves one run
    _trainers = trainers


def _train(hospital: int, task: Task) -> ModelUpdate:
    return _trainers[hospital].compute(task)
