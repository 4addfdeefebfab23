"""What learning needs from a hospital's records: two splits of inputs and labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class Records(Protocol):
    """One hospital's rows. `records.shard.Shard` is one; a test or a user may bring another."""

    @property
    def hospital(self) -> int:
        """Number of the hospital."""
        ...

    @property
    def train_x(self) -> NDArray[np.float32]:
        """Training inputs, shape (rows, features)."""
        ...

    @property
    def train_y(self) -> NDArray[np.int64]:
        """Training labels, shape (rows,), 0 or 1."""
        ...

    @property
    def train_patient(self) -> NDArray[np.int64]:
        """Whose each training row is, shape (rows,): rows of one number are one patient's."""
        ...

    @property
    def test_x(self) -> NDArray[np.float32]:
        """Test inputs, shape (rows, features)."""
        ...

    @property
    def test_y(self) -> NDArray[np.int64]:
        """Test labels, shape (rows,), 0 or 1."""
        ...

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the inputs, in column order."""
        ...


@dataclass(frozen=True, eq=False)
class Rows:
    """Some of a hospital's rows; satisfies `Records`."""

    hospital: int
    train_x: NDArray[np.float32]
    train_y: NDArray[np.int64]
    train_patient: NDArray[np.int64]
    test_x: NDArray[np.float32]
    test_y: NDArray[np.int64]
    features: tuple[str, ...]

    @classmethod
    def of(cls, records: Records, chosen: NDArray[Any], number: int | None = None) -> Rows:
        """The training rows chosen, by number or mask; ``number`` makes it another hospital, with
        draws of its own.
        """
        return cls(
            records.hospital if number is None else number,
            records.train_x[chosen],
            records.train_y[chosen],
            records.train_patient[chosen],
            records.test_x,
            records.test_y,
            records.features,
        )
