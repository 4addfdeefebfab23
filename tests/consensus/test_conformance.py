"""What every registered protocol must do, whatever it is."""

from __future__ import annotations

import dataclasses
import random
from typing import Any

import pytest

from simulation.base.ids import NodeId
from simulation.consensus.protocol import Batch, FastReplica, Propose, Receive, Request, TimerFired
from simulation.consensus.registry import PROTOCOLS, ProtocolSpec

SPECS = [pytest.param(spec, id=name) for name, spec in PROTOCOLS.items()]
every_protocol = pytest.mark.parametrize("spec", SPECS)


def requests(n: int, each: int) -> list[tuple[int, Request]]:
    return [(i, Request(NodeId(i), t, b"%d/%d" % (i, t))) for t in range(each) for i in range(n)]


def jitter(seed: int, low_us: int = 100, high_us: int = 20_000) -> Any:
    draw = random.Random(seed)
    return lambda src, dst, message, count: draw.randint(low_us, high_us)


def sizes(spec: ProtocolSpec) -> list[int]:
    return [n for n in (1, 2, 3, 4, 5, 7, 8) if n >= spec.min_replicas]


@every_protocol
def test_everything_proposed_is_decided_once_in_one_order(spec: ProtocolSpec, group: Any) -> None:
    """Agreement, validity, exactly once, total order; Decide in sequence order from 1."""
    for n in sizes(spec):
        for seed in range(3):
            net = group(spec.params(), n, jitter(seed))
            work = requests(n, 40)
            for k, (replica, request) in enumerate(work):
                net.propose(replica, request, time_us=k * 700)

            net.run()

            orders = net.orders()
            assert sorted((r.client, r.timestamp) for r in orders[0]) == sorted(
                (r.client, r.timestamp) for _, r in work
            )
            assert all(order == orders[0] for order in orders)
            for decided in net.decided:
                assert [d.seq for d in decided] == list(range(1, len(decided) + 1))
                assert [(d.view, d.batch, d.proposer) for d in decided] == [
                    (d.view, d.batch, d.proposer) for d in net.decided[0]
                ]


@every_protocol
def test_a_request_proposed_many_times_is_decided_once(spec: ProtocolSpec, group: Any) -> None:
    """Exactly once by (client, timestamp), whoever proposes it and however often."""
    n = max(4, spec.min_replicas)
    net = group(spec.params(), n, jitter(1))
    request = Request(NodeId(2), 9, b"pay once")
    for k in range(5):
        for replica in range(n):
            net.propose(replica, request, time_us=k * 30_000)

    net.run()

    assert all(order == [request] for order in net.orders())


@every_protocol
def test_the_same_inputs_give_the_same_effects(spec: ProtocolSpec, group: Any) -> None:
    """Determinism: two runs are equal, input by input and effect by effect."""
    logs = []
    for _ in range(2):
        net = group(spec.params(), max(4, spec.min_replicas), jitter(5))
        for k, (replica, request) in enumerate(requests(4, 10)):
            net.propose(replica, request, time_us=k * 500)
        net.run()
        logs.append(net.log)

    assert logs[0] == logs[1]
    assert len(logs[0]) > 40


@every_protocol
def test_long_runs_stay_fault_free(spec: ProtocolSpec, group: Any) -> None:
    """No fault, no suspicion: thousands of requests over many batches, one view, no timeout."""
    n = max(4, spec.min_replicas)
    net = group(spec.params(batch_max_requests=1, batch_max_age_ms=0.0), n, jitter(7, 100, 3000))
    for k, (replica, request) in enumerate(requests(n, 200)):
        net.propose(replica, request, time_us=k * 900)

    net.run()

    assert all(len(order) == 200 * n for order in net.orders())
    assert {d.view for decided in net.decided for d in decided} == {net.decided[0][0].view}
    whats = {report.what for reports in net.reports for report in reports}
    assert not whats & {"request-timeout", "view-change", "equivocation", "election"}


@every_protocol
def test_messages_from_anybody_with_anything_never_raise(spec: ProtocolSpec, group: Any) -> None:
    """Totality: any message of the protocol, from any sender, at any time, is survived."""
    n = max(4, spec.min_replicas)
    seen: list[Any] = []

    def spy(src: int, dst: int, message: Any, count: int) -> int:
        seen.append(message)
        return 500

    net = group(spec.params(), n, spy)
    for replica, request in requests(n, 5):
        net.propose(replica, request)
    net.run()
    seen = seen[:: max(1, len(seen) // 400)]
    odd = Batch((Request(NodeId(-1), -5, b""), Request(NodeId(2**40), 2**70, b"x")), -7)
    draw = random.Random(3)
    core = group(spec.params(), n).cores[1]
    for _ in range(6000):
        message = draw.choice(seen)
        if draw.random() < 0.7:
            message = mutate(message, odd, draw)
        core.step(Receive(NodeId(draw.choice([-1, 0, 1, 2, 3, n, 10**6])), message), 5)
    core.step(Propose(Request(NodeId(-3), 2**80, b"")), 6)
    core.step(TimerFired(("no such timer", 4)), 7)


def mutate(message: Any, odd: Batch, draw: random.Random) -> Any:
    """A copy with other numbers, digests or batches; forged signatures do not cover them."""
    changes: dict[str, Any] = {}
    for name in initial(message):
        if draw.random() < 0.5:
            continue
        value = getattr(message, name)
        if isinstance(value, bool):
            changes[name] = not value
        elif isinstance(value, int):
            changes[name] = draw.choice([-1, 0, value + 1, value - 1, 2**70])
        elif isinstance(value, Batch):
            changes[name] = odd
        elif isinstance(value, Request):
            changes[name] = odd.requests[draw.randrange(2)]
        elif isinstance(value, bytes):
            changes[name] = draw.choice([b"", bytes(32)])
        elif isinstance(value, tuple):
            changes[name] = draw.choice([(), value + value, value[1:]])
    return type(message)(**{**initial(message), **changes})


def initial(message: Any) -> dict[str, Any]:
    """The fields that the message is made from."""
    return {f.name: getattr(message, f.name) for f in dataclasses.fields(message) if f.init}


@every_protocol
def test_receive_equals_step(spec: ProtocolSpec, group: Any) -> None:
    """The short cut for messages has the effects of the full input."""
    n = max(4, spec.min_replicas)
    net = group(spec.params(batch_max_age_ms=0.0), n)
    twin = group(spec.params(batch_max_age_ms=0.0), n).cores[1]
    assert isinstance(twin, FastReplica)
    net.propose(0, Request(NodeId(0), 1, b"x"))
    original, pairs = net.cores[1].step, []

    def both(event: Any, now_us: int) -> Any:
        effects = list(original(event, now_us))
        if isinstance(event, Receive):
            same = list(twin.receive(event.sender, event.message, now_us))
        else:
            same = list(twin.step(event, now_us))
        pairs.append((effects, same))
        return effects

    net.cores[1].step = both
    net.run()

    assert pairs
    assert all(effects == same for effects, same in pairs)


@every_protocol
def test_a_group_too_small_is_refused(spec: ProtocolSpec) -> None:
    """A protocol names the smallest group it accepts."""
    with pytest.raises(ValueError, match="replicas"):
        spec.build(0, spec.min_replicas - 1, spec.params())


@every_protocol
def test_message_kinds_are_distinct_and_in_the_registry(spec: ProtocolSpec, group: Any) -> None:
    """Counts go by kind, so kinds must not collide; what is sent is listed."""
    kinds = [message.kind for message in spec.messages]
    assert len(set(kinds)) == len(kinds)
    net = group(spec.params(), max(4, spec.min_replicas))
    net.propose(1, Request(NodeId(1), 1, b"x"))
    net.run()
    assert set(net.sent) <= set(kinds)
