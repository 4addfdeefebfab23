"""What privacy costs on real data: the verdict is that of the table."""

from __future__ import annotations

import pytest

from experiments.privacy_real_data import verdict
from experiments.stem import REFERENCE, Table
from experiments.tables import read_table


@pytest.fixture
def table() -> Table:
    return read_table(REFERENCE / "privacy_real_data.csv")


def test_the_claim_holds_for_the_reference(table: Table) -> None:
    assert verdict(table).holds


@pytest.mark.parametrize(
    ("epsilon", "column", "value"),
    [(1, "auroc", 0.5), (0.1, "auroc", 0.76), (10, "spent", 10.1)],
)
def test_each_part_of_the_claim_can_fail(
    table: Table, epsilon: float, column: str, value: float
) -> None:
    """A large loss at ε = 1, a small one at 0.1 in the trial, or more spent than promised."""
    row = next(r for r in table if r["epsilon"] == epsilon)
    row[column] = value
    assert not verdict(table).holds
