"""The simulation agrees with its closed forms, and with what others have published."""

from __future__ import annotations

import pytest

from simulation.nodes import validate
from simulation.nodes.analytic import (
    bandwidth_bound_per_s,
    client_latency,
    decision_times,
    md1_wait_us,
    pbft_messages,
    processor_bound_per_s,
)


@pytest.mark.parametrize(
    ("n", "total"), [(4, 24), (7, 84), (10, 180), (16, 480), (64, 8_064), (512, 523_264)]
)
def test_message_counts_of_the_reference(n, total):
    assert sum(pbft_messages(n).values()) == total


def test_the_quorum_model_gives_the_reference_values_on_four_regions():
    """CONSENSUS-REFERENCE §6.3: 238.2, 357.1, 418.9, 418.8, 439.7 ms, from rounded round trips."""
    from simulation.network.regions import round_trip_ms

    places = validate.REGIONS
    one_way = [[0 if a == b else round_trip_ms(a, b) / 2 for b in places] for a in places]
    decided = decision_times(one_way, leader=0)
    assert decided[0] == pytest.approx(238.2, rel=0.003)
    clients = [client_latency(decided, 0, one_way[c], 3) for c in range(4)]
    assert clients == pytest.approx([357.1, 418.9, 418.8, 439.7], rel=0.003)


def test_other_closed_forms_give_the_reference_values():
    assert bandwidth_bound_per_s(validate.LINK_BPS, 128, 1145) == pytest.approx(9_160, rel=0.001)
    assert processor_bound_per_s(128, 72.7, 22.9) == pytest.approx(54, rel=0.01)
    assert md1_wait_us(800, 1000) == pytest.approx(2000)
    with pytest.raises(ValueError, match="grows for ever"):
        md1_wait_us(1000, 1000)


def test_all_rows_hold_on_small_replica_sets():
    rows = list(validate.validate(sizes=(4, 8), processor_n=16))

    assert [row.name for row in rows if not row.holds] == []
    assert len(rows) == 5 + 2 + 5 + 2 + 1 + 1 + 8
    regions = [row for row in rows if row.published is not None and row.unit == "ms"]
    assert len(regions) == 5


def test_a_row_fails_when_either_difference_is_too_large():
    def row(simulated, published):
        return validate.Row("x", "ms", simulated, 100, published, 0.01, 0.03)

    assert row(100.9, None).holds
    assert not row(101.1, None).holds
    assert row(100, 97.5).holds
    assert not row(100, 96.5).holds
