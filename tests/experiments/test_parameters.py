"""The table of constants: read from the code, with nothing unexplained."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from experiments import parameters
from experiments.stem import REFERENCE
from experiments.tables import read_table, write_table
from simulation.config.sweep import Size
from simulation.consensus.pbft.params import PbftParams
from simulation.nodes.costs import CryptoCosts


@pytest.fixture(scope="module")
def rows():
    return {row["parameter"]: row for row in parameters.compute(Size.QUICK)}


def test_values_are_those_of_the_program(rows):
    """Read from the parameter dataclasses, not typed again."""
    assert rows["crypto.verify_us"]["value"] == CryptoCosts().verify_us
    assert rows["consensus.request_timeout_ms"]["value"] == PbftParams().request_timeout_ms


def test_the_table_is_that_of_the_code_today(rows, tmp_path):
    """A default that is changed in the code is changed in the committed table."""
    write_table(tmp_path / "parameters.csv", list(rows.values()))
    assert read_table(tmp_path / "parameters.csv") == read_table(REFERENCE / "parameters.csv")


@pytest.mark.parametrize(
    ("parameter", "unit", "source", "origin"),
    [
        ("crypto.sign_us", "µs", "Ed25519 sign 22.9", "measured"),
        ("compute.flops_per_example_parameter", "1", "Kaplan et al., 2020", "published"),
        ("metro.low_ms", "ms", "IBM Cloud VPC", "published"),
        ("consensus.window", "1", "Castro & Liskov, OSDI '99, §4.3", "defined"),
        ("consensus.pipeline", "1", "Castro & Liskov, TOCS 2002, §5.1.2", "defined"),
        ("privacy.delta", "1", "Abadi et al.", "defined"),
        ("crypto.execute_us", "µs", "", "authors"),
    ],
)
def test_sources_are_what_the_documentation_names(rows, parameter, unit, source, origin):
    """Measured, published, defined in a paper, or set by the authors."""
    row = rows[parameter]
    assert (row["unit"], row["origin"]) == (unit, origin)
    assert source in row["source"]


def test_every_mark_is_of_a_constant_without_a_source(rows):
    """Set by the authors is said of nothing else."""
    marked = {(part, name) for part, names in parameters.SET_BY_AUTHORS.items() for name in names}
    found = {
        (row["part"], row["parameter"].rpartition(".")[2])
        for row in rows.values()
        if row["origin"] == parameters.AUTHORS
    }
    assert marked == found


@dataclass(frozen=True)
class Unmarked:
    """A section that somebody has added."""

    secret_ms: float = 3.0
    """How long nobody knows why."""
    bare: int = 1


def test_a_constant_without_source_or_meaning_does_not_hold():
    """What nobody has marked is found and named."""
    verdict = parameters.verdict([*parameters._section("crypto", Unmarked)])
    assert not verdict.holds
    assert "1 have no meaning and 2 neither" in verdict.because
    assert "crypto.secret_ms" in verdict.because
