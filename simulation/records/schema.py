"""What a source's columns mean: label, hospital, units, missing codes, place in the tables.

A source of longitudinal records has the canonical tables already, so it names no columns. One of
rows says of each input what it is; `flat` makes records of its rows by that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Place = Literal["age", "male", "stay", "observation", "condition", "medication"]
"""Where an input goes: ``age`` in years becomes the patient's birth; ``male``, 1 or 0, the sex;
``stay`` in days the length of the encounter; the others a row of the table of that name."""


@dataclass(frozen=True, slots=True)
class Field:
    """One input column of a source of rows."""

    name: str
    """The column's name in the source."""
    meaning: str
    """What it says, in words."""
    place: Place = "observation"
    """Where it goes in the canonical tables."""
    unit: str = ""
    """UCUM unit of a number; empty for a code, and for a number without one."""
    missing: tuple[str, ...] = ()
    """Cells that stand for a missing value; empty when the source has none or drops such rows."""
    fill: float | None = None
    """The number that the rows have in place of a missing one; none when they have no such."""


@dataclass(frozen=True, slots=True)
class Schema:
    """What a source's rows say."""

    label: str
    """What label 1 is, and which column says so."""
    hospital: str
    """Which column names the hospital; says so where none does."""
    fields: tuple[Field, ...] = ()
    """The input columns; none for records with codes and units of their own."""
    missing: str = "none"
    """Which cells stand for a missing value and what becomes of such rows, in words."""
    encounter: Literal["inpatient", "ambulatory", "other"] = "other"
    """The kind of encounter that a row is about."""
    day: str = "1970-01-01"
    """ISO 8601 day of the encounters of rows without a time, e.g. the year of publication."""

    def field_of(self, feature: str) -> tuple[Field, str]:
        """The column that an input is made of, and the level that it indicates; empty for a number.

        Raises:
            KeyError: when no column has that input.
        """
        for mark in ("", "=", "_"):
            of = [f for f in self.fields if feature.startswith(f.name + mark)]
            of = of if mark else [f for f in of if feature == f.name]
            if of:
                field = max(of, key=lambda f: len(f.name))
                return field, feature[len(field.name) + 1 :]
        raise KeyError(feature)
