"""A tiny deterministic delivery harness: no SimPy, one queue, integer time."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from simulation.base.digest import Tag, tagged_hash
from simulation.consensus import registry
from simulation.consensus.protocol import (
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
    Send,
    SetTimer,
    TimerFired,
)

Delay = Callable[[int, int, Any, int], int | None]
"""(source, destination, message, count so far) -> delay in µs, or None to drop."""


class Group:
    """n replicas of one protocol, wired together."""

    def __init__(self, params: Any, n: int, delay: Delay | None = None) -> None:
        self.n = n
        self.cores = [registry.build(i, n, params) for i in range(n)]
        self.delay = delay or (lambda src, dst, message, count: 1000)
        self.now_us = 0
        self.decided: list[list[Decide]] = [[] for _ in range(n)]
        self.decided_at: list[list[int]] = [[] for _ in range(n)]
        self.reports: list[list[Report]] = [[] for _ in range(n)]
        self.sent: Counter[str] = Counter()
        self.log: list[str] = []
        self.state = [bytes(32)] * n
        self._heap: list[tuple[int, int, int, Any]] = []
        self._count = 0
        self._timers: list[dict[Any, int]] = [{} for _ in range(n)]
        self.down: set[int] = set()

    def at(self, time_us: int, replica: int, event: Any) -> None:
        """Schedule an input."""
        self._count += 1
        heapq.heappush(self._heap, (time_us, self._count, replica, event))

    def propose(self, replica: int, request: Request, time_us: int | None = None) -> None:
        """Let a replica's own client propose a request."""
        self.at(self.now_us if time_us is None else time_us, replica, Propose(request))

    def run(self, until_us: int = 60_000_000, max_events: int = 2_000_000) -> None:
        """Deliver everything until nothing is left or the time is up."""
        while self._heap and self._heap[0][0] <= until_us and max_events:
            max_events -= 1
            self.now_us, count, replica, event = heapq.heappop(self._heap)
            if isinstance(event, TimerFired):
                if self._timers[replica].get(event.timer) != count:
                    continue
                del self._timers[replica][event.timer]
            if replica not in self.down:
                self.feed(replica, event)

    def feed(self, replica: int, event: Any) -> Sequence[Any]:
        """Give one input to one replica and perform what it asks for."""
        effects = self.cores[replica].step(event, self.now_us)
        self.log.append(f"{self.now_us} {replica} {event!r} -> {list(effects)!r}")
        for effect in list(effects):
            self.perform(replica, effect)
        return effects

    def perform(self, replica: int, effect: Any) -> None:
        """Do what a replica asks for."""
        match effect:
            case Send(to, message):
                assert to != replica, "a replica sends to itself"
                self._post(replica, to, message)
            case Broadcast(message):
                for to in range(self.n):
                    if to != replica:
                        self._post(replica, to, message)
            case SetTimer(timer, delay_us):
                assert delay_us >= 0
                self.at(self.now_us + delay_us, replica, TimerFired(timer))
                self._timers[replica][timer] = self._count
            case CancelTimer(timer):
                self._timers[replica].pop(timer, None)
            case Decide(seq, _, batch, _):
                self.decided[replica].append(effect)
                self.decided_at[replica].append(self.now_us)
                self.state[replica] = tagged_hash(Tag.STATE, self.state[replica], batch.digest)
                self.at(self.now_us, replica, Executed(seq, self.state[replica]))
            case Load(first, last, token):
                batches = tuple(d.batch for d in self.decided[replica][first - 1 : last])
                self.at(self.now_us, replica, Loaded(first, batches, token))
            case Report():
                self.reports[replica].append(effect)
            case _:
                raise AssertionError(f"unknown effect {effect!r}")

    def _post(self, src: int, dst: int, message: Any) -> None:
        self.sent[message.kind] += 1
        assert message.size_bytes > 0
        assert message.verifications >= 0
        assert message.hashed_bytes >= 0
        delay_us = self.delay(src, dst, message, sum(self.sent.values()))
        if delay_us is not None:
            self.at(self.now_us + delay_us, dst, Receive(src, message))

    def orders(self) -> list[list[Request]]:
        """Per replica, the requests in the order in which it decided them."""
        return [[r for d in decided for r in d.batch.requests] for decided in self.decided]


@pytest.fixture
def group() -> type[Group]:
    """The harness class, called as ``group(params, n, delay)``."""
    return Group
