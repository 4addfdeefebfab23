"""The host performs a core's effects in order, and its timers leave nothing behind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest

from simulation.base.rng import Streams
from simulation.consensus.protocol import (
    Batch,
    Broadcast,
    CancelTimer,
    Decide,
    Executed,
    Load,
    Loaded,
    Propose,
    Receive,
    Report,
    Request,
    Restarted,
    Send,
    SetTimer,
    TimerFired,
)
from simulation.network.clock import Clock
from simulation.network.latency import ConstantLatency
from simulation.network.network import Network
from simulation.network.params import NetworkParams
from simulation.nodes.costs import CryptoCosts
from simulation.nodes.node import Node
from simulation.nodes.replica import ReplicaHost
from simulation.nodes.timers import Timers
from simulation.trace.events import Decided, Reported


@dataclass(frozen=True)
class Word:
    kind: ClassVar[str] = "word"
    text: str = ""
    size_bytes: int = 100
    verifications: int = 1
    hashed_bytes: int = 0


class Script:
    """A core that answers each input with the effects written down for it."""

    def __init__(self, replica, answers):
        self.id = replica
        self.leader = 0
        self.answers = answers
        self.inputs = []

    def step(self, event, now_us):
        self.inputs.append((now_us, event))
        for match, effects in self.answers:
            if match(event):
                return effects
        return ()


@pytest.fixture
def stage():
    """Three hosts with scripted cores; costs: sign 10, verify 40, execute 100."""

    def build(*scripts):
        clock = Clock()
        params = NetworkParams(latency=ConstantLatency(delay_ms=1), uplink_mbps=0, downlink_mbps=0)
        network = Network(clock, 3, params, Streams(1))
        costs = CryptoCosts(sign_us=10, verify_us=40, hash_mb_per_s=0, execute_us=100)
        events, executed, hosts = [], [], []
        for i in range(3):
            core = Script(i, scripts[i] if i < len(scripts) else [])

            def execute(decision, i=i):
                executed.append((clock.now, i, decision.seq))
                return bytes([decision.seq]) * 32

            node = Node(clock, i, network, costs)
            hosts.append(ReplicaHost(node, core, range(3), (Word,), execute, events.append))
        return clock, hosts, events, executed

    return build


def is_propose(event):
    return isinstance(event, Propose)


def is_receive(event):
    return isinstance(event, Receive)


REQUEST = Request(0, 1, b"x")


def test_a_broadcast_goes_to_every_other_replica_and_a_send_to_one(stage):
    proposal = [(is_propose, (Broadcast(Word("all")), Send(2, Word("one"))))]
    clock, hosts, _, _ = stage(proposal)

    hosts[0].propose(REQUEST)
    clock.run()

    assert hosts[1].core.inputs == [(1050, Receive(0, Word("all")))]
    # Signed 10 µs later, verified after the first.
    assert hosts[2].core.inputs == [
        (1050, Receive(0, Word("all"))),
        (1090, Receive(0, Word("one"))),
    ]


def test_decisions_are_executed_in_order_and_fed_back_after_the_other_effects(stage):
    batch = Batch((REQUEST, REQUEST), 7)
    effects = (Decide(1, 0, batch, 0), Decide(2, 0, batch, 0), Report("after", 0, 2))
    clock, hosts, events, executed = stage([(is_propose, effects)])

    hosts[0].propose(REQUEST)
    clock.run()

    assert [type(e) for _, e in hosts[0].core.inputs] == [Propose, Executed, Executed]
    assert [e.seq for _, e in hosts[0].core.inputs[1:]] == [1, 2]
    assert hosts[0].core.inputs[1][1].state_digest == b"\x01" * 32
    assert [seq for _, _, seq in executed] == [1, 2]
    assert [type(e) for e in events] == [Decided, Decided, Reported]
    assert hosts[0].node.busy_us == 4 * 100


def test_execution_takes_processor_time_before_what_follows_is_sent(stage):
    batch = Batch((REQUEST,), 0)
    script = [
        (is_propose, (Decide(1, 0, batch, 0),)),
        (lambda e: isinstance(e, Executed), (Send(1, Word("done")),)),
    ]
    clock, hosts, _, _ = stage(script)

    hosts[0].propose(REQUEST)
    clock.run()

    assert hosts[1].core.inputs == [(100 + 10 + 1000 + 40, Receive(0, Word("done")))]


def test_a_timer_fires_once_when_set_twice_and_never_when_cancelled(stage):
    script = [
        (
            is_propose,
            (
                SetTimer(("a",), 500),
                SetTimer(("a",), 700),
                SetTimer(("b",), 600),
                CancelTimer(("b",)),
                CancelTimer(("never set",)),
            ),
        )
    ]
    clock, hosts, _, _ = stage(script)

    hosts[0].propose(REQUEST)
    clock.run()

    assert hosts[0].core.inputs[1:] == [(700, TimerFired(("a",)))]


def test_a_timer_that_is_cancelled_while_the_processor_is_busy_does_not_fire(stage):
    """The timer runs out at 1,020; the processor checks a message until 1,040, which cancels it."""
    script = [
        (is_propose, (SetTimer(("a",), 1020),)),
        (is_receive, (CancelTimer(("a",)),)),
    ]
    clock, hosts, _, _ = stage(script)

    hosts[0].propose(REQUEST)
    hosts[1].node.network.send(1, 0, Word())
    clock.run()

    assert [type(e) for _, e in hosts[0].core.inputs] == [Propose, Receive]


def test_an_input_object_is_made_once_for_all_receivers_of_a_broadcast(stage):
    clock, hosts, _, _ = stage([(is_propose, (Broadcast(Word("all")),))])

    hosts[0].propose(REQUEST)
    clock.run()

    assert hosts[1].core.inputs[0][1] is hosts[2].core.inputs[0][1]


def test_a_million_cancelled_timers_leave_a_short_heap():
    """Set and cancelled per request, as a request timeout is: no event may be left behind."""
    clock, fired = Clock(), []
    timers = Timers(clock, lambda key, ticket: timers.take(key, ticket) and fired.append(key))
    longest = 0
    for i in range(20_000):
        timers.set(("request", i), 2_000_000)
        timers.set(("batch",), 2_000)
        timers.cancel(("request", i))
        longest = max(longest, len(clock._queue), len(timers._deadlines) // 10)
        if i % 3 == 0:
            clock.run(clock.now + 1_000)

    clock.run()

    assert longest <= 10
    assert fired[-1] == ("batch",)
    assert not clock._queue
    assert len(timers) == 0


def test_timers_fire_in_order_of_deadline_then_of_setting():
    clock, fired = Clock(), []
    timers = Timers(clock, lambda key, _: fired.append((clock.now, key)))
    for key, delay_us in ((("c",), 30), (("a",), 10), (("b",), 10), (("d",), 20)):
        timers.set(key, delay_us)
    clock.run()
    assert fired == [(10, ("a",)), (10, ("b",)), (20, ("d",)), (30, ("c",))]


def test_the_journal_hands_back_the_stretch_that_was_asked_for(stage):
    batches = [Batch((), t) for t in (5, 6, 7)]
    decisions = tuple(Decide(seq, 0, batch, 0) for seq, batch in enumerate(batches, start=1))
    effects = (*decisions, Load(2, 9, ("fetch",)), Load(1, 1, ("one",)))
    clock, hosts, _, _ = stage([(is_propose, effects)])

    hosts[0].propose(REQUEST)
    clock.run()

    loaded = [event for _, event in hosts[0].core.inputs if isinstance(event, Loaded)]
    assert loaded == [
        Loaded(2, tuple(batches[1:]), ("fetch",)),
        Loaded(1, (batches[0],), ("one",)),
    ]


def test_no_timer_of_before_a_crash_fires_after_it(stage):
    script = [(is_propose, (SetTimer(("a",), 500),))]
    clock, hosts, _, _ = stage(script)
    hosts[0].propose(REQUEST)
    clock.run(100)

    hosts[0].crash()
    clock.run(200)
    hosts[0].recover()
    clock.run()

    assert [type(e) for _, e in hosts[0].core.inputs] == [Propose, Restarted]


def test_a_protocol_without_durable_state_cannot_lose_its_memory(stage):
    _, hosts, _, _ = stage()
    with pytest.raises(ValueError, match="memory: this protocol cannot lose its memory"):
        hosts[0].crash(lose_memory=True)
