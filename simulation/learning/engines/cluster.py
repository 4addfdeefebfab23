"""The Ray engine: hospitals train side by side on the machines of a cluster, bit for bit as inline.

A hospital's records go into the cluster's object store once, and the model of a round once for all
hospitals; a worker reads both from there. Source: Moritz et al., "Ray: A Distributed Framework for
Emerging AI Applications", OSDI 2018.
"""

# Ray decorates functions and hands out references whose types its package does not state.
# pyright: reportUnknownParameterType=false, reportUntypedFunctionDecorator=false

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from simulation.learning.engines.remote import RemoteEngine
from simulation.learning.update import ModelUpdate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simulation.learning.engines.task import Task
    from simulation.learning.train import Trainer


class RayEngine(RemoteEngine[Any]):
    """Joins or starts its cluster at the first announcement; a check or a plan needs none.

    Raises:
        ValueError: when Ray is not installed.
    """

    def __init__(
        self, address: str | None, workers: int | None, trainers: Sequence[Trainer]
    ) -> None:
        super().__init__()
        # Ray reads these when it is imported: report nothing to anybody, leave accelerators alone.
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"
        try:
            import ray  # pyright: ignore[reportMissingImports] -- an extra, which checks need not have
        except ImportError as error:
            raise ValueError(
                "engine.kind: ray needs a library that is not here; pip install 'wardchain[ray]', "
                "or use kind: process"
            ) from error
        self._ray: Any = ray
        self._address = address
        self._workers = workers or os.cpu_count() or 1
        self._trainers = {trainer.hospital: trainer for trainer in trainers}
        self._stored: dict[int, Any] = {}
        self._remote: Any = None
        self._task: tuple[Task, Any] | None = None
        self._joined = False

    def _submit(self, trainer: Trainer, task: Task) -> Any:
        remote = self._remote or self._join()
        if self._task is None or self._task[0] is not task:
            self._task = (task, self._ray.put(task))
        return remote.remote(self._stored[trainer.hospital], self._task[1])

    def _wait(self, handle: Any) -> ModelUpdate:
        return self._ray.get(handle)

    def _release(self) -> None:
        # A cluster that was up before this run stays up, without this run's records in it.
        self._stored.clear()
        self._task = self._remote = None
        if self._joined and self._ray.is_initialized():
            self._ray.shutdown()
        self._joined = False

    def _join(self) -> Any:
        if not self._ray.is_initialized():
            own: dict[str, Any] = {"num_cpus": self._workers, "include_dashboard": False}
            try:
                self._ray.init(
                    # None would join any cluster that an environment variable happens to name.
                    address=self._address or "local",
                    logging_level="ERROR",
                    log_to_driver=False,
                    **({} if self._address else own),
                )
            except ConnectionError as error:
                raise ValueError(
                    f"engine.address: no Ray cluster answers at {self._address}; start one with "
                    "`ray start --head`, or leave the address out for one on this machine"
                ) from error
            self._joined = True
        self._stored = {h: self._ray.put(trainer) for h, trainer in self._trainers.items()}
        self._remote = self._ray.remote(num_cpus=1)(_train)
        return self._remote


def _train(trainer: Trainer, task: Task) -> ModelUpdate:
    return trainer.compute(task)
