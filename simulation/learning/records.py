"""What learning needs from a hospital's records: two splits of inputs and labels."""

from __future__ import annotations

from typing import Protocol

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
