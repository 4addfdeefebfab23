"""One processor per node, first in, first out: what waits, what leaves when, in closed form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest

from simulation.base.rng import Streams
from simulation.network.clock import Clock
from simulation.network.latency import ConstantLatency
from simulation.network.network import Network
from simulation.network.params import NetworkParams
from simulation.nodes.costs import FREE, CryptoCosts
from simulation.nodes.node import Node


@dataclass(frozen=True)
class Vote:
    kind: ClassVar[str] = "vote"
    label: str = ""
    size_bytes: int = 1000
    verifications: int = 1
    hashed_bytes: int = 0


@dataclass(frozen=True)
class Other:
    kind: ClassVar[str] = "other"
    size_bytes: int = 10
    verifications: int = 0
    hashed_bytes: int = 0


COSTS = CryptoCosts(sign_us=20, verify_us=70, hash_mb_per_s=1.0, execute_us=0)


@pytest.fixture
def pair():
    """Two nodes and the list of (time, receiver, label)."""

    def build(costs=COSTS, delay_ms=1.0, **rates):
        clock = Clock()
        limits = {"uplink_mbps": 0, "downlink_mbps": 0} | rates
        params = NetworkParams(latency=ConstantLatency(delay_ms=delay_ms), **limits)
        network = Network(clock, 3, params, Streams(1))
        nodes = [Node(clock, i, network, costs) for i in range(3)]
        seen = []
        for node in nodes:
            node.on(Vote, lambda s, m, i=node.id: seen.append((clock.now, i, m.label)))
        return clock, nodes, seen

    return build


def test_a_message_is_signed_then_travels_then_is_verified(pair):
    clock, nodes, seen = pair()

    nodes[0].send(1, Vote("a"))
    clock.run()

    assert seen == [(20 + 1000 + 70, 1, "a")]
    assert (nodes[0].busy_us, nodes[1].busy_us) == (20, 70)


def test_a_broadcast_is_signed_once(pair):
    clock, nodes, seen = pair()

    nodes[0].broadcast((1, 2), Vote("a"))
    clock.run()

    assert seen == [(1090, 1, "a"), (1090, 2, "a")]


def test_to_itself_a_node_neither_signs_nor_verifies(pair):
    clock, nodes, seen = pair()

    nodes[0].send(0, Vote("a"))
    clock.run()

    assert seen == [(0, 0, "a")]
    assert nodes[0].network.sent == {}


def test_what_receivers_do_not_verify_is_not_signed_but_hashed(pair):
    clock, nodes, seen = pair()

    nodes[0].send(1, Vote("a", verifications=0, hashed_bytes=500))
    clock.run()

    assert seen == [(1000 + 500, 1, "a")]  # 500 bytes at 1 MB/s


@pytest.mark.parametrize(("gap_us", "service_us"), [(100, 70), (70, 70), (40, 70)])
def test_deterministic_arrivals_and_services_queue_as_the_closed_form_says(
    pair, gap_us, service_us
):
    """D/D/1: job k starts at max(k·gap, k·service), so it waits k·max(0, service − gap)."""
    clock, nodes, seen = pair(costs=CryptoCosts(sign_us=0, verify_us=service_us))
    for k in range(50):
        clock.timeout(k * gap_us, k).callbacks.append(
            lambda e: nodes[0].send(1, Vote(str(e.value)))
        )

    clock.run()

    waits = [t - 1000 - k * gap_us - service_us for k, (t, _, _) in enumerate(seen)]
    assert waits == [k * max(0, service_us - gap_us) for k in range(50)]


def test_downlink_and_processor_are_a_tandem(pair):
    """Transfer 1,000 µs and check 70 µs: the bottleneck is the link, the check comes on top."""
    clock, nodes, seen = pair(downlink_mbps=8)

    for k in range(3):
        nodes[0].network.send(0, 1, Vote(str(k)))
    clock.run()

    assert [t for t, _, _ in seen] == [1000 + 1000 * (k + 1) + 70 for k in range(3)]


def test_what_a_handler_sends_leaves_after_its_signature_and_delays_the_next_message(pair):
    clock, nodes, seen = pair()

    def answer(sender, message):
        seen.append((clock.now, 1, message.label))
        nodes[1].send(sender, Vote("re " + message.label))

    nodes[1].on(Vote, answer)
    nodes[2].network.send(2, 1, Vote("a"))
    nodes[2].network.send(2, 1, Vote("b"))
    clock.run()

    # b is checked after a's answer has been signed: 1000 + 70 + 20 + 70.
    assert seen == [(1070, 1, "a"), (1160, 1, "b"), (2160, 2, "re a"), (2250, 2, "re b")]


def test_charging_lengthens_the_running_job(pair):
    clock, nodes, seen = pair()

    def slow(sender, message):
        seen.append((clock.now, 1, message.label))
        nodes[1].charge(500)

    nodes[1].on(Vote, slow)
    nodes[0].network.broadcast(0, (1,), Vote("a"))
    nodes[0].network.broadcast(0, (1,), Vote("b"))
    clock.run()

    assert [t for t, _, _ in seen] == [1070, 1640]
    with pytest.raises(RuntimeError, match="needs a running job"):
        nodes[1].charge(1)


def test_own_work_queues_with_messages_in_order_of_time(pair):
    clock, nodes, seen = pair()
    nodes[0].network.send(0, 1, Vote("a"))  # arrives at 1000
    nodes[0].network.send(0, 1, Vote("b"))

    def work():
        yield clock.timeout(1030)  # a is being checked, b waits since 1000
        yield nodes[1].compute(300)
        seen.append((clock.now, 1, "work"))

    clock.process(work())
    clock.run()

    assert seen == [(1070, 1, "a"), (1140, 1, "b"), (1440, 1, "work")]


def test_own_work_goes_before_a_message_whose_last_bit_is_not_in(pair):
    clock, nodes, seen = pair(downlink_mbps=8)
    nodes[0].network.send(0, 1, Vote("a"))  # arrives from 1000 to 2000, checked until 2070

    def work():
        yield clock.timeout(1500)
        yield nodes[1].compute(600)
        seen.append((clock.now, 1, "work"))

    clock.process(work())
    clock.run()

    assert seen == [(2100, 1, "work"), (2170, 1, "a")]
    assert nodes[1].busy_us == 670


def test_more_cores_share_the_checking():
    costs = CryptoCosts(sign_us=20, verify_us=70, hash_mb_per_s=0, cores=4)
    assert costs.receive_us(Vote(verifications=10)) == 175
    assert costs.send_us(Vote()) == 20
    assert FREE.receive_us(Vote(verifications=10, hashed_bytes=10**6)) == 0


def test_a_message_that_nobody_expects_is_an_error_that_names_it(pair):
    clock, nodes, _ = pair()
    nodes[0].send(1, Other())
    with pytest.raises(LookupError, match="node 1 has no handler for Other from node 0"):
        clock.run()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"verify_us": -1}, "verify_us: must be >= 0, got -1"),
        ({"cores": 0}, "cores: must be >= 1, got 0"),
        ({"hash_mb_per_s": float("nan")}, "hash_mb_per_s: must be >= 0"),
    ],
)
def test_bad_costs_name_the_field(wrong, words):
    with pytest.raises(ValueError, match=words):
        CryptoCosts(**wrong)


def test_a_crash_forgets_what_waited_and_drops_what_arrives(pair):
    clock, nodes, seen = pair()
    for label in ("being checked", "waiting"):
        nodes[0].network.send(0, 1, Vote(label))
    clock.run(1030)

    nodes[1].crash()
    nodes[1].send(0, Vote("from the dead"))
    nodes[0].network.send(0, 1, Vote("to the dead"))
    clock.run(3000)
    nodes[1].recover()
    nodes[0].network.send(0, 1, Vote("to the living"))
    clock.run()

    assert seen == [(4070, 1, "to the living")]
    assert nodes[0].network.dropped["vote"].messages == 1
