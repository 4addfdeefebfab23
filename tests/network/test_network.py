"""The cables: queues at both ends, counts, order, and nothing lost unseen."""

from __future__ import annotations

import pytest

from simulation.network.latency import ConstantLatency, UniformLatency

STILL = ConstantLatency(delay_ms=1.0)
NO_LIMIT = {"uplink_mbps": 0, "downlink_mbps": 0}


def test_a_message_takes_its_delay_on_unlimited_links(wire, note):
    made = wire(latency=STILL, **NO_LIMIT)

    made.network.send(0, 1, note("a"))

    assert made.run() == [(1000, 1, 0, "a")]


@pytest.mark.parametrize("copies", [1, 2, 3])
def test_the_kth_copy_of_a_broadcast_leaves_at_k_times_size_over_rate(wire, note, copies):
    """1,000 bytes on 8 Mbit/s take 1,000 µs; the copies follow one another on the uplink."""
    made = wire(latency=STILL, uplink_mbps=8, downlink_mbps=0)

    made.network.broadcast(0, tuple(range(1, copies + 1)), note("a"))

    assert made.run() == [(1000 * k + 1000, k, 0, "a") for k in range(1, copies + 1)]


def test_two_broadcasts_of_one_node_share_its_uplink_and_those_of_two_nodes_do_not(wire, note):
    made = wire(latency=STILL, uplink_mbps=8, downlink_mbps=0)

    made.network.broadcast(0, (1, 2), note("a"))
    made.network.send(0, 3, note("b"))
    made.network.send(1, 2, note("c"))

    times = {(label, dst): t for t, dst, _, label in made.run()}
    assert times == {("a", 1): 2000, ("a", 2): 3000, ("b", 3): 4000, ("c", 2): 2000}


def test_the_downlink_takes_one_message_after_the_other_in_order_of_arrival(wire, note):
    """n senders at once: the j-th message is in after j transfer times, first in, first out."""
    made = wire(latency=STILL, uplink_mbps=0, downlink_mbps=8)

    for src in (2, 0, 1):
        made.network.send(src, 3, note(str(src)))

    assert made.run() == [(2000, 3, 2, "2"), (3000, 3, 0, "0"), (4000, 3, 1, "1")]


def test_queues_do_not_round_a_short_message_up_to_a_microsecond(wire, note):
    """1,145 bytes on 10 Gbit/s are 0.916 µs; 1,000 of them are 916 µs, not 1,000."""
    made = wire(latency=ConstantLatency(delay_ms=0), uplink_mbps=10_000, downlink_mbps=10_000)

    for _ in range(1000):
        made.network.send(0, 1, note("a", size_bytes=1145))

    # The last one passes the downlink alone, and each station rounds up to a whole microsecond.
    assert 916 < made.run()[-1][0] <= 919


def test_a_message_handed_over_later_leaves_later(wire, note):
    made = wire(latency=STILL, uplink_mbps=8, downlink_mbps=0)

    made.network.broadcast(0, (1,), note("a"), at_us=500)

    assert made.run() == [(2500, 1, 0, "a")]


def test_to_oneself_no_cable_is_touched_and_nothing_is_counted(wire, note):
    made = wire(latency=STILL, uplink_mbps=8, downlink_mbps=8)

    made.network.broadcast(0, (0, 1), note("a"))

    assert made.run() == [(0, 0, 0, "a"), (3000, 1, 0, "a")]
    assert made.network.sent["note"].messages == 1


def test_equal_arrival_times_keep_the_order_of_sending(wire, note):
    made = wire(latency=STILL, **NO_LIMIT)

    made.network.broadcast(2, (0, 1, 3), note("first"))
    made.network.broadcast(0, (1, 3), note("second"))

    assert [label for _, _, _, label in made.run()] == ["first"] * 3 + ["second"] * 2


def test_the_heap_holds_a_few_events_per_receiver_however_much_is_under_way(wire, note):
    """One for the next message of each, and those for messages that have been overtaken since."""
    made = wire(nodes=64, latency=UniformLatency(low_ms=1, high_ms=9), **NO_LIMIT)

    for src in range(64):
        made.network.broadcast(src, tuple(range(64)), note(size_bytes=10))

    assert len(made.clock._queue) < 8 * 64 < 64 * 64


def test_sent_is_delivered_plus_dropped_plus_in_flight_at_every_instant(wire, note):
    made = wire(nodes=5, latency=UniformLatency(low_ms=1, high_ms=9), uplink_mbps=8)
    made.network.detach(4)
    for src in range(4):
        made.network.broadcast(src, (0, 1, 2, 3, 4), note(str(src), size_bytes=300))

    for t_us in range(100, 20_000, 100):
        made.clock.run(t_us)
        network = made.network
        dropped = network.dropped.get("note")
        landed = network.delivered.get("note")
        flying = network.in_flight.get("note")
        parts = [c.messages for c in (dropped, landed, flying) if c is not None]
        assert sum(parts) == network.sent["note"].messages == 16
        assert all(c.bytes == 300 * c.messages for c in (dropped, landed, flying) if c is not None)

    assert network.dropped["note"].messages == 4
    assert network.delivered["note"].messages == 12
    assert not network.in_flight
    # Each of 0..3 got the other three; its own copy is not counted.
    assert len(made.arrived) == 12 + 4


def test_the_same_seed_gives_the_same_order_and_another_seed_another(wire, note):
    def order(seed):
        made = wire(nodes=8, seed=seed, latency=UniformLatency(low_ms=1, high_ms=9))
        for src in range(8):
            made.network.broadcast(src, tuple(range(8)), note(str(src)))
        return made.run()

    assert order(7) == order(7)
    assert order(7) != order(8)
