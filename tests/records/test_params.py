"""What a configuration may say about records, and what it may not."""

from __future__ import annotations

import re
from typing import Any

import pytest

from simulation.records.params import (
    BreastCancerParams,
    DirichletParams,
    FeatureShiftParams,
    HeartDiseaseParams,
    IidParams,
    QuantityParams,
)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: BreastCancerParams(test_fraction=0.0), "test_fraction: must be between 0 and 1"),
        (lambda: HeartDiseaseParams(test_fraction=1.0), "test_fraction: must be between 0 and 1"),
        (lambda: HeartDiseaseParams(split_seed=-1), "split_seed: must be between 0 and 4294967295"),
        (
            lambda: BreastCancerParams(validation_fraction=0.8),
            "validation_fraction: must be from 0 to below 1 - test_fraction (0.8), got 0.8",
        ),
        (lambda: BreastCancerParams(validation_fraction=-0.1), "validation_fraction: must be"),
        (lambda: DirichletParams(alpha=0.0), "alpha: must be a number above 0"),
        (lambda: DirichletParams(alpha=float("nan")), "alpha: must be a number above 0"),
        (lambda: DirichletParams(min_size=1), "min_size: must be at least 2"),
        (lambda: QuantityParams(alpha=-1.0), "alpha: must be a number above 0"),
        (lambda: FeatureShiftParams(feature="age", strength=1.5), "strength: must be from 0 to 1"),
        (lambda: IidParams(cap=1), "cap: must be at least 2"),
    ],
)
def test_a_bad_value_is_refused_with_its_remedy(build: Any, message: str) -> None:
    """The field comes first, so that a configuration can point at it."""
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        build()
