"""Names that FHIR R4 and the canonical tables have for the same things, in either direction.

Source: https://hl7.org/fhir/R4/terminologies-systems.html and the value sets of the resources.
"""

from __future__ import annotations

SYSTEMS = {
    "ICD-10-CM": "http://hl7.org/fhir/sid/icd-10-cm",
    "SNOMED CT": "http://snomed.info/sct",
    "LOINC": "http://loinc.org",
    "RxNorm": "http://www.nlm.nih.gov/research/umls/rxnorm",
}
"""URI of each code system."""
SYSTEM_OF = {uri: name for name, uri in SYSTEMS.items()}
"""Code system of each URI."""
UCUM = "http://unitsofmeasure.org"
"""URI of the units."""
ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
"""URI of the classes of encounters."""
ACT_PRIORITY = "http://terminology.hl7.org/CodeSystem/v3-ActPriority"
"""URI of the priorities of encounters."""

KIND_OF_CLASS = {
    **dict.fromkeys(("IMP", "ACUTE", "NONAC", "SS", "OBSENC"), "inpatient"),
    **dict.fromkeys(("EMER",), "emergency"),
    **dict.fromkeys(("AMB", "PRENC"), "ambulatory"),
}
"""v3-ActCode to `ENCOUNTER_KINDS`; what is not here is ``other`` (home health, virtual)."""
CLASS_OF_KIND = {"inpatient": "IMP", "emergency": "EMER", "ambulatory": "AMB", "other": "HH"}
"""The class that an encounter is written with."""
ADMISSION_OF_PRIORITY = {"EM": "emergency", "UR": "emergency", "EL": "elective"}
"""v3-ActPriority to `ADMISSIONS`; what is not here is ``unknown``."""
PRIORITY_OF_ADMISSION = {"emergency": "EM", "elective": "EL"}
"""The priority that a stay is written with; none where it is unknown."""
