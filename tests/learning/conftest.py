"""Small hospitals made of numbers, and the real files where they are at hand."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from simulation.learning.update import ModelUpdate


@dataclass
class Rows:
    """A hospital's records, unchecked: a test may put a NaN in."""

    hospital: int
    train_x: NDArray[np.float32]
    train_y: NDArray[np.int64]
    test_x: NDArray[np.float32]
    test_y: NDArray[np.int64]
    features: tuple[str, ...]
    train_patient: NDArray[np.int64]


@pytest.fixture
def make_rows() -> Callable[..., Rows]:
    """Builds a hospital of seeded records whose label follows the first input."""

    def build(
        hospital: int = 0,
        records: int = 40,
        features: int = 3,
        seed: int = 0,
        patients: int | None = None,
    ) -> Rows:
        rng = np.random.default_rng([seed, hospital])
        x = rng.standard_normal((records + 20, features)).astype(np.float32)
        y = (x[:, 0] + 0.3 * rng.standard_normal(records + 20) > 0).astype(np.int64)
        names = tuple(f"x{i}" for i in range(features))
        owner = np.arange(records) if patients is None else rng.integers(0, patients, records)
        return Rows(hospital, x[:records], y[:records], x[records:], y[records:], names, owner)

    return build


@pytest.fixture
def average() -> Callable[[Sequence[ModelUpdate]], dict[str, NDArray[np.float32]]]:
    """Federated averaging as it is written in the paper: weights are numbers of examples."""

    def combine(updates: Sequence[ModelUpdate]) -> dict[str, NDArray[np.float32]]:
        total = sum(update.examples for update in updates)
        return {
            name: sum(
                update.arrays[name].astype(np.float64) * (update.examples / total)
                for update in updates
            ).astype(np.float32)
            for name in updates[0].arrays
        }

    return combine


@pytest.fixture
def real_data() -> Path:
    """The folder of real data sets; a test that asks for it is skipped where there is none."""
    chosen = os.environ.get("WARDCHAIN_DATA", "")
    if not chosen:
        pytest.skip("WARDCHAIN_DATA is not set: this test needs the folder of real data sets")
    return Path(chosen)
