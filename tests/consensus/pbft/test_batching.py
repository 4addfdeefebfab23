"""Batches and the sliding window (TOCS, request batching)."""

from __future__ import annotations

from dataclasses import replace

from simulation.consensus.pbft import messages as m
from tests.consensus.pbft.conftest import EAGER, Bench, request

SLOW = replace(EAGER, batch_max_requests=3, batch_max_age_ms=5.0)


def wants(bench: Bench, count: int, first: int = 1, payload: bytes = b"x") -> list[m.PrePrepare]:
    """Hand the primary some requests; what it proposes at once."""
    out: list[m.PrePrepare] = []
    for k in range(first, first + count):
        wanted = request(3, k, payload)
        out += bench.hears(3, m.RequestMessage(wanted)).to_all(m.PrePrepare)
    return out


def test_a_full_batch_is_proposed_at_once() -> None:
    """TOCS, batching: one protocol instance orders several requests, in order of arrival."""
    bench = Bench(0, params=SLOW)

    assert wants(bench, 2) == []
    (proposal,) = wants(bench, 1, first=3)

    assert [r.timestamp for r in proposal.batch.requests] == [1, 2, 3]


def test_a_batch_does_not_wait_longer_than_its_age() -> None:
    """TOCS, batching: with little load a request must not wait for others that never come."""
    bench = Bench(0, params=SLOW)
    effects = bench.hears(3, m.RequestMessage(request(3)))
    bench.now_us = effects.timers[("batch",)]

    (proposal,) = bench.fires("batch").to_all(m.PrePrepare)

    assert effects.kinds == []
    assert bench.now_us == 5_000
    assert (len(proposal.batch.requests), proposal.batch.time_us) == (1, 5_000)


def test_a_batch_is_bounded_in_bytes() -> None:
    """TOCS, batching: a batch ends before it is too large; one large request goes alone."""
    size = request(3, 1, bytes(400)).size_bytes
    bench = Bench(0, params=replace(SLOW, batch_max_requests=99, batch_max_bytes=2 * size))

    proposals = wants(bench, 4, payload=bytes(400))
    (large,) = wants(bench, 1, first=9, payload=bytes(5_000))

    assert [len(p.batch.requests) for p in proposals] == [2, 2]
    assert len(large.batch.requests) == 1


def test_the_primary_keeps_a_bounded_number_of_instances_open() -> None:
    """TOCS, batching: a window of instances in parallel; further requests wait at the primary."""
    bench = Bench(0, params=replace(EAGER, pipeline=2))

    proposals = wants(bench, 5)

    assert [p.seq for p in proposals] == [1, 2]
    assert len(bench.core.batcher) == 3


def test_waiting_requests_fill_one_larger_batch() -> None:
    """TOCS, batching: when an instance ends, all that has gathered meanwhile goes at once."""
    bench = Bench(0, params=replace(EAGER, pipeline=1))
    (first,) = wants(bench, 4)
    bench.gets_prepares(1, first.digest, 1, 2)

    effects = bench.gets_commits(1, first.digest, 1, 2)

    (second,) = effects.to_all(m.PrePrepare)
    assert second.seq == 2
    assert [r.timestamp for r in second.batch.requests] == [2, 3, 4]
