"""What an engine is asked: one training of one hospital, named by all that it depends on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from simulation.base.digest import Digest
from simulation.base.tensors import Arrays, model_root

if TYPE_CHECKING:
    from simulation.learning.train import Trainer
    from simulation.learning.update import ModelUpdate

Key = tuple[int, int, Digest, float]


@dataclass(frozen=True, eq=False)
class Task:
    """One round of training from one global model, the same for every hospital that gets it."""

    arrays: Arrays
    """The global model; nobody writes to it."""
    round: int
    proximal_mu: float = 0.0

    @cached_property
    def root(self) -> Digest:
        """The global model's root."""
        return model_root(self.arrays)

    def key(self, hospital: int) -> Key:
        """Names one hospital's training: equal keys have equal results."""
        return (hospital, self.round, self.root, self.proximal_mu)


class Engine(Protocol):
    """Carries out trainings. The account is the trainer's business, and comes before."""

    def begin(self, trainer: Trainer, task: Task) -> None:
        """This training will be wanted: an engine may start it now, or with others later."""
        ...

    def result(self, trainer: Trainer, task: Task) -> ModelUpdate:
        """What ``trainer.compute(task)`` gives, whether it was announced or not."""
        ...

    def close(self) -> None:
        """Let go of whatever it holds; asking it again afterwards is an error."""
        ...
