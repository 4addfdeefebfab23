"""Rows as sequences of a patient's encounters."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from simulation.base.rng import Streams
from simulation.records.errors import DataError
from simulation.records.history import NOBODY, earlier_rows, names, sequences
from simulation.records.load import load
from simulation.records.params import NaturalParams
from simulation.records.synthetic.params import SyntheticParams
from simulation.records.table import Table

SMALL = SyntheticParams(patients_per_hospital=150)
SHAPE = {"features": ("a",), "low": np.zeros(1), "high": np.ones(1), "sites": ("s", "t")}


def table(patient, site, time) -> Table:
    rows = len(time)
    return Table(
        **SHAPE, x=np.arange(rows, dtype=float)[:, None], y=np.arange(rows) % 2,
        site=np.array(site), patient=None if patient is None else np.array(patient),
        time_min=np.array(time),
    )  # fmt: skip


def test_a_row_sees_its_patient_s_earlier_rows_at_its_site_and_no_others():
    """Patient 7 at site 0 comes at times 1, 3 and 5, and once at site 1; patient 8 once."""
    given = table([7, 8, 7, 7, 7], [0, 0, 0, 1, 0], [5, 2, 1, 4, 3])
    assert earlier_rows(given, 3).tolist() == [
        [2, 4, 0],
        [NOBODY, NOBODY, 1],
        [NOBODY, NOBODY, 2],
        [NOBODY, NOBODY, 3],
        [NOBODY, 2, 4],
    ]


def test_a_step_without_an_encounter_is_zero_and_says_so():
    earlier = np.array([[NOBODY, 0], [0, 1]])
    found = sequences(
        lambda rows: (rows[:, None] + 5).astype(np.float32), np.array([0, 1]), earlier
    )
    assert found.tolist() == [[0, 0, 5, 1], [5, 1, 6, 1]]
    assert names(("a",), 2) == ("a@-1", "seen@-1", "a@-0", "seen@-0")


def test_records_without_patients_have_no_history():
    with pytest.raises(DataError, match="history: needs records with patients"):
        earlier_rows(table(None, [0, 0], [1, 2]), 2)


def test_the_last_step_of_a_sequence_is_the_row_itself():
    """The synthetic cohort with and without history: the same rows and labels."""
    plain = load(SMALL, NaturalParams(), 2, Streams(1))
    longer = load(dataclasses.replace(SMALL, history=3), NaturalParams(), 2, Streams(1))
    width = len(plain.features) + 1
    assert len(longer.features) == 3 * width
    for one, other in zip(plain, longer, strict=True):
        assert (other.train_x[:, 2 * width : -1] == one.train_x).all()
        assert (other.train_x[:, -1] == 1).all()
        assert (other.train_y == one.train_y).all()
        assert 0 < other.train_x[:, 2 * width - 1].mean() < 1, "some have been here before"
