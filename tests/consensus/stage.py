"""A whole group under the observer, with taps on its links: for scenarios.

An `Arena` whose links a test may hold, delay or listen to, message by message.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from simulation.base.ids import ReplicaId
from simulation.consensus.arena import Action, Arena
from simulation.consensus.byzantine import Behaviour, Byzantine
from simulation.consensus.protocol import Batch, Propose, Receive, Replica, Report, Request
from simulation.consensus.subjects import SUBJECTS

MS = 1_000


class Sent(NamedTuple):
    """One message on one link."""

    time_us: int
    src: ReplicaId
    dst: ReplicaId
    message: Any


class Heard(NamedTuple):
    """One report of one replica."""

    time_us: int
    replica: ReplicaId
    what: str
    view: int
    detail: str


Tap = Callable[[ReplicaId, ReplicaId, Any], "int | None"]
"""(source, destination, message) -> extra delay in µs, or None to lose it."""


def open_links(src: ReplicaId, dst: ReplicaId, message: Any) -> int | None:
    return 0


class Stage(Arena):
    """n replicas of one protocol, some of which may lie, from time 0."""

    def __init__(
        self,
        params: Any,
        n: int = 4,
        liars: Mapping[ReplicaId, Sequence[str | Behaviour]] | None = None,
        outsiders: Sequence[ReplicaId] = (),
        seed: int = 1,
        spread_us: int = 2 * MS,
    ) -> None:
        self.params = params
        subject = SUBJECTS[params.kind]
        build = subject.build
        lies = dict(liars or {})
        honest = frozenset(range(n)) - set(lies) - set(outsiders)
        cores: list[Any] = [build(i, n, params) for i in range(n)]
        for i, how in lies.items():
            behaviours = [subject.attacks[b] if isinstance(b, str) else b for b in how]
            cores[i] = Byzantine(cores[i], n, behaviours, seed)
        observer = subject.observe(n, honest, params)
        super().__init__(cores, lambda r: build(r, n, params), observer, seed, 1 * MS, spread_us)
        self.honest = sorted(honest)
        self.tap: Tap = open_links
        self.wire: list[Sent] = []
        self.heard: list[Heard] = []
        self._last_action_us = 0

    # ---- what happens ---------------------------------------------------------------------------

    def at(self, time_ms: float, what: str, replica: int = -1, value: int = 0, *group: int) -> None:
        """Schedule an action."""
        self.schedule(Action(int(time_ms * MS), what, replica, value, group))

    def schedule(self, action: Action) -> None:
        super().schedule(action)
        self._last_action_us = max(self._last_action_us, action.time_us)

    def request(self, replica: int, at_ms: float | None = None) -> None:
        """Let a replica's client propose its next request."""
        self.at(self.now_us / MS if at_ms is None else at_ms, "propose", replica)

    def hand(self, dst: int, sender: int, message: Any) -> None:
        """Let a replica receive a message right now, also from outside the group."""
        self._feed(dst, Receive(sender, message))

    def submit(self, replica: int, wanted: Request) -> None:
        """Let a replica's client propose this very request now."""
        self.observer.on_submit(wanted)
        self._feed(replica, Propose(wanted))

    def until(self, time_ms: float) -> None:
        """Run up to a time."""
        self.run(int(time_ms * MS))
        self.now_us = max(self.now_us, int(time_ms * MS))

    def erase(self, replica: int, core: Replica[Any], height: int = 0) -> None:
        """Put another core in a replica's place, with a journal cut back to a height."""
        self.cores[replica] = core
        self.journals[replica] = self.journals[replica][:height]
        self._states[replica] = bytes(32)

    def _post(self, src: ReplicaId, dst: ReplicaId, message: Any) -> None:
        self.wire.append(Sent(self.now_us, src, dst, message))
        extra_us = self.tap(src, dst, message)
        if extra_us is not None:
            self._slow[src] += extra_us
            super()._post(src, dst, message)
            self._slow[src] -= extra_us

    def _report(self, replica: ReplicaId, report: Report, honest: bool) -> None:
        super()._report(replica, report, honest)
        if honest:
            self.heard.append(Heard(self.now_us, replica, report.what, report.view, report.detail))

    # ---- what can be seen -----------------------------------------------------------------------

    def core(self, replica: int) -> Any:
        """The honest core of a replica, liar or not."""
        return self.honest_core(replica)

    @property
    def views(self) -> list[int]:
        """The view of every honest replica."""
        return [self.core(i).view for i in self.honest]

    @property
    def heights(self) -> list[int]:
        """How much every honest replica has decided."""
        return [len(self.journals[i]) for i in self.honest]

    def on_wire(self, kind: str, src: int | None = None) -> list[Sent]:
        """All messages of a kind, also those that were lost."""
        return [s for s in self.wire if s.message.kind == kind and src in (None, s.src)]

    def reported(self, what: str) -> list[Heard]:
        """All reports of a kind by honest replicas."""
        return [h for h in self.heard if h.what == what]

    def orders(self, replica: int) -> list[tuple[int, int]]:
        """The requests that a replica has executed, in order."""
        return [(r.client, r.timestamp) for b in self.journals[replica] for r in b.requests]

    def decided_at(self, seq: int) -> Batch:
        """What the honest replicas have decided there."""
        return self.observer.chosen[seq][1]

    def is_done(self) -> bool:
        """Everything asked for by honest clients is executed everywhere, and all logs are equal."""
        wanted = {key for key in self.observer.submitted if key[0] not in self._liars()}
        executed = self.observer.executed
        return len(set(self.heights)) == 1 and all(wanted <= executed[i] for i in self.honest)

    def _liars(self) -> set[int]:
        return {i for i in range(self.n) if isinstance(self.cores[i], Byzantine)}

    def finish(self, within_ms: float = 20_000) -> None:
        """Go on until everything asked for is executed everywhere, within a bound."""
        self.run(self._last_action_us)
        self.now_us = max(self.now_us, self._last_action_us)
        if not self.is_done():
            self.run(self.now_us + int(within_ms * MS), self.is_done)
        assert self.is_done(), self.waiting_report()
        self.check()

    def check(self) -> None:
        """No property was violated; what each executed is a prefix of what others did, once."""
        assert [str(v) for v in self.observer.violations] == []
        orders = sorted((self.orders(i) for i in self.honest), key=len)
        for shorter in orders:
            assert shorter == orders[-1][: len(shorter)]
            assert len(set(shorter)) == len(shorter)
