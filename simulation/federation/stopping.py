"""When a federation has learned enough: the public model has come to rest.

Only the global model is looked at, which every member sees in every round anyway, so stopping tells
nobody more and costs no privacy. Losses and metrics on private records, which early stopping
usually watches, are never asked: no guarantee covers them. The noise stays that of all planned
rounds, so that a run which stops has spent less than its plan, and what the accounts show is what
was spent.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from simulation.base.tensors import Arrays


@dataclass(frozen=True, kw_only=True, slots=True)
class StopWhen:
    """Stop before the planned rounds are over when the public global model hardly moves any more.

    The change of a round is the length of the model's step by the length of the model before it,
    all parameters together. Private metrics are never looked at. Under differential privacy each
    step carries noise, and a tolerance below it is never met. A void round says nothing.
    """

    tolerance: float = 0.001
    """Relative change of the global model below which a round counts as quiet."""

    patience: int = 3
    """Quiet rounds in a row after which the run stops."""

    min_rounds: int = 1
    """Rounds that are played in any case."""

    def __post_init__(self) -> None:
        if not (self.tolerance > 0 and math.isfinite(self.tolerance)):
            raise ValueError(f"tolerance: must be above 0 and finite, got {self.tolerance}")
        for name in ("patience", "min_rounds"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: must be at least 1, got {getattr(self, name)}")


class Progress:
    """How long the global model has been quiet."""

    def __init__(self, params: StopWhen) -> None:
        self._params = params
        self._quiet = 0

    def moved(self, before: Arrays, after: Arrays) -> None:
        """Take note of one round's aggregate and the model that the round started from."""
        quiet = relative_change(before, after) < self._params.tolerance
        self._quiet = self._quiet + 1 if quiet else 0

    def verdict(self, rounds: int) -> str | None:
        """Why to stop after so many rounds, in words; none while it should go on."""
        if rounds < self._params.min_rounds or self._quiet < self._params.patience:
            return None
        return (
            f"the global model moved by less than {self._params.tolerance:g} of its length in each "
            f"of the last {self._quiet} rounds with an aggregate"
        )


def relative_change(before: Arrays, after: Arrays) -> float:
    """‖after − before‖ / ‖before‖ over all parameters; infinite for a step away from zero."""
    step = _length([after[name].astype(np.float64) - array for name, array in before.items()])
    if step == 0:
        return 0.0
    length = _length([array.astype(np.float64) for array in before.values()])
    return step / length if length else math.inf


def _length(arrays: list[np.ndarray]) -> float:
    return math.sqrt(math.fsum(float(np.square(array).sum()) for array in arrays))
