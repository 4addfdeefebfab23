"""The simulation beside its closed forms and beside published measurements.

Published numbers: BFT-SMaRt on four AWS regions (leader in Oregon, empty requests, one closed-loop
client per region) and Themis-PBFT's throughput on a bandwidth-bound network (1 KiB payloads,
batches of 400, 10 Gibit/s, 1 ms one-way), both from the data files of the Delphi-BFT tool (commit
d4b501e; Berger et al., arXiv 2208.14745).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import fmean

import numpy as np

from simulation.base.rng import Streams
from simulation.base.units import US_PER_S, us_from_s
from simulation.consensus.pbft.params import PbftParams
from simulation.consensus.protocol import HEADER_BYTES, SIGNATURE_BYTES, Decide
from simulation.network.clock import Alarm, Clock
from simulation.network.latency import ConstantLatency
from simulation.network.network import Network
from simulation.network.params import NetworkParams
from simulation.network.regions import RegionLatency, round_trip_ms
from simulation.nodes.analytic import (
    bandwidth_bound_per_s,
    client_latency,
    decision_times,
    md1_wait_us,
    pbft_messages,
    processor_bound_per_s,
    silent_primaries_us,
)
from simulation.nodes.clients import Reply
from simulation.nodes.cluster import Cluster, Submission, every, run_cluster
from simulation.nodes.costs import FREE, CryptoCosts
from simulation.nodes.faults import CrashFault
from simulation.nodes.loads import ClosedLoad
from simulation.nodes.node import Node
from simulation.nodes.workload import Workload

REGIONS = ("us-west-2", "eu-west-1", "sa-east-1", "ap-southeast-2")
"""Oregon, Ireland, Sao Paulo, Sydney: where BFT-SMaRt was measured."""
BFT_SMART_MS = (237.1, 353.9, 415.9, 414.5, 437.6)
"""Measured: consensus at the leader, then the clients of the four regions."""
THEMIS_KOPS = {4: 293.0, 8: 146.5, 16: 73.3, 32: 36.0, 64: 18.7, 128: 9.35}
"""Published throughput of Themis-PBFT by n, in thousands of requests per second."""

LINK_BPS = 10 * 2**30
REQUEST_BYTES = 1145
"""1 KiB payload and about 12 % framing."""


@dataclass(frozen=True, slots=True)
class Row:
    """One number, simulated and as it should be."""

    name: str
    unit: str
    simulated: float
    closed_form: float
    published: float | None
    tolerance: float
    """Largest relative difference from the closed form."""
    published_tolerance: float
    """Largest relative difference from the published value."""

    @property
    def difference(self) -> float:
        """Relative difference of the simulation from its closed form."""
        return self.simulated / self.closed_form - 1

    @property
    def published_difference(self) -> float | None:
        """Relative difference of the simulation from the published value, when there is one."""
        return None if self.published is None else self.simulated / self.published - 1

    @property
    def holds(self) -> bool:
        """Whether both differences are within their tolerances."""
        beside = self.published_difference
        return abs(self.difference) <= self.tolerance + 1e-12 and (
            beside is None or abs(beside) <= self.published_tolerance
        )


def validate(
    sizes: Sequence[int] = (4, 8, 16, 32, 64, 128), processor_n: int = 128
) -> Iterator[Row]:
    """All comparisons, one after the other as they are done; about a minute with the defaults.

    Args:
        sizes: of the replica sets of the throughput curve, from `THEMIS_KOPS`.
        processor_n: replicas of the comparison with a saturated processor.
    """
    parts: list[Callable[[], Iterator[Row]]] = [
        message_rows,
        delay_rows,
        region_rows,
        partial(bandwidth_rows, sizes),
        partial(processor_rows, processor_n),
        queue_rows,
        view_change_rows,
    ]
    for part in parts:
        yield from part()


def message_rows(sizes: Sequence[int] = (4, 7, 16, 31, 64)) -> Iterator[Row]:
    """Messages per decision without faults, exactly."""
    for n in sizes:
        result = run_cluster(_AT_ONCE, n, _still(10), FREE, every(100_000, 4), seed=1)
        expected = sum(pbft_messages(n).values())
        yield Row(f"messages per decision, n = {n}", "", result.messages / 4, expected, None, 0, 0)


def delay_rows(n: int = 7, delay_ms: float = 10.0) -> Iterator[Row]:
    """All delays d, no processor time: decided after 3d, an outside client served after 5d."""
    cluster = Cluster(_AT_ONCE, n, _still(delay_ms), FREE, 1, others=1)
    load = ClosedLoad(clients=1, place="outside", warmup_s=0, measure_s=1)
    seen = Workload(cluster, load).run()
    decided = [d.decided_us - d.proposed_us for log in seen.cluster.decisions for d in log]
    yield Row("decision, all delays d", "ms", fmean(decided) / 1e3, 3 * delay_ms, None, 0, 0)
    latency_ms = fmean(seen.latencies_us) / 1e3
    yield Row("client, all delays d", "ms", latency_ms, 5 * delay_ms, None, 0, 0)


def region_rows() -> Iterator[Row]:
    """Latency on four continents, nothing fitted: our network, BFT-SMaRt's measurement."""
    network = NetworkParams(
        latency=RegionLatency(regions=REGIONS), uplink_mbps=1000, downlink_mbps=1000
    )
    clients = len(REGIONS)
    cluster = Cluster(_AT_ONCE, 4, network, CryptoCosts(), 1, others=clients)
    load = ClosedLoad(clients=clients, place="outside", replies=3, warmup_s=2, measure_s=60)
    seen = Workload(cluster, load).run()

    one_way = [[round_trip_ms(a, b) / 2 for b in REGIONS] for a in REGIONS]
    own_free = [[0.0 if i == j else one_way[i][j] for j in range(4)] for i in range(4)]
    decided = decision_times(own_free, leader=0)
    at_leader = [d.decided_us - d.proposed_us for d in seen.cluster.decisions[0]]
    simulated = [fmean(at_leader), *(fmean(each) for each in seen.by_client_us)]
    expected = [decided[0]] + [client_latency(decided, 0, one_way[c], 3) for c in range(clients)]
    names = ["consensus at the leader", *(f"client in {region}" for region in REGIONS)]
    rows = zip(names, simulated, expected, BFT_SMART_MS, strict=True)
    for name, value_us, form_ms, measured_ms in rows:
        yield Row(f"{name}, 4 regions", "ms", value_us / 1e3, form_ms, measured_ms, 0.01, 0.03)


def bandwidth_rows(sizes: Sequence[int]) -> Iterator[Row]:
    """Throughput with 1 KiB payloads when the primary's uplink is the bottleneck."""
    for n in sizes:
        expected = bandwidth_bound_per_s(LINK_BPS, n, REQUEST_BYTES)
        batches = max(12, 160 // n)
        simulated = _bandwidth_bound(n, batches)
        yield Row(
            f"throughput on 10 Gibit/s, n = {n}",
            "kop/s",
            simulated / 1e3,
            expected / 1e3,
            THEMIS_KOPS.get(n),
            0.03,
            0.05,
        )


def _bandwidth_bound(n: int, batches: int, batch: int = 400) -> float:
    """Requests per second that the primary decides when it always has a full batch waiting.

    Every replica answers a sink, which stands for all clients; the replies of a batch travel as one
    message of their common size.
    """
    protocol = PbftParams(batch_max_requests=batch, batch_max_bytes=10**9, pipeline=8)
    network = NetworkParams(
        latency=ConstantLatency(delay_ms=1), uplink_mbps=LINK_BPS / 1e6, downlink_mbps=0
    )
    cluster = Cluster(protocol, n, network, FREE, 1, others=1)
    payload = bytes(REQUEST_BYTES - HEADER_BYTES - SIGNATURE_BYTES)
    result_bytes = batch * REQUEST_BYTES - HEADER_BYTES - SIGNATURE_BYTES
    cluster.nodes[n].on(Reply, lambda _sender, _reply: None)
    times: list[int] = []

    def refill(replica: int, decision: Decide) -> None:
        reply = Reply(decision.seq, decision.batch.digest, 0, result_bytes)
        cluster.nodes[replica].send(n, reply)
        if replica == 0:
            times.append(cluster.clock.now)
            for _ in decision.batch.requests:
                cluster.hosts[0].propose(cluster.request(0, payload))

    cluster.on_execute.append(refill)
    for _ in range(batch * (protocol.pipeline + 2)):
        cluster.hosts[0].propose(cluster.request(0, payload))
    skipped = protocol.pipeline + 2  # what the start-up put in flight at once
    while len(times) < skipped + batches:
        cluster.clock.step()
    return batch * batches * US_PER_S / (times[-1] - times[-1 - batches])


def processor_rows(n: int) -> Iterator[Row]:
    """Decisions per second when one core per replica checks every signature."""
    costs = CryptoCosts(sign_us=23, verify_us=73, hash_mb_per_s=0, execute_us=0)
    protocol = PbftParams(batch_max_requests=1, batch_max_age_ms=0, pipeline=8)
    cluster = Cluster(protocol, n, _still(0.1), costs, 1)
    cluster.schedule(every(0, 64))
    times: list[int] = []
    cluster.on_execute.append(lambda _replica, _decision: times.append(cluster.clock.now))
    # Decisions come in bursts of the pipeline's length: first all prepares, then all commits.
    skipped, measured = protocol.pipeline * n, 2 * protocol.pipeline * n
    while len(times) < skipped + measured:
        cluster.clock.step()
    per_s = measured / n * US_PER_S / (times[skipped + measured - 1] - times[skipped - 1])
    expected = processor_bound_per_s(n, 73, 23)
    yield Row(f"decisions on one core, n = {n}", "1/s", per_s, expected, None, 0.03, 0)


def queue_rows(load: float = 0.5, messages: int = 200_000) -> Iterator[Row]:
    """Poisson arrivals at one processor with a fixed service time: M/D/1."""
    service_us, clock = 1000, Clock()
    network = Network(clock, 2, _still(0), Streams(1))
    node = Node(clock, 0, network, CryptoCosts(sign_us=0, verify_us=service_us))
    Node(clock, 1, network, FREE)
    gaps = Streams(1).stream("validate", "queue").exponential(service_us / load, messages)
    due_us = np.rint(np.cumsum(gaps)).astype(np.int64).tolist()
    waits: list[int] = []
    node.on(Reply, lambda _, reply: waits.append(clock.now - reply.timestamp - service_us))

    def arrive() -> None:
        at_us = due_us[len(waits_started)]
        waits_started.append(at_us)
        network.send(1, 0, Reply(at_us, b"", 0, 0))
        if len(waits_started) < messages:
            alarm.arm(due_us[len(waits_started)])

    waits_started: list[int] = []
    alarm = Alarm(clock, arrive)
    alarm.arm(due_us[0])
    clock.run()
    expected = md1_wait_us(load * US_PER_S / service_us, service_us)
    yield Row(f"wait in an M/D/1 queue at load {load}", "µs", fmean(waits), expected, None, 0.03, 0)


def view_change_rows(
    timeouts_s: Sequence[float] = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0), most_silent: int = 3
) -> Iterator[Row]:
    """Time to a decision behind silent primaries, against the timeout and against their number."""
    for timeout_s in timeouts_s:
        yield _view_change_row(1, timeout_s)
    for silent in range(2, most_silent + 1):
        yield _view_change_row(silent, 1.0)


def _view_change_row(silent: int, timeout_s: float, delay_ms: float = 10.0) -> Row:
    n = 3 * most_faults(silent) + 1
    retry_ms = 1.0
    protocol = PbftParams(
        batch_max_age_ms=0,
        request_timeout_ms=timeout_s * 1e3,
        client_retry_ms=retry_ms,
        retransmit_ms=1e6,
    )
    faults = [CrashFault(at_ms=0, node=i) for i in range(silent)]
    asker = n - 1
    result = run_cluster(
        protocol,
        n,
        _still(delay_ms),
        FREE,
        (Submission(1, asker),),
        seed=1,
        until_us=us_from_s(timeout_s * 2 ** (silent + 1) + 1),
        faults=faults,
    )
    simulated = result.decisions[asker][0].decided_us - 1
    known_us = retry_ms * 1e3 + delay_ms * 1e3
    expected = silent_primaries_us(silent, timeout_s * 1e6, delay_ms * 1e3, known_us)
    name = f"decision behind {silent} silent, timeout {timeout_s:g} s"
    return Row(name, "ms", simulated / 1e3, expected / 1e3, None, 0.01, 0)


def most_faults(silent: int) -> int:
    """The f of the smallest replica set that survives so many silent replicas."""
    return max(1, silent)


def _still(delay_ms: float) -> NetworkParams:
    latency = ConstantLatency(delay_ms=delay_ms)
    return NetworkParams(latency=latency, uplink_mbps=0, downlink_mbps=0)


_AT_ONCE = PbftParams(batch_max_age_ms=0)
