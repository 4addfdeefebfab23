"""What updates tell about each other: distances and cosines, and when they are suspicious."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from simulation.learning.screening import (
    UpdateScreening,
    contributions,
    nearest_distances,
    screen,
)

BASE = {"w": np.zeros(3, dtype=np.float32)}


def named(test, *rows):
    updates = {h: {"w": np.array(row, dtype=np.float32)} for h, row in enumerate(rows)}
    return [s.hospital for s in screen(UpdateScreening(), BASE, updates) if s.test == test]


def test_two_that_are_alike_are_both_named():
    rows = ([1, 0, 0], [0.7, 0.7, 0], [1, 0.001, 0], [1, 1, 1])
    assert named("near-duplicate", *rows) == [0, 2]


def test_nothing_learnt_and_the_wrong_way_are_no_contribution():
    rows = ([1, 0, 0], [1, 0.1, 0], [0, 0, 0], [-1, 0, 0], [1, 0.2, 0])
    assert named("no-contribution", *rows) == [2, 3]


def test_two_updates_cannot_be_told_apart():
    assert named("near-duplicate", [1, 0, 0], [1, 0, 0]) == []


@given(
    arrays.arrays(np.float64, (5, 4), elements=st.floats(-1e6, 1e6)),
    st.permutations(range(5)),
)
def test_neither_test_depends_on_the_order_of_hospitals(changes, order):
    for test in (nearest_distances, contributions):
        assert test(changes[order]) == pytest.approx(test(changes)[order], rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("field", ["duplicate_distance", "contribution"])
@pytest.mark.parametrize("value", [-0.1, 2.0])
def test_a_bound_without_meaning_is_refused(field, value):
    with pytest.raises(ValueError, match=f"^{field}: must be"):
        UpdateScreening(**{field: value})
