"""Choices that the primary makes for all (§4.6)."""

from __future__ import annotations

from dataclasses import replace

from simulation.consensus.pbft import messages as m
from tests.consensus.pbft.conftest import EAGER, Bench, batch, pre_prepare, request


def test_the_primarys_clock_goes_into_the_batch() -> None:
    """§4.6: the primary chooses what replicas could not choose alike: here the time."""
    bench = Bench(0)
    bench.now_us = 123_456

    (proposal,) = bench.proposes(request(0)).to_all(m.PrePrepare)

    assert proposal.batch.time_us == 123_456


def test_the_choice_is_part_of_what_is_agreed() -> None:
    """§4.6: all replicas use the same value, because the digest covers it."""
    one, other = batch(request(3), time_us=7), batch(request(3), time_us=8)
    assert one.digest != other.digest

    times = []
    for replica in (1, 2, 3):
        bench = Bench(replica)
        bench.now_us = 100 * replica
        times += [b.time_us for _, b in bench.decides(1, one).decisions]

    assert times == [7, 7, 7]


def test_a_backup_checks_the_choice() -> None:
    """§4.6: backups refuse a wrong choice: a time far in the future gets no vote."""
    bench = Bench(1, 4, replace(EAGER, clock_skew_ms=10.0))
    bench.now_us = 1_000

    beyond = bench.hears(0, pre_prepare(1, batch(request(3), time_us=11_001)))
    within = bench.hears(0, pre_prepare(1, batch(request(3), time_us=11_000)))

    assert beyond.kinds == []
    assert within.kinds == ["prepare"]
