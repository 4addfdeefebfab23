"""The sources of records, by the name that a configuration uses."""

from __future__ import annotations

from simulation.records.errors import DataError
from simulation.records.source import Source
from simulation.records.sources import (
    breast_cancer,
    csv_table,
    diabetes_130,
    fhir,
    heart_disease,
    ist,
    synthea_csv,
    synthetic,
)

SOURCES: dict[str, Source] = {
    source.kind: source
    for source in (
        synthetic.SOURCE,
        breast_cancer.SOURCE,
        heart_disease.SOURCE,
        ist.SOURCE,
        diabetes_130.SOURCE,
        fhir.SOURCE,
        synthea_csv.SOURCE,
        csv_table.SOURCE,
    )
}
"""Every source, in the order in which they are listed."""


def source_of(kind: str) -> Source:
    """The source of this name.

    Raises:
        DataError: when there is none; the message lists those that exist.
    """
    if kind not in SOURCES:
        raise DataError(f"data: unknown source {kind!r}; choose one of {', '.join(SOURCES)}")
    return SOURCES[kind]
