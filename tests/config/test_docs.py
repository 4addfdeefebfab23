"""The generated documentation: complete, fresh, and in agreement with what is accepted."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulation.config.docs import chapters, explain, generated, json_schema
from simulation.config.errors import ConfigError
from simulation.consensus.registry import PROTOCOLS

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.mark.parametrize("name", ["README.md", "schema.json"])
def test_the_generated_files_are_fresh(name: str) -> None:
    """The files below ``configs/`` are those of the docstrings; when this fails, `make docs`."""
    assert (CONFIGS / name).read_text(encoding="utf-8") == generated()[name]


def test_every_parameter_is_documented() -> None:
    """Each field has a docstring (meaning, unit, source), and each section one of its own."""
    found = chapters()
    undocumented = [
        entry.path for chapter in found for entry in chapter.entries if not entry.meaning
    ]

    assert undocumented == []
    assert [chapter.path for chapter in found if len(chapter.meaning) < 10] == []


def test_a_parameter_is_explained_in_each_of_its_kinds() -> None:
    """``consensus.replicas`` exists under every protocol."""
    found = explain("consensus.replicas")

    assert [chapter.kind for chapter in found] == list(PROTOCOLS)
    assert all(chapter.entries[0].path == "consensus.replicas" for chapter in found)


def test_an_unknown_parameter_is_corrected() -> None:
    """Wrong input names the nearest right one."""
    with pytest.raises(ConfigError, match=r"did you mean privacy\.epsilon\?"):
        explain("privacy.epsilom")
    with pytest.raises(ConfigError, match="the sections are name, seeds, hospitals, data"):
        explain("zzz")


def test_the_schema_knows_what_the_loader_knows() -> None:
    """Unknown keys are refused, kinds may be short, required fields are required."""
    schema = json_schema()
    privacy = schema["properties"]["privacy"]["anyOf"]

    assert schema["additionalProperties"] is False
    assert schema["required"] == ["name", "hospitals"]
    assert privacy[0] == {"type": "string", "enum": ["none", "dp_sgd", "distributed", "central"]}
    assert privacy[2]["properties"]["kind"]["const"] == "dp_sgd"
    assert privacy[2]["required"] == ["kind"]
    assert schema["properties"]["network"]["properties"]["latency"]["anyOf"][-1] == {"type": "null"}
