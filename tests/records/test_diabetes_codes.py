"""The grouping of ICD-9 codes; it needs no file, so it never skips."""

from __future__ import annotations

import pytest

from simulation.records.sources.diabetes_130 import _system


@pytest.mark.parametrize(
    ("code", "system"),
    [
        ("250.83", "diabetes"),
        ("250", "diabetes"),
        ("251", "other"),
        ("428", "circulatory"),
        ("785", "circulatory"),
        ("486", "respiratory"),
        ("786", "respiratory"),
        ("562", "digestive"),
        ("996", "injury"),
        ("715", "musculoskeletal"),
        ("584", "genitourinary"),
        ("197", "neoplasms"),
        ("V27", "other"),
        ("E849", "other"),
        ("?", ""),
    ],
)
def test_codes_are_grouped_by_organ_system(code: str, system: str) -> None:
    """Table 2 of the paper."""
    assert _system(code) == system
