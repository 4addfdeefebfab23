"""Clients on machines of their own: requests to the primary, equal replies back (§4.1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from simulation.base.digest import Digest
from simulation.base.ids import NodeId, ReplicaId
from simulation.base.units import us_from_ms
from simulation.consensus.protocol import HEADER_BYTES, SIGNATURE_BYTES, Decide, Request
from simulation.nodes.cluster import Cluster
from simulation.nodes.timers import Timers


class OutsideLoad(Protocol):
    """What outside clients need to know of a load; see `simulation.nodes.workload.Load`."""

    @property
    def clients(self) -> int: ...
    @property
    def replies(self) -> int | None: ...
    @property
    def reply_bytes(self) -> int: ...
    @property
    def retry_ms(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Reply:
    """⟨REPLY, v, t, c, i, r⟩ (§4.1): a replica's result of one request."""

    kind: ClassVar[str] = "reply"
    verifications = 1
    hashed_bytes = 0

    timestamp: int
    result: Digest
    leader: ReplicaId
    """Where the client sends its next request."""
    result_bytes: int

    @property
    def size_bytes(self) -> int:
        """Framing, a signature and the result."""
        return HEADER_BYTES + SIGNATURE_BYTES + self.result_bytes


@dataclass
class _Open:
    """A request whose result is not known yet."""

    request: Request
    submitted_us: int
    tries: int = 0
    votes: dict[Digest, set[ReplicaId]] = field(default_factory=dict[Digest, set[ReplicaId]])


class OutsideClients:
    """All outside clients of a cluster; client i is node n + i.

    Args:
        cluster: with at least as many ``others`` as there are clients.
        load: how many there are, and what they wait for.
        completed: called with a client and its request's latency in µs.

    Raises:
        ValueError: when the cluster has too few other nodes, or its protocol takes no requests from
            outside.
    """

    def __init__(
        self, cluster: Cluster, load: OutsideLoad, completed: Callable[[int, int], None]
    ) -> None:
        if len(cluster.nodes) < cluster.n + load.clients:
            raise ValueError(
                f"clients: {load.clients} outside clients need as many other nodes, "
                f"got {len(cluster.nodes) - cluster.n}"
            )
        self._cluster = cluster
        self._load = load
        self._completed = completed
        self._needed = load.replies or cluster.spec.tolerates(cluster.n) + 1
        self._message = _request_message(cluster.spec.messages)
        self._leader = [0] * load.clients
        self._open: list[dict[int, _Open]] = [{} for _ in range(load.clients)]
        self._timers: list[Timers] = []
        for client in range(load.clients):
            self._attach(client)
        cluster.on_execute.append(self._reply)

    def _attach(self, client: int) -> None:
        node = self._cluster.nodes[self._cluster.n + client]
        node.on(Reply, lambda sender, reply: self._on_reply(client, sender, reply))
        timers = Timers(node.env, lambda key, ticket: self._retry(client, key, ticket))
        self._timers.append(timers)

    def submit(self, client: int, payload: bytes) -> None:
        """Send a new request of a client to the primary that it knows."""
        node = self._cluster.nodes[self._cluster.n + client]
        request = self._cluster.request(node.id, payload)
        self._open[client][request.timestamp] = _Open(request, self._cluster.clock.now)
        node.send(self._leader[client], self._message(request))
        self._timers[client].set((request.timestamp,), us_from_ms(self._load.retry_ms))

    def _retry(self, client: int, key: tuple[str | int, ...], ticket: int) -> None:
        if not self._timers[client].take(key, ticket):
            return
        entry = self._open[client][int(key[0])]
        entry.tries += 1
        node = self._cluster.nodes[self._cluster.n + client]
        node.broadcast(range(self._cluster.n), self._message(entry.request))
        self._timers[client].set(key, us_from_ms(self._load.retry_ms) << min(entry.tries, 10))

    def _reply(self, replica: ReplicaId, decision: Decide) -> None:
        first = self._cluster.n
        for request in decision.batch.requests:
            if first <= request.client < first + self._load.clients:
                reply = Reply(
                    request.timestamp,
                    decision.batch.digest,
                    self._cluster.hosts[replica].leader,
                    self._load.reply_bytes,
                )
                self._cluster.nodes[replica].send(request.client, reply)

    def _on_reply(self, client: int, sender: NodeId, reply: Reply) -> None:
        entry = self._open[client].get(reply.timestamp)
        if entry is None:
            return
        voters = entry.votes.setdefault(reply.result, set())
        voters.add(sender)
        if len(voters) >= self._needed:
            del self._open[client][reply.timestamp]
            self._timers[client].cancel((reply.timestamp,))
            self._leader[client] = reply.leader
            self._completed(client, self._cluster.clock.now - entry.submitted_us)


def _request_message(messages: tuple[type, ...]) -> Callable[[Request], Any]:
    for message in messages:
        if getattr(message, "kind", None) == "request":
            return message
    raise ValueError("place: this protocol takes no requests from outside; use place: replicas")
