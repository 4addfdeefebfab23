"""A world with nothing but consensus: replicas, cables, processors, and requests at given times.

For tests, benchmarks, workloads and validation, which want throughput and latency apart from
training and ledgers. The application behind each replica only chains the digests of what it was
told to execute, so two replicas are in the same state exactly when they executed the same batches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from simulation.base.digest import Digest, Tag, tagged_hash
from simulation.base.ids import NodeId, ReplicaId
from simulation.base.rng import Streams
from simulation.consensus.protocol import Decide, Request
from simulation.consensus.registry import PROTOCOLS, ConsensusParams
from simulation.network.clock import Alarm, Clock
from simulation.network.network import Network
from simulation.network.params import NetworkParams
from simulation.network.parcel import Count
from simulation.nodes.costs import CryptoCosts
from simulation.nodes.faults import FaultParams
from simulation.nodes.injector import HEIGHT, FaultInjector
from simulation.nodes.instance import Record
from simulation.nodes.node import Node
from simulation.nodes.properties import Watch
from simulation.nodes.replica import ReplicaHost
from simulation.trace.events import Event

GENESIS_STATE: Digest = tagged_hash(Tag.STATE, b"cluster")
"""The digest of the state before anything was executed."""


@dataclass(frozen=True, slots=True)
class Submission:
    """A replica's own client hands it a request at a virtual time."""

    at_us: int
    replica: ReplicaId
    size_bytes: int = 0
    """Size of the payload, in bytes."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What one replica decided at one sequence number, and when."""

    seq: int
    view: int
    digest: Digest
    requests: int
    proposed_us: int
    """When the proposer closed the batch."""
    decided_us: int
    """When this replica decided it."""


@dataclass(frozen=True, slots=True)
class Latency:
    """One request, from its submission to its execution at the replica that submitted it."""

    replica: ReplicaId
    timestamp: int
    submitted_us: int
    executed_us: int

    @property
    def latency_us(self) -> int:
        """Time from submission to execution."""
        return self.executed_us - self.submitted_us


@dataclass(frozen=True, slots=True)
class ClusterResult:
    """What a run of a cluster showed."""

    n: int
    end_us: int
    """Virtual time at the end of the run."""
    decisions: tuple[tuple[Decision, ...], ...]
    """Per replica, in sequence order."""
    states: tuple[Digest, ...]
    """Per replica: digest of the state after its last decision."""
    latencies: tuple[Latency, ...]
    """In order of execution."""
    sent: dict[str, Count]
    """Messages handed to the network, by kind; likewise below."""
    delivered: dict[str, Count]
    dropped: dict[str, Count]
    in_flight: dict[str, Count]
    busy_us: tuple[int, ...]
    """Per replica: processor time used."""

    @property
    def messages(self) -> int:
        """All messages sent."""
        return sum(count.messages for count in self.sent.values())


def _discard(_: Event) -> None:
    """Record nothing."""


@dataclass
class _Application:
    """What stands in for a ledger at one replica."""

    decisions: list[Decision] = field(default_factory=list[Decision])
    state: Digest = GENESIS_STATE


class Cluster:
    """n replicas of one protocol on one clock, and room for other nodes beside them.

    Args:
        protocol: parameters of the consensus protocol; their ``kind`` names it.
        n: number of replicas, nodes 0 .. n − 1.
        network: parameters of the cables.
        costs: processor costs of every node.
        seed: of all random streams.
        others: further nodes, numbered from n, that take no part in consensus.
        faults: the fault schedule.
        record: takes the trace's events; None when nobody reads them.
        watched: whether the replicas are held to their protocol's properties.

    Raises:
        ValueError: when the protocol does not run on n replicas.
    """

    def __init__(
        self,
        protocol: ConsensusParams,
        n: int,
        network: NetworkParams,
        costs: CryptoCosts,
        seed: int,
        *,
        others: int = 0,
        faults: Sequence[FaultParams] = (),
        record: Record | None = None,
        watched: bool = False,
    ) -> None:
        spec = PROTOCOLS[protocol.kind]
        self.n = n
        self.spec = spec
        self.clock = clock = Clock()
        self.watch = Watch(protocol, range(n), faults, lambda: clock.now) if watched else None
        self.streams = Streams(seed)
        self.network = Network(self.clock, n + others, network, self.streams)
        self.nodes = [Node(self.clock, i, self.network, costs) for i in range(n + others)]
        self.hosts = [
            ReplicaHost(
                self.nodes[i],
                spec.build(i, n, protocol),
                range(n),
                spec.messages,
                self._executor(i),
                record,
                partial(spec.build, i, n, protocol),
                None if self.watch is None else self.watch.of(i),
            )
            for i in range(n)
        ]
        self.faults = FaultInjector(
            self.clock,
            self.network,
            self.nodes,
            dict(enumerate(self.hosts)),
            faults,
            protocol=spec.name,
            seed=seed,
            record=record or _discard,
        )
        self.on_execute: list[Callable[[ReplicaId, Decide], None]] = []
        """Called after each execution, on the replica's processor: what it sends leaves then."""
        self.on_complete: list[Callable[[Latency], None]] = []
        """Called when a replica has executed a request of its own client."""
        self.latencies: list[Latency] = []
        self._applications = [_Application() for _ in range(n)]
        self._timestamps = [0] * (n + others)
        self._submitted: dict[tuple[NodeId, int], int] = {}

    # ---- requests -----------------------------------------------------------------------------

    def schedule(self, submissions: Sequence[Submission]) -> None:
        """Submit requests at their times."""
        for submission in submissions:
            self._submit_at(submission)

    def _submit_at(self, submission: Submission) -> None:
        def submit() -> None:
            self.submit(submission.replica, bytes(submission.size_bytes))

        Alarm(self.clock, submit).arm(submission.at_us)

    def submit(self, replica: ReplicaId, payload: bytes) -> Request:
        """Hand a replica a new request of its own client now."""
        request = self.request(replica, payload)
        self._submitted[replica, request.timestamp] = self.clock.now
        self.hosts[replica].propose(request)
        return request

    def request(self, client: NodeId, payload: bytes) -> Request:
        """The next request of a client, not submitted to anybody."""
        self._timestamps[client] += 1
        request = Request(client, self._timestamps[client], payload)
        if self.watch is not None:
            self.watch.submitted(request)
        return request

    # ---- running ------------------------------------------------------------------------------

    def run(self, until_us: int | None = None) -> ClusterResult:
        """Run until ``until_us``, or until nothing is left to happen, and say what happened."""
        self.clock.run(until_us)
        return self.result()

    def result(self) -> ClusterResult:
        """What has happened so far."""
        return ClusterResult(
            n=self.n,
            end_us=self.clock.now,
            decisions=tuple(tuple(a.decisions) for a in self._applications),
            states=tuple(a.state for a in self._applications),
            latencies=tuple(self.latencies),
            sent=_copied(self.network.sent),
            delivered=self.network.delivered,
            dropped=_copied(self.network.dropped),
            in_flight=self.network.in_flight,
            busy_us=tuple(node.busy_us for node in self.nodes[: self.n]),
        )

    # ---- the application ----------------------------------------------------------------------

    def _executor(self, replica: ReplicaId) -> Callable[[Decide], Digest]:
        def execute(decision: Decide) -> Digest:
            return self._execute(replica, decision)

        return execute

    def _execute(self, replica: ReplicaId, decision: Decide) -> Digest:
        application, batch = self._applications[replica], decision.batch
        application.state = tagged_hash(Tag.STATE, application.state, batch.digest)
        application.decisions.append(
            Decision(
                decision.seq,
                decision.view,
                batch.digest,
                len(batch.requests),
                batch.time_us,
                self.clock.now,
            )
        )
        for request in batch.requests:
            if request.client == replica:
                submitted_us = self._submitted.pop((replica, request.timestamp), None)
                if submitted_us is not None:
                    seen = Latency(replica, request.timestamp, submitted_us, self.clock.now)
                    self.latencies.append(seen)
                    for complete in self.on_complete:
                        complete(seen)
        if self.watch is not None:
            core = self.hosts[replica].core
            self.watch.executed(replica, decision, application.state, core)
        self.faults.reached(HEIGHT, decision.seq)
        for listener in self.on_execute:
            listener(replica, decision)
        return application.state


def run_cluster(
    protocol: ConsensusParams,
    n: int,
    network: NetworkParams,
    costs: CryptoCosts,
    requests: Sequence[Submission],
    seed: int,
    *,
    until_us: int | None = None,
    faults: Sequence[FaultParams] = (),
    record: Record | None = None,
) -> ClusterResult:
    """Run a cluster on a fixed schedule of requests; see `Cluster` for the arguments.

    Without ``until_us`` it runs until nothing is left to happen.
    """
    cluster = Cluster(protocol, n, network, costs, seed, faults=faults, record=record)
    cluster.schedule(requests)
    return cluster.run(until_us)


def every(
    interval_us: int, count: int, replica: ReplicaId = 0, size_bytes: int = 0, start_us: int = 0
) -> tuple[Submission, ...]:
    """``count`` requests of one replica's client, one every ``interval_us``."""
    return tuple(Submission(start_us + i * interval_us, replica, size_bytes) for i in range(count))


def _copied(counts: dict[str, Count]) -> dict[str, Count]:
    return {kind: Count(count.messages, count.bytes) for kind, count in counts.items()}
