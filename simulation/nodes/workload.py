"""Load without learning: clients that submit requests, and what they saw.

*Open* clients submit at a rate, whatever happens to their requests; *closed* ones wait for a
result, think, and submit the next. They live at the replicas (a hospital believes its own replica)
or on machines of their own (§4.1: a request goes to the primary, to all replicas when no result
comes in time, and a result counts when enough replicas give the same).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from simulation.base.rng import Streams
from simulation.base.units import US_PER_S, us_from_ms, us_from_s
from simulation.network.clock import Alarm
from simulation.nodes.clients import OutsideClients
from simulation.nodes.cluster import Cluster, ClusterResult, Latency
from simulation.nodes.loads import ClosedLoad, LoadParams, OpenLoad


@dataclass(frozen=True, slots=True)
class Measurement:
    """What clients saw in the measured window, and before it."""

    submitted: int
    """Requests submitted in the window."""
    completed: int
    """Requests completed in the window."""
    throughput_per_s: float
    """Completed requests per second of virtual time."""
    latencies_us: tuple[int, ...]
    """Of the completed requests, in order of completion."""
    by_client_us: tuple[tuple[int, ...], ...]
    """The same, per client."""
    warmup_us: tuple[int, ...]
    """Latencies of the requests that were completed in the warm-up, in order of completion."""
    cluster: ClusterResult
    """The whole run, warm-up included."""

    def quantile_us(self, share: float) -> float:
        """The latency that this share of the completed requests did not exceed; NaN of none."""
        if not self.latencies_us:
            return float("nan")
        return float(np.quantile(np.asarray(self.latencies_us), share))


class Workload:
    """Clients on a cluster. An outside load needs a cluster with as many ``others``.

    Raises:
        ValueError: when the cluster has no machines for outside clients.
    """

    def __init__(self, cluster: Cluster, load: LoadParams) -> None:
        self.cluster = cluster
        self.load = load
        self._from_us = us_from_s(load.warmup_s)
        self._until_us = self._from_us + us_from_s(load.measure_s)
        self._submitted = 0
        self._done: list[tuple[int, int]] = []
        self._warm: list[int] = []
        self._client_of: dict[tuple[int, int], int] = {}
        self._outside: OutsideClients | None = None
        if load.place == "outside":
            self._outside = OutsideClients(cluster, load, self._completed)
        else:
            cluster.on_complete.append(self._executed)

    def run(self) -> Measurement:
        """Run warm-up and measured window, and say what was measured."""
        streams = self.cluster.streams
        match self.load:
            case OpenLoad():
                self._start_open(self.load, streams)
            case ClosedLoad():
                for client in range(self.load.clients):
                    self._submit(client)
        self._thinking = streams.stream("workload", "think")
        result = self.cluster.run(self._until_us)
        per_client: list[list[int]] = [[] for _ in range(self.load.clients)]
        for client, latency_us in self._done:
            per_client[client].append(latency_us)
        return Measurement(
            submitted=self._submitted,
            completed=len(self._done),
            throughput_per_s=len(self._done) * US_PER_S / (self._until_us - self._from_us),
            latencies_us=tuple(latency_us for _, latency_us in self._done),
            by_client_us=tuple(tuple(each) for each in per_client),
            warmup_us=tuple(self._warm),
            cluster=result,
        )

    def _start_open(self, load: OpenLoad, streams: Streams) -> None:
        next_gap = _gaps(load, streams.stream("workload", "arrivals"))
        submitted = 0
        due_us = 0.0

        def arrive() -> None:
            nonlocal submitted, due_us
            self._submit(submitted % load.clients)
            submitted += 1
            due_us += next_gap()
            alarm.arm(max(self.cluster.clock.now, round(due_us)))

        alarm = Alarm(self.cluster.clock, arrive)
        alarm.arm(0)

    def _submit(self, client: int) -> None:
        if self.cluster.clock.now >= self._from_us:
            self._submitted += 1
        payload = bytes(self.load.size_bytes)
        if self._outside is not None:
            self._outside.submit(client, payload)
        else:
            replica = client % self.cluster.n
            request = self.cluster.submit(replica, payload)
            self._client_of[replica, request.timestamp] = client

    def _executed(self, latency: Latency) -> None:
        client = self._client_of.pop((latency.replica, latency.timestamp), None)
        if client is not None:
            self._completed(client, latency.latency_us)

    def _completed(self, client: int, latency_us: int) -> None:
        if self.cluster.clock.now >= self._from_us:
            self._done.append((client, latency_us))
        else:
            self._warm.append(latency_us)
        if isinstance(self.load, ClosedLoad):
            think_us = 0
            if self.load.think_ms:
                think_us = round(self._thinking.exponential(us_from_ms(self.load.think_ms)))
            clock = self.cluster.clock
            Alarm(clock, lambda: self._submit(client)).arm(clock.now + think_us)


def _gaps(load: OpenLoad, generator: np.random.Generator) -> Callable[[], float]:
    mean_us = US_PER_S / load.rate_per_s
    if load.arrivals == "even":
        return lambda: mean_us
    return lambda: float(generator.exponential(mean_us))
