"""A pure, deterministic host for a whole group: queue, links, faults, journals, observer.

It does for tests and soak runs what the SimPy hosts do for experiments, without their costs: no
bandwidth, no processors, no ledger. One heap of events, integer microseconds, ties first-in
first-out. Every draw of a link comes from that link's own stream, so that removing one fault from a
schedule leaves the other links' draws as they were.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from simulation.base.digest import DIGEST_BYTES, Digest, Tag, tagged_hash
from simulation.base.ids import ReplicaId
from simulation.consensus.byzantine import Byzantine
from simulation.consensus.draw import Draw
from simulation.consensus.invariants import Invariants
from simulation.consensus.protocol import (
    Batch,
    Broadcast,
    CancelTimer,
    Decide,
    Effect,
    Executed,
    Input,
    Load,
    Loaded,
    Propose,
    Receive,
    Replica,
    Report,
    Request,
    RequestKey,
    Restarted,
    Restorable,
    Send,
    SetTimer,
    TimerFired,
    TimerKey,
)


@dataclass(frozen=True, slots=True)
class Action:
    """One step of a schedule, at a virtual time.

    ``what`` is one of: ``propose`` (replica), ``crash`` (replica; value 1 loses its memory),
    ``restart`` (replica), ``cut`` (group against the rest; value 1: only what the group sends is
    lost), ``heal``, ``loss`` (value in permille), ``duplicate`` (value in permille), ``spread``
    (value: the longest delay in µs), ``slow`` (replica, value: extra µs on all it sends).
    """

    time_us: int
    what: str
    replica: ReplicaId = -1
    value: int = 0
    group: tuple[ReplicaId, ...] = ()

    def __str__(self) -> str:
        parts = [f"{self.time_us} {self.what}"]
        if self.replica >= 0:
            parts.append(f"replica={self.replica}")
        if self.value:
            parts.append(f"value={self.value}")
        if self.group:
            parts.append("group=" + ",".join(map(str, self.group)))
        return " ".join(parts)


class Arena:
    """n replicas and everything between them."""

    def __init__(
        self,
        cores: Sequence[Replica[Any]],
        rebuild: Callable[[ReplicaId], Replica[Any]],
        observer: Invariants,
        seed: int,
        base_delay_us: int = 1_000,
        spread_us: int = 10_000,
    ) -> None:
        self.n = len(cores)
        self.cores = list(cores)
        self.observer = observer
        self.now_us = 0
        self.base_delay_us = base_delay_us
        self.spread_us = spread_us
        self.sent: Counter[str] = Counter()
        self.reports: Counter[str] = Counter()
        self.delivered = 0
        self.journals: list[list[Batch]] = [[] for _ in range(self.n)]
        self.pending: list[dict[RequestKey, Request]] = [{} for _ in range(self.n)]
        """Requests of each replica's own client that it has not executed yet."""
        self.down: set[ReplicaId] = set()
        self._rebuild = rebuild
        self._saved: dict[ReplicaId, object] = {}
        self._states: list[Digest] = [bytes(DIGEST_BYTES)] * self.n
        self._timers: list[dict[TimerKey, int]] = [{} for _ in range(self.n)]
        self._heap: list[tuple[int, int, ReplicaId, Any]] = []
        self._count = 0
        self._links = [[Draw(seed, a, b) for b in range(self.n)] for a in range(self.n)]
        self._cut: set[tuple[ReplicaId, ReplicaId]] = set()
        self._loss = 0
        self._duplicate = 0
        self._slow = [0] * self.n
        self._timestamps = [0] * self.n
        self._checked = 0

    # ---- running --------------------------------------------------------------------------------

    def schedule(self, action: Action) -> None:
        """Do something at its time."""
        self._push(action.time_us, -1, action)

    def run(
        self,
        until_us: int,
        done: Callable[[], bool] | None = None,
        most_messages: int = 10**9,
    ) -> None:
        """Deliver everything up to a time, or until ``done`` (asked after every decision)."""
        heap, cores = self._heap, self.cores
        decided = -1
        last = self.delivered + most_messages
        while heap and heap[0][0] <= until_us and not self.observer.violations:
            if self.delivered > last:
                return
            self.now_us, count, replica, event = heapq.heappop(heap)
            if replica < 0:
                self._act(event)
            elif isinstance(event, TimerFired):
                timers = self._timers[replica]
                if timers.get(event.timer) == count:
                    del timers[event.timer]
                    self._perform(replica, cores[replica].step(event, self.now_us))
            elif replica not in self.down:
                self.delivered += 1
                self._perform(replica, cores[replica].step(event, self.now_us))
            if done is not None and (len(heap) == 0 or decided != self._checked):
                decided = self._checked
                if done():
                    return

    def _push(self, time_us: int, replica: ReplicaId, event: Input[Any] | Action) -> int:
        self._count += 1
        heapq.heappush(self._heap, (time_us, self._count, replica, event))
        return self._count

    def _feed(self, replica: ReplicaId, event: Input[Any]) -> None:
        self._perform(replica, self.cores[replica].step(event, self.now_us))

    # ---- effects --------------------------------------------------------------------------------

    def _perform(self, replica: ReplicaId, effects: Sequence[Effect[Any]]) -> None:
        honest = replica in self.observer.honest
        after: list[Input[Any]] = []
        for effect in effects:
            match effect:
                case Broadcast(message):
                    others = [to for to in range(self.n) if to != replica]
                    self._transmit(replica, others, message, honest)
                case Send(to, message):
                    self._transmit(replica, [to] if 0 <= to < self.n else [], message, honest)
                case SetTimer(timer, delay_us):
                    count = self._push(self.now_us + delay_us, replica, TimerFired(timer))
                    self._timers[replica][timer] = count
                case CancelTimer(timer):
                    self._timers[replica].pop(timer, None)
                case Decide():
                    after.append(self._decide(replica, effect, honest))
                case Load(first, last, token):
                    stretch = tuple(self.journals[replica][first - 1 : last])
                    after.append(Loaded(first, stretch, token))
                case Report():
                    self._report(replica, effect, honest)
        for event in after:
            self._feed(replica, event)

    def _transmit(
        self,
        replica: ReplicaId,
        receivers: Sequence[ReplicaId],
        message: Any,
        honest: bool,
    ) -> None:
        if honest:
            self.observer.on_send(replica, message, self.now_us)
        for to in receivers:
            self._post(replica, to, message)

    def _report(self, replica: ReplicaId, report: Report, honest: bool) -> None:
        self.reports[report.what] += 1
        if honest:
            self.observer.on_report(replica, report, self.now_us)

    def _decide(self, replica: ReplicaId, decision: Decide, honest: bool) -> Executed:
        self._checked += 1
        self.journals[replica].append(decision.batch)
        state = tagged_hash(Tag.STATE, self._states[replica], decision.batch.digest)
        self._states[replica] = state
        for request in decision.batch.requests:
            if request.client == replica:
                self.pending[replica].pop(request.key, None)
        if honest:
            self.observer.on_decide(replica, decision, self.now_us)
            self.observer.on_executed(replica, decision.seq, state, self.now_us)
            if self._checked % 16 == 0:
                self.observer.on_footprint(replica, self.cores[replica], self.now_us)
        return Executed(decision.seq, state)

    def _post(self, src: ReplicaId, dst: ReplicaId, message: Any) -> None:
        self.sent[message.kind] += 1
        draw = self._links[src][dst]
        bits = draw.next()
        if (src, dst) in self._cut or (self._loss and bits % 1000 < self._loss):
            return
        delay_us = self.base_delay_us + (bits >> 10) % (self.spread_us + 1) + self._slow[src]
        event = Receive(src, message)
        self._push(self.now_us + delay_us, dst, event)
        if self._duplicate and (bits >> 40) % 1000 < self._duplicate:
            again_us = delay_us + draw.below(4 * self.spread_us + 1)
            self._push(self.now_us + again_us, dst, event)

    # ---- faults ---------------------------------------------------------------------------------

    def _act(self, action: Action) -> None:
        match action.what:
            case "propose":
                self._propose(action.replica)
            case "crash":
                self._crash(action.replica, action.value == 1)
            case "restart":
                self._restart(action.replica)
            case "cut":
                self._isolate(action.group, action.value == 1)
            case "heal":
                self._cut.clear()
            case "loss":
                self._loss = action.value
            case "duplicate":
                self._duplicate = action.value
            case "spread":
                self.spread_us = action.value
            case "slow":
                self._slow[action.replica] = action.value
            case _:
                raise ValueError(f"unknown action {action.what!r}")

    def _isolate(self, group: tuple[ReplicaId, ...], one_way: bool) -> None:
        for a in group:
            for b in range(self.n):
                if b not in group:
                    self._cut.add((a, b))
                    if not one_way:
                        self._cut.add((b, a))

    def _propose(self, replica: ReplicaId) -> None:
        self._timestamps[replica] += 1
        stamp = self._timestamps[replica]
        request = Request(replica, stamp, b"%d/%d" % (replica, stamp))
        self.observer.on_submit(request)
        self.pending[replica][(replica, stamp)] = request
        if replica not in self.down:
            self._feed(replica, Propose(request))

    def _crash(self, replica: ReplicaId, forgets: bool) -> None:
        if replica in self.down:
            return
        self.down.add(replica)
        self._timers[replica].clear()
        core = self.cores[replica]
        if forgets and isinstance(core, Restorable):
            self._saved[replica] = core.durable()

    def _restart(self, replica: ReplicaId) -> None:
        if replica not in self.down:
            return
        self.down.discard(replica)
        if replica in self._saved:
            core = self._rebuild(replica)
            assert isinstance(core, Restorable)
            core.restore(self._saved.pop(replica))
            self.cores[replica] = core
        self._feed(replica, Restarted())
        # A client whose replica has lost its memory asks again (§4.1); exactly-once sorts it out.
        for request in list(self.pending[replica].values()):
            self._feed(replica, Propose(request))

    def heal_all(self) -> None:
        """End of the asynchronous phase: links are whole, and everybody is up."""
        self._cut.clear()
        self._loss = self._duplicate = 0
        self._slow = [0] * self.n
        for replica in sorted(self.down):
            self._restart(replica)

    # ---- looking at it --------------------------------------------------------------------------

    def honest_core(self, replica: ReplicaId) -> Replica[Any]:
        """The core behind any behaviours."""
        core = self.cores[replica]
        return core.core if isinstance(core, Byzantine) else core

    def waiting_report(self) -> str:
        """Who waits for what: for runs that stop."""
        lines: list[str] = []
        for i in sorted(self.observer.honest):
            core = self.honest_core(i)
            open_requests = ", ".join(f"{c}/{t}" for c, t in list(self.pending[i])[:4])
            lines.append(
                f"replica {i}: decided {self.observer.decided[i]}, leader {core.leader}, "
                f"view {getattr(core, 'view', '?')}, active {getattr(core, 'active', '?')}, "
                f"own requests open: {open_requests or 'none'}"
            )
        return "; ".join(lines)
