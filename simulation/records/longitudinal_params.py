"""What a configuration may say about sources that read longitudinal records from files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from simulation.records.base_params import EncounterKind, RecordsParams

_ANY: tuple[EncounterKind, ...] = ("inpatient", "emergency", "ambulatory")


@dataclass(frozen=True, kw_only=True, slots=True)
class FhirParams(RecordsParams):
    """FHIR R4 resources of one's own: bundles (JSON) and bulk exports (NDJSON), plain or gzip.

    Every resource is validated and every reference must lead to a resource. Label: the patient
    comes back within the horizon. The hospital is the organisation that provides the encounter.
    Needs the extra ``fhir``: ``pip install 'wardchain[fhir]'``.
    """

    kind: Literal["fhir"] = "fhir"
    """Names this source."""
    path: str
    """A file, or a folder whose .json, .ndjson, .json.gz and .ndjson.gz files are read, with those
    of its subfolders."""
    index: tuple[EncounterKind, ...] = _ANY
    outcome: tuple[EncounterKind, ...] = _ANY


@dataclass(frozen=True, kw_only=True, slots=True)
class SyntheaCsvParams(RecordsParams):
    """The CSV export of Synthea: a folder with patients.csv, encounters.csv and so on.

    Label: the patient comes back within the horizon. The hospital is the encounter's organisation.
    """

    kind: Literal["synthea_csv"] = "synthea_csv"
    """Names this source."""
    path: str
    """The folder."""
    index: tuple[EncounterKind, ...] = _ANY
    outcome: tuple[EncounterKind, ...] = _ANY
