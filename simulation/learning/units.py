"""What is protected as one: each record, or each patient with all of their records.

Under privacy by patient the patient takes the record's place everywhere: patients are sampled,
the gradients of a patient's records are summed and that sum is clipped, and the account counts
patients. A record-level account of the same data promises less than it seems to: with eight
records a patient can move the model eight times as far.

Source: McMahan, Ramage, Talwar, Zhang, "Learning Differentially Private Recurrent Language Models",
ICLR 2018: all that a user contributes is sampled and clipped as one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from simulation.learning.records import Records
from simulation.learning.trust import PrivacyUnit

Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Units:
    """The units of one hospital's training records, numbered from 0."""

    kind: PrivacyUnit
    owner: Rows
    """Number of the unit that each record belongs to, shape (records,)."""
    count: int
    """How many units there are."""

    @cached_property
    def single(self) -> bool:
        """Whether every unit is one record, so that clipping units is clipping records."""
        return self.count == len(self.owner)

    @cached_property
    def most(self) -> int:
        """Records of the unit that has the most of them."""
        return int(np.bincount(self.owner, minlength=1).max())

    def rows(self, taken: NDArray[np.bool_]) -> Rows:
        """Row numbers, ascending, of all records of the units taken, shape (units,)."""
        return np.flatnonzero(taken[self.owner])


def units_of(records: Records, kind: PrivacyUnit) -> Units:
    """The units of a hospital's training records."""
    count = len(records.train_y)
    if kind == "patient":
        patients, owner = np.unique(records.train_patient, return_inverse=True)
        if len(patients) < count:
            return Units(kind, owner.astype(np.int64), len(patients))
    # Units in the order of the rows: then a choice of units is the same choice of rows.
    return Units(kind, np.arange(count), count)
