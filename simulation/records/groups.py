"""Subgroups of patients for whom metrics are reported separately: sex, age band, and others.

A model can be good on average and bad for the old; what is told apart here is what a source knows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simulation.records.table import Rows

Group = NDArray[np.str_]
"""The subgroup of each row, shape (rows,); empty where it is not known."""

AGE_BANDS = ("0-39", "40-59", "60-79", "80+")
"""Ages in completed years; the ends are those of decades, since some sources tell only these."""
_STARTS = (40, 60, 80)


def age_band(years: Rows) -> Group:
    """The band of each age; empty where it is missing."""
    known = np.isfinite(years)
    band = np.searchsorted(_STARTS, np.where(known, years, 0), side="right")
    return np.where(known, np.array(AGE_BANDS)[band], "")
