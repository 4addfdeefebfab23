"""What goes wrong on the cables, and that the counts still add up."""

from __future__ import annotations

import pytest

from simulation.base.rng import Streams
from simulation.network.delays import latency_model
from simulation.network.latency import ConstantLatency
from simulation.network.params import NetworkParams
from simulation.network.regions import REGIONS, RegionLatency, round_trip_ms

STILL = ConstantLatency(delay_ms=1.0)
OPEN = {"latency": STILL, "uplink_mbps": 0, "downlink_mbps": 0}


def total(counts):
    return sum(count.messages for count in counts.values())


@pytest.mark.parametrize(
    "trouble",
    [
        {"loss": 0.3},
        {"duplicate": 0.3},
        {"reorder": 0.5},
        {"loss": 0.2, "duplicate": 0.2, "reorder": 0.2},
    ],
)
def test_sent_and_duplicated_are_delivered_dropped_and_in_flight(wire, note, trouble):
    made = wire(nodes=5, **OPEN, **trouble)
    network = made.network
    for src in range(5):
        for _ in range(40):
            network.broadcast(src, (0, 1, 2, 3, 4), note())

    for t_us in range(500, 60_000, 500):
        made.clock.run(t_us)
        assert total(network.sent) + total(network.duplicated) == total(network.delivered) + total(
            network.dropped
        ) + total(network.in_flight)

    made.clock.run()
    received = len(made.arrived) - 200  # own copies are not counted
    assert received == total(network.delivered)
    assert total(network.in_flight) == 0
    expected = {"loss": network.dropped, "duplicate": network.duplicated}
    for name, counts in expected.items():
        share = total(counts) / 800
        assert abs(share - trouble.get(name, 0)) < 0.06


def test_reordered_messages_are_late_by_at_most_what_was_said(wire, note):
    made = wire(**OPEN, reorder=0.5, reorder_ms=7)
    for _ in range(200):
        made.network.send(0, 1, note())
    times = [t for t, *_ in made.run()]
    assert times == sorted(times)
    assert 70 < sum(t > 1000 for t in times) < 130
    assert 6000 < max(times) <= 8000


def test_a_partition_cuts_both_ways_and_heals(wire, note):
    made = wire(nodes=5, **OPEN)
    made.network.weather.partition([(0, 1)])

    for src in range(5):
        made.network.broadcast(src, tuple(range(5)), note())
    made.clock.run(2000)

    heard = {(src, dst) for _, dst, src, _ in made.arrived}
    assert heard == {(a, b) for a in range(5) for b in range(5) if (a < 2) == (b < 2)}
    made.network.weather.heal()
    assert made.network.weather.fair
    made.network.send(0, 4, note("after"))
    assert made.run()[-1] == (3000, 4, 0, "after")


def test_a_one_way_partition_silences_the_named_group_but_lets_it_hear(wire, note):
    made = wire(nodes=4, **OPEN)
    made.network.weather.partition([(3,)], one_way=True)

    for src in range(4):
        made.network.broadcast(src, tuple(range(4)), note())

    heard = {(src, dst) for _, dst, src, _ in made.run()}
    assert heard == {(a, b) for a in range(4) for b in range(4) if a != 3 or b == 3}


def test_held_messages_wait_for_their_release_and_count_as_in_flight(wire, note):
    made = wire(**OPEN)
    made.network.weather.hold([(0, 1)])

    made.network.broadcast(0, (1, 2), note("a"))
    made.network.send(1, 0, note("b"))
    made.clock.run(5000)

    assert made.arrived == [(1000, 2, 0, "a"), (1000, 0, 1, "b")]
    assert total(made.network.in_flight) == 1
    made.network.release()
    assert made.run()[-1] == (6000, 1, 0, "a")
    assert total(made.network.in_flight) == 0


def test_a_slow_link_adds_its_delay_in_one_direction(wire, note):
    made = wire(**OPEN)
    made.network.weather.slow([(0, 1)], 500)

    made.network.send(0, 1, note("there"))
    made.network.send(1, 0, note("back"))
    assert made.run() == [(1000, 0, 1, "back"), (1500, 1, 0, "there")]

    made.network.weather.slow([(0, 1)], 0)
    assert made.network.weather.fair


def test_a_lost_message_has_cost_its_sender_bandwidth(wire, note):
    made = wire(latency=STILL, uplink_mbps=8, downlink_mbps=0)
    made.network.weather.partition([(1,)])

    made.network.send(0, 1, note("lost"))
    made.network.send(0, 2, note("found"))

    assert made.run() == [(3000, 2, 0, "found")]


def test_weather_draws_do_not_shift_the_delays(wire, note):
    """Streams are named: the messages that survive a lossy network keep their delays."""

    def delays(loss):
        made = wire(profile="metro", loss=loss)
        for i in range(100):
            made.network.send(0, 1, note(str(i), size_bytes=0))
        return {label: t for t, _, _, label in made.run()}

    fair, lossy = delays(0.0), delays(0.5)
    assert 20 < len(lossy) < 80
    assert all(fair[label] == t for label, t in lossy.items())


def test_regions_have_their_published_round_trips():
    assert len(REGIONS) == 21
    assert round_trip_ms("us-west-2", "eu-west-1") == 119
    assert round_trip_ms("ap-southeast-2", "sa-east-1") == 314
    assert round_trip_ms("af-south-1", "ap-southeast-2") == 414
    away = sorted(round_trip_ms(a, b) for i, a in enumerate(REGIONS) for b in REGIONS[:i])
    assert (away[0], away[(len(away) - 1) // 2], away[-1]) == (10, 150, 414)
    own = sorted(round_trip_ms(a, a) for a in REGIONS)
    assert own[len(own) // 2] == 3


def test_nodes_are_placed_in_regions_in_turn():
    params = RegionLatency(regions=("eu-west-1", "us-west-2"))
    model = latency_model(params, 4, Streams(1))
    assert model.draw_block(0, (1, 2, 3)) == [59_500, 1_500, 59_500]
    assert NetworkParams(latency=params).delays is params


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: NetworkParams(loss=1.5), "loss: must be from 0 to 1, got 1.5; 0.05 means 5 %"),
        (lambda: NetworkParams(reorder_ms=-1), "reorder_ms: must be >= 0"),
        (lambda: RegionLatency(regions=("mars",)), "regions: unknown region 'mars'; choose from"),
        (lambda: RegionLatency(regions=()), "regions: is empty"),
    ],
)
def test_bad_parameters_name_the_field_and_the_remedy(build, words):
    with pytest.raises(ValueError, match=words):
        build()
