"""What every protocol does with client requests: exactly-once bookkeeping and batching.

Both are plain data structures without effects, so that each protocol keeps its own timers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Set as AbstractSet
from dataclasses import replace

from simulation.base.compiled import mypyc_attr
from simulation.base.ids import NodeId, ReplicaId
from simulation.consensus.protocol import Batch, Request, RequestKey

CLIENT_WINDOW = 4096
"""How many of a client's newest timestamps are told apart; see `ExactlyOnce`."""


@mypyc_attr(allow_interpreted_subclasses=True)
class ExactlyOnce:
    """Which requests have been executed, in bounded memory.

    A function of the decided sequence alone, so that all replicas skip the same duplicates. A
    client may have many requests under way and they may be decided out of order; once it has more
    than twice `CLIENT_WINDOW` executed timestamps on record, all but the newest `CLIENT_WINDOW`
    become a floor, at and below which everything counts as executed (§4.1 keeps only the last
    timestamp).
    """

    def __init__(self) -> None:
        self._floor: dict[NodeId, int] = {}
        self._done: dict[NodeId, set[int]] = {}

    def __contains__(self, key: RequestKey) -> bool:
        client, timestamp = key
        done = self._done.get(client)
        return done is not None and (timestamp in done or timestamp <= self._floor[client])

    def mark(self, key: RequestKey) -> bool:
        """Record a request as executed; whether it was not before."""
        client, timestamp = key
        done = self._done.get(client)
        if done is None:
            done = self._done[client] = set()
            self._floor[client] = -1
        elif timestamp in done or timestamp <= self._floor[client]:
            return False
        done.add(timestamp)
        if len(done) > 2 * CLIENT_WINDOW:
            newest = sorted(done)[-CLIENT_WINDOW:]
            self._floor[client] = max(self._floor[client], newest[0] - 1)
            self._done[client] = set(newest)
        return True

    def execute(self, batch: Batch) -> Batch:
        """Mark all requests of a decided batch; the batch without those executed before."""
        fresh = [request for request in batch.requests if self.mark(request.key)]
        if len(fresh) == len(batch.requests):
            return batch
        return replace(batch, requests=tuple(fresh))

    def copy(self) -> ExactlyOnce:
        """An independent copy."""
        other = ExactlyOnce()
        other._floor = dict(self._floor)
        other._done = {client: set(done) for client, done in self._done.items()}
        return other


class Batcher:
    """The proposer's queue: closes a batch by count, by bytes or by its first request's age."""

    def __init__(self, max_requests: int, max_bytes: int, max_age_us: int) -> None:
        self.max_requests = max_requests
        self.max_bytes = max_bytes
        self.max_age_us = max_age_us
        self._queue: deque[tuple[Request, int]] = deque()
        self._keys: set[RequestKey] = set()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._queue)

    def __contains__(self, key: RequestKey) -> bool:
        return key in self._keys

    def add(self, request: Request, now_us: int) -> None:
        """Queue a request, unless it is queued already."""
        key = request.key
        if key not in self._keys:
            self._keys.add(key)
            self._queue.append((request, now_us))
            self._bytes += request.size_bytes

    def due_in_us(self, now_us: int) -> int | None:
        """Time until the next batch must be closed: 0 now, None with nothing queued."""
        if not self._queue:
            return None
        if len(self._queue) >= self.max_requests or self._bytes >= self.max_bytes:
            return 0
        return max(0, self._queue[0][1] + self.max_age_us - now_us)

    def take(self, now_us: int, view: int = 0, proposer: ReplicaId = 0) -> Batch:
        """Close a batch: the oldest requests within the limits, at least one."""
        requests: list[Request] = []
        size_bytes = 0
        while self._queue and len(requests) < self.max_requests:
            request, _ = self._queue[0]
            if requests and size_bytes + request.size_bytes > self.max_bytes:
                break
            self._queue.popleft()
            self._keys.discard(request.key)
            requests.append(request)
            size_bytes += request.size_bytes
        self._bytes -= size_bytes
        return Batch(tuple(requests), now_us, view, proposer)

    def drop(self, keys: AbstractSet[RequestKey]) -> None:
        """Forget queued requests that were ordered by somebody else."""
        if self._keys.isdisjoint(keys):
            return
        self._queue = deque((r, t) for r, t in self._queue if r.key not in keys)
        self._keys -= keys
        self._bytes = sum(r.size_bytes for r, _ in self._queue)

    def clear(self) -> None:
        """Forget everything queued."""
        self._queue.clear()
        self._keys.clear()
        self._bytes = 0
