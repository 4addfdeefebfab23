"""Discharge notes: the facts of a stay in words, written when somebody asks for one.

What a note says is what the hospital recorded of the stay, no more: its codes, the values it
measured, the drugs it ordered. So the truth of every sentence is in the tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np

from simulation.records.table import Index
from simulation.records.tables import DAY_MIN, SEXES, YEAR_MIN, Encounters, Events, Observations
from simulation.records.tables import Patients as PatientTable


@dataclass(eq=False, repr=False)
class DischargeNotes(Sequence[str]):
    """One text for each of some encounters, in their order."""

    rows: Index
    """Rows of the encounters."""
    patients: PatientTable
    encounters: Encounters
    conditions: Events
    observations: Observations
    medications: Events

    def __post_init__(self) -> None:
        # All three tables are in the order of encounters, so a stay's rows are a slice.
        self._bounds = {
            id(table): np.searchsorted(table.encounter, np.arange(len(self.encounters.id) + 1))
            for table in (self.conditions, self.observations, self.medications)
        }

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self._write(int(row)) for row in self.rows[index]]
        return self._write(int(self.rows[index]))

    def _write(self, row: int) -> str:
        given = self.encounters
        person, start, end = int(given.patient[row]), int(given.start_min[row]), given.end_min[row]
        age = int((start - self.patients.birth_min[person]) / YEAR_MIN)
        days = max(1, round((int(end) - start) / DAY_MIN))
        diagnoses = self._texts(self.conditions, row)
        reason = diagnoses[0] if diagnoses else "a reason that was not coded"
        parts = [
            "# Reason for admission",
            f"{age} year old {SEXES[int(self.patients.sex[person])]}, admitted with {reason}.",
            "# Diagnoses",
            *(f"- {text}" for text in diagnoses),
            "# Results",
            *self._results(row),
            "# Medication at discharge",
            *(f"- {text}" for text in self._texts(self.medications, row) or ("none",)),
            "# Course",
            f"Discharged after {days} day{'s' if days > 1 else ''}.",
        ]
        return "\n".join(parts) + "\n"

    def _slice(self, table: Events | Observations, row: int) -> slice:
        bounds = self._bounds[id(table)]
        return slice(int(bounds[row]), int(bounds[row + 1]))

    def _texts(self, table: Events, row: int) -> list[str]:
        codes = table.code[self._slice(table, row)].tolist()
        return [f"{table.book.displays[code]} ({table.book.codes[code]})" for code in codes]

    def _results(self, row: int) -> list[str]:
        """The last value of each kind, in the order of the codebook."""
        table, part = self.observations, self._slice(self.observations, row)
        order = np.argsort(table.time_min[part], kind="stable")
        last = {int(table.code[part][i]): float(table.value[part][i]) for i in order}
        return [
            f"- {table.book.displays[code]} {last[code]:g} {table.units[code]}"
            for code in sorted(last)
        ] or ["- none"]
