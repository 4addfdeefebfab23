"""What the apps need to know about their run, and how they come to know it.

In a simulated run the world binds the setting before Flower starts. Under Flower's own runtime
nobody does; the apps then build it from the configuration that their run config names.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from simulation.base.ids import HospitalId, hospital_name
from simulation.base.rng import Streams
from simulation.base.tensors import Arrays
from simulation.federation.params import FederationParams
from simulation.learning.engines.task import Engine
from simulation.learning.privacy import PrivacyPlan
from simulation.learning.train import Trainer

TrainerOf = Callable[[HospitalId], Trainer]


class IsolationError(RuntimeError):
    """A hospital's code has asked for the records of another."""


_acting: ContextVar[HospitalId | None] = ContextVar("acting", default=None)


@contextmanager
def acting_for(hospital: HospitalId) -> Generator[None]:
    """While the block runs, it is this hospital's code that runs: no other's records are given."""
    token = _acting.set(hospital)
    try:
        yield
    finally:
        _acting.reset(token)


@dataclass(frozen=True)
class Setting:
    """One federated task as the apps see it."""

    federation: FederationParams
    hospitals: int
    initial: Arrays
    """The model that round 1 starts from."""
    trainer_of: TrainerOf
    """The private learner of a hospital, which alone holds its shard. Code that acts for a hospital
    gets its own only; another's raises `IsolationError`."""
    streams: Streams
    """The run's random numbers."""
    engine: Engine | None = None
    """Who carries out the trainings; none when each hospital does when its result is needed."""
    central: PrivacyPlan | None = None
    """What the coordinator adds to each average, when it is the one who adds noise."""
    notes: tuple[str, ...] = ()
    """What belongs beside every result, e.g. that normalisation was not private."""
    shared: tuple[int, int] = (0, 1)
    """Patients with training records at several hospitals, and the most hospitals of one."""
    pool: Trainer | None = None
    """Who trains on all hospitals' records together; none in a federation."""

    def __post_init__(self) -> None:
        ask = self.trainer_of

        def own(hospital: HospitalId) -> Trainer:
            actor = _acting.get()
            if actor is not None and actor != hospital:
                raise IsolationError(
                    f"{hospital_name(actor)} asks for the records of {hospital_name(hospital)}; "
                    "they can be read by that hospital alone"
                )
            return ask(hospital)

        object.__setattr__(self, "trainer_of", own)

    @property
    def learners(self) -> tuple[Trainer, ...]:
        """Everybody who trains: the pool, or each hospital."""
        if self.pool is not None:
            return (self.pool,)
        return tuple(self.trainer_of(hospital) for hospital in range(self.hospitals))

    def close(self) -> None:
        """End the run's engine."""
        if self.engine is not None:
            self.engine.close()


_bound: ContextVar[Setting | None] = ContextVar("setting", default=None)


@contextmanager
def bound(setting: Setting) -> Generator[None]:
    """Make a setting the one that apps find while the block runs."""
    token = _bound.set(setting)
    try:
        yield
    finally:
        _bound.reset(token)


def setting_for(
    run_config: Mapping[str, object], build: Callable[[Mapping[str, object]], Setting]
) -> Setting:
    """The bound setting, or the one that ``build`` makes of Flower's run config."""
    return _bound.get() or build(run_config)
