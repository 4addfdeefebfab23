"""Simulated PBFT messages per second of processor time, as ratios to loops that do less.

Times on one machine mean nothing on another, so each line compares with two loops over the same
number of messages, run in turn on the same machine: a bare heap of tuples, two per replica, and
stock SimPy that delivers the same messages (the broadcasts of three phases, delays drawn per link
from the same streams) to an empty handler: no queues, processors, signatures, log, votes or timers.
With ``make bench COMPILED=1`` PBFT, network and processors are compiled, and so are the draws of
the SimPy loop; SimPy is what it is. Nothing here asserts a time.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from heapq import heapify, heappop, heappush

import pytest
import simpy

from simulation.base.rng import Streams
from simulation.consensus.pbft.params import PbftParams
from simulation.network.delays import LatencyModel, latency_model
from simulation.network.params import NetworkParams
from simulation.nodes.cluster import Cluster, every
from simulation.nodes.costs import CryptoCosts
from simulation.runs.provenance import is_compiled

pytestmark = pytest.mark.bench

SIZES = (4, 16, 64, 128, 256, 512)
MESSAGES = 150_000
ROUNDS = 5
"""All three are timed so often, in turn."""


def bare_heap(events: int, pending: int) -> None:
    """Pop the next event, push a later one: the least that any event loop does."""
    heap = [(i * 7919 % 1000, i) for i in range(pending)]
    heapify(heap)
    for i in range(events):
        time_us, _ = heappop(heap)
        heappush(heap, (time_us + 997, pending + i))


def bare_simpy(latency: LatencyModel, n: int, decisions: int) -> None:
    """Deliver to an empty handler what n replicas send for so many decisions.

    One SimPy timeout per message, the least that a simulator on stock SimPy does, and one process
    that starts a phase after the other.
    """
    env = simpy.Environment()
    others = [tuple(dst for dst in range(n) if dst != src) for src in range(n)]

    def handle(event: simpy.Event) -> None:
        pass

    def broadcast(src: int) -> None:
        for delay_us in latency.draw_block(src, others[src]):
            env.timeout(delay_us).callbacks.append(handle)

    def phases() -> Iterator[simpy.Event]:
        for _ in range(decisions):
            for senders in (range(1), range(1, n), range(n)):
                for src in senders:
                    broadcast(src)
                yield env.timeout(33_000)

    env.process(phases())
    env.run()


def seconds(run) -> float:
    """Processor time, without searches for cyclic garbage: how often is a setting, not a cost."""
    gc.collect()
    gc.disable()
    start = time.process_time()
    run()
    taken = time.process_time() - start
    gc.enable()
    return taken


@pytest.mark.parametrize("n", SIZES)
def test_pbft_messages_per_second(benchmark, capsys, n):
    """With queues, signatures, log and timers on: the `national` profile and Ed25519 costs."""
    decisions = max(1, MESSAGES // (2 * n * (n - 1)))
    messages = decisions * 2 * n * (n - 1)
    taken_s, heap_s, simpy_s = [], [], []

    def compare():
        heap_s.append(seconds(lambda: bare_heap(messages, 2 * n)))
        latency = latency_model(NetworkParams().delays, n, Streams(1))
        simpy_s.append(seconds(lambda: bare_simpy(latency, n, decisions)))
        cluster = Cluster(PbftParams(batch_max_age_ms=0), n, NetworkParams(), CryptoCosts(), seed=1)
        cluster.schedule(every(100_000, decisions))
        return (cluster,), {}

    def run(cluster):
        taken_s.append(seconds(cluster.run))
        result = cluster.result()
        assert all(len(log) == decisions for log in result.decisions)
        # Beside those of the decisions: requests on their way, and checkpoints.
        assert messages <= result.messages < 1.1 * messages

    benchmark.pedantic(run, setup=compare, rounds=ROUNDS, iterations=1)

    # The quickest of each: what else the machine does only ever adds time.
    taken, heap, bare = min(taken_s), min(heap_s), min(simpy_s)
    benchmark.extra_info.update(
        n=n,
        compiled=is_compiled(),
        messages=messages,
        messages_per_s=round(messages / taken),
        ms_per_decision=1e3 * taken / decisions,
        ratio_to_heapq=heap / taken,
        ratio_to_simpy=bare / taken,
    )
    with capsys.disabled():
        print(  # noqa: T201 (the table is what this is for)
            f"\n  {'compiled, ' * is_compiled()}n = {n:3}  "
            f"{messages:7,} messages  {messages / taken / 1e6:5.2f} M/s  "
            f"{1e3 * taken / decisions:8.2f} ms per decision  "
            f"{heap / taken:5.2f} of a bare heap  {bare / taken:5.2f} of bare SimPy"
        )
