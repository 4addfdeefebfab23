"""Engines: who carries out the trainings of a round, one by one, side by side, or all in one.

An engine never changes what a training is. It may begin when an order is delivered, and must have
the result when the hospital's virtual training time is over.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from simulation.learning.engines.params import (
    BatchedParams,
    EngineParams,
    InlineParams,
    ProcessParams,
    RayParams,
)
from simulation.learning.engines.task import Engine

if TYPE_CHECKING:
    from simulation.learning.train import Trainer


def make_engine(params: EngineParams, trainers: Sequence[Trainer]) -> Engine | None:
    """The engine of one run, which these trainers use from now on.

    None for ``inline``: every hospital simply trains when its result is needed.

    Raises:
        ValueError: when the engine needs a library that is not installed.
    """
    engine: Engine | None = None
    match params:
        case InlineParams():
            pass
        case BatchedParams():
            from simulation.learning.engines.batched import BatchedEngine

            engine = BatchedEngine(params.cohort)
        case ProcessParams():
            from simulation.learning.engines.process import ProcessEngine

            engine = ProcessEngine(params.workers, trainers)
        case RayParams():
            from simulation.learning.engines.cluster import RayEngine

            engine = RayEngine(params.address, params.workers, trainers)
    for trainer in trainers:
        trainer.engine = engine
    return engine
