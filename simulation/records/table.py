"""A source's rows before they are dealt to hospitals: numbers, labels, and where they come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float64]
Labels = NDArray[np.int64]
Index = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Column:
    """What a raw column holds."""

    name: str
    """Its name."""
    levels: tuple[str, ...] = ()
    """Names of the levels that its values are positions in; none: its values are numbers."""


@dataclass(frozen=True, eq=False, repr=False)
class Table:
    """Rows of one source.

    Without ``columns`` they are complete numbers, ready to be scaled. With ``columns`` they are
    raw: NaN stands for a missing number, a level is a position, and a pipeline fitted on training
    rows makes inputs of them.
    """

    features: tuple[str, ...]
    """Names of the inputs, in column order."""
    x: Rows
    """Inputs, shape (rows, features), in the source's own units."""
    y: Labels
    """Labels, shape (rows,), 0 or 1."""
    low: Rows
    """Published lower end of each input's range, shape (features,)."""
    high: Rows
    """Published upper end of each input's range, shape (features,)."""
    site: Index | None = None
    """Number of each row's hospital, shape (rows,); none when the source knows no hospitals."""
    sites: tuple[str, ...] = ()
    """Names of the source's hospitals, in order of their numbers."""
    patient: Index | None = None
    """Number of each row's patient, shape (rows,); none when every row is a patient of its own."""
    columns: tuple[Column, ...] = ()
    """What each raw column holds; none when all are complete numbers."""
    time_min: Index | None = None
    """When each row's prediction is made, minutes since 1970, shape (rows,)."""
    horizon_min: int = 0
    """How long after the prediction its outcome is known, minutes."""
    groups: Mapping[str, NDArray[np.str_]] = field(default_factory=dict[str, NDArray[np.str_]])
    """Subgroup of each row by what tells them apart (``sex``, ``age``), shape (rows,) each; empty
    text where it is not known. For metrics only, never an input."""
    risk: Rows | None = None
    """The probability with which each label was drawn, shape (rows,), where it is known."""
    notes: tuple[str, ...] = ()
    """What must be said beside every result, e.g. that the hospitals are stand-ins."""

    def __repr__(self) -> str:
        return f"Table(rows={len(self.y)}, features={len(self.features)}, sites={len(self.sites)})"
