"""What a node knows of a hospital's private side: it takes orders, and returns products.

The learner itself lives elsewhere (`simulation.federation.learner`), and is all that sees records.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from simulation.base.digest import Digest
from simulation.nodes.messages import Order


@dataclass(frozen=True, slots=True)
class Product:
    """The result of local work, ready to be committed and sent."""

    model: bytes
    """Canonical bytes of the arrays; empty when there are none."""
    root: Digest
    report: bytes
    """Canonical bytes of everything else."""
    examples: int
    """The declared weight of the update."""
    claim: Mapping[str, int | str] | None
    """What the hospital declares about its privacy, in a ledger's whole numbers: ``epsilon_e6`` of
    its whole history so far; of this update ``delta_e12``, ``sigma_e6``, ``clip_e6``,
    ``sampling_e6``, ``steps``, ``sampler``, ``neighbours``, ``unit``, ``accountant`` and
    ``accountant_version``. None without a guarantee."""


class Job(Protocol):
    """Local work that has begun: its virtual duration is known, its result is needed at the end."""

    @property
    def duration_us(self) -> int:
        """Virtual time from delivery of the order to the result."""
        ...

    def result(self) -> Product:
        """The result; real computation may happen here or may have happened elsewhere."""
        ...


class Learner(Protocol):
    """A hospital's private side: the only place that sees its records."""

    def foresee(self) -> int | None:
        """The ε of the hospital's whole history in millionths, if it trained once more.

        None where nothing can be said: without a guarantee, or with an app of the user's own.
        """
        ...

    def begin(self, order: Order) -> Job:
        """Start working on an order at the moment of its delivery."""
        ...
