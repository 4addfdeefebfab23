"""A node's processor: one job after the other, first in, first out.

Everything a node does is a job here: checking a received message and handling it, signing what it
sends, executing a batch. A handler runs when the checks of its message are done; the next job waits
until all that the handler charges is done too. So a message costs at most one event, however many
stations it passes: the processor takes the next one out of the inbox when it is free, and its alarm
rings when the checks of that one are done.

Most votes are only counted. Such messages cost no event at all: `Processor.look_ahead` lets the
processor take them before their time, as far ahead as nothing can overtake them. What must not have
happened yet is taken back (`Processor.rewind`) before anything else happens on the node, so that
results are the same as without.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Any

import simpy

from simulation.base.ids import NodeId
from simulation.network.clock import Alarm, Clock
from simulation.network.inbox import ALMOST_US_NS, NEVER_US, NS_PER_US, Arrival, Inbox
from simulation.network.parcel import Parcel
from simulation.nodes.costs import CryptoCosts

Job = tuple[int, int, Callable[[Any], object], Any]
"""When it may start (µs), how long it takes (µs), what to call when it is done, with what."""


_NOT_AHEAD = -1
"""Instead of a lookahead: take no message before its time."""

Absorb = Callable[[NodeId, Any], bool]
GiveBack = Callable[[NodeId, Any], None]


def _nothing_ahead(sender: NodeId, message: Any) -> bool:
    del sender, message
    return False


def _no_way_back(sender: NodeId, message: Any) -> None:
    del sender, message


class Processor:
    """The processor of one node, and the inbox that it reads.

    Args:
        env: the clock.
        node_id: the node's number.
        costs: what its jobs cost.
        farthest_us: how far ahead nothing overtakes what is in the inbox; only speed depends on it.
    """

    def __init__(self, env: Clock, node_id: NodeId, costs: CryptoCosts, farthest_us: int) -> None:
        self.env = env
        self.id = node_id
        self.costs = costs
        self.down = False
        """Whether the node has crashed and not come back."""
        self._handlers: dict[type, Callable[[Parcel], object]] = {}
        self._inbox = Inbox()
        self._slowness = 1.0
        self._busy_us = 0
        self._own: deque[Job] = deque()
        self._job: Job | Parcel | None = None
        """What the processor does: own work, or a message; None when idle."""
        self._serving = False
        """Whether the action of the current job is being called right now."""
        self._free_us = 0
        """When the current job is done, or the last one was."""
        # While the current job is a message that had to wait when it was taken up:
        self._at_us = NEVER_US
        """When it arrives: an earlier one goes first. Never if idle, else in the past."""
        self._ready_us = NEVER_US
        """When its last bit is in: until then, own work goes first. As above."""
        self._before: tuple[int, int, int] = (0, 0, 0)
        """How to take it back: its processor time; when processor and downlink were free."""
        self._absorb: Absorb = _nothing_ahead
        self._give_back: GiveBack = _no_way_back
        self._farthest_us = farthest_us
        self._lookahead_us = _NOT_AHEAD
        self._ahead: list[Arrival] = []
        """Messages taken before their time, after which the current job comes."""
        self._ahead_from: tuple[int, int, int] = (0, 0, 0)
        """Where they begin: processor time used; when processor and downlink were free."""
        self._alarm = Alarm(env, self._ring)

    # ---- for whoever lives on the node --------------------------------------------------------

    def look_ahead(self, absorb: Absorb | None, give_back: GiveBack | None) -> None:
        """Take messages early that ``absorb`` takes, and hand back to ``give_back`` what was early.

        See `simulation.consensus.protocol.Absorbing` for the two; None for neither.
        """
        self.rewind()
        self._absorb = absorb or _nothing_ahead
        self._give_back = give_back or _no_way_back
        self._lookahead_us = self._farthest_us if absorb else _NOT_AHEAD

    @property
    def busy_us(self) -> int:
        """Processor time used so far, in µs; a job that has begun counts as a whole."""
        self.rewind()
        took_us = self._before[0]
        waits = self._inbox.current is not None and self._free_us - took_us >= self.env.now
        return self._busy_us - took_us if waits else self._busy_us

    @property
    def slowness(self) -> float:
        """By what factor checking received messages takes longer than the costs say."""
        return self._slowness

    @slowness.setter
    def slowness(self, factor: float) -> None:
        self.rewind()
        self._slowness = factor

    def charge(self, duration_us: int) -> None:
        """Lengthen the job that is running now; what is sent afterwards leaves later.

        Raises:
            RuntimeError: outside of a job; use `run` or `compute` there.
        """
        if not self._serving:
            raise RuntimeError("charge() needs a running job; use run() or compute() instead")
        self._free_us += duration_us
        self._busy_us += duration_us

    def run(
        self, duration_us: int, action: Callable[[Any], object], argument: object = None
    ) -> None:
        """Queue a job: ``action(argument)`` is called when its processor time has passed.

        A node that is down forgets it.
        """
        if self.down:
            return
        self.rewind()
        now_us = self.env.now
        job: Job = (now_us, duration_us, action, argument)
        if self._serving or self._ready_us <= now_us:
            self._own.append(job)
            return
        # The processor is idle or only waits for the last bit of a message: this job goes first.
        self._put_back()
        done_us = self._begin_own(job)
        again_us = done_us if done_us > now_us else self._ring()
        if again_us is not None:
            self._alarm.arm(again_us)

    def compute(self, duration_us: int) -> simpy.Event:
        """Queue work on the processor; the event fires when it is done."""
        event = self.env.event()
        self.run(duration_us, event.succeed)
        return event

    def halt(self) -> None:
        """Stop at once, and forget what waits."""
        self.rewind()
        self.down = True
        if self._ready_us > self.env.now:
            self._put_back()
        self._idle()
        self._own.clear()
        self._inbox = Inbox()  # an empty one

    def resume(self) -> None:
        """Run again after `halt`."""
        self.down = False
        self._free_us = self.env.now

    # ---- messages -----------------------------------------------------------------------------

    def read(self, inbox: Inbox) -> None:
        """Take messages out of this inbox from now on."""
        self._inbox = inbox
        self.stir(0)

    def stir(self, at_us: int) -> None:
        """A message arrives at ``at_us``, before all others that were sent lately."""
        if self._serving:
            return
        if self._ahead and at_us < self._ahead[-1][0]:
            self.rewind()
        if at_us < self._at_us:
            self._put_back()
            done_us = self._begin_message()
            if done_us is not None:
                self._alarm.arm(done_us)

    def _ring(self) -> int | None:
        """If the current job is done, call its action, then begin what waits.

        The waiting job that could start first is next; a message goes before own work of the same
        time.

        Returns:
            When the next job is done; None if nothing waits.
        """
        now_us = self.env.now
        if self._free_us != now_us or self._job is None:
            return None  # the alarm was for a job that another one has preceded
        while True:
            self._ahead.clear()  # what was early then is done now
            job = self._job
            self._serving = True
            if isinstance(job, tuple):
                job[2](job[3])
            elif not self._absorb(job.sender, job.message):  # else it has been counted, no more
                self._handlers.get(job.message.__class__, self._unexpected)(job)
            self._serving = False
            if not self._own:
                if self._lookahead_us >= 0:
                    self._take_early()
                done_us = self._begin_message()
            elif self._own_is_next():
                done_us = self._begin_own(self._own.popleft())
            else:
                done_us = self._begin_message()
            if done_us is None or done_us > now_us:
                return done_us

    def _unexpected(self, parcel: Parcel) -> None:
        """The handler of a message that nobody on this node expects.

        Raises:
            LookupError: always.
        """
        raise LookupError(
            f"node {self.id} has no handler for {type(parcel.message).__name__} "
            f"from node {parcel.sender}; register one with on()"
        )

    def _idle(self) -> None:
        self._job = self._inbox.current = None
        self._at_us = self._ready_us = NEVER_US

    def _own_is_next(self) -> bool:
        """Whether own work goes before the next message."""
        arrival = self._inbox.next()
        if arrival is None:
            return True
        return self._own[0][0] * NS_PER_US < self._inbox.ready_ns(arrival)

    def _begin_own(self, job: Job) -> int:
        """Make own work the current job; when it is done."""
        self._job = job
        self._inbox.current = None
        self._at_us = self._ready_us = -1
        self._busy_us += job[1]
        self._free_us = max(self._free_us, job[0]) + job[1]
        return self._free_us

    def _take_early(self) -> None:
        """Count the next messages that are done within the lookahead and need only be counted.

        The last one under way is never taken, so that the clock does not stop before its time.
        """
        inbox, until_us = self._inbox, self.env.now + self._lookahead_us
        if inbox.soonest_us <= until_us:
            inbox.merge()
        queue, absorb, slow = inbox.queue, self._absorb, self._slowness != 1.0
        if not queue:
            return
        busy_us, free_us, free_ns = before = (self._busy_us, self._free_us, inbox.free_ns)
        taken = 0
        # As in _begin_message, spelled out: every message passes here.
        for done_us, _, parcel in islice(reversed(queue), len(queue) - (not inbox.coming)):
            last_ns, wire_ns = free_ns, parcel.wire_ns
            if wire_ns:
                last_ns = done_us * NS_PER_US
                if last_ns < free_ns:  # noqa: PLR1730 (a call costs more than all the rest)
                    last_ns = free_ns
                last_ns += wire_ns
                done_us = (last_ns + ALMOST_US_NS) // NS_PER_US  # noqa: PLW2901
            if done_us < free_us:  # noqa: PLR1730
                done_us = free_us  # noqa: PLW2901
            check_us = parcel.check_us
            if check_us < 0 or slow:
                check_us = self._check_us(parcel)
            done_us += check_us  # noqa: PLW2901
            if done_us > until_us or not absorb(parcel.sender, parcel.message):
                break
            taken += 1
            busy_us += check_us
            free_us, free_ns = done_us, last_ns
        if taken:
            self._ahead_from = before
            self._ahead += queue[: -taken - 1 : -1]
            del queue[-taken:]
            self._busy_us, self._free_us, inbox.free_ns = busy_us, free_us, free_ns

    def _begin_message(self) -> int | None:
        """Make the next message the current job; when it is done. None when none is under way."""
        inbox, now_us = self._inbox, self.env.now
        arrival = inbox.next()
        if arrival is None:
            self._idle()
            return None
        inbox.queue.pop()
        at_us, _, parcel = arrival
        check_us = parcel.check_us
        if check_us < 0 or self._slowness != 1.0:
            check_us = self._check_us(parcel)
        free_us, last_ns, ready_us = self._free_us, inbox.free_ns, at_us
        before = (check_us, free_us, last_ns)
        if parcel.wire_ns:
            inbox.free_ns = last_ns = max(last_ns, at_us * NS_PER_US) + parcel.wire_ns
            ready_us = (last_ns + ALMOST_US_NS) // NS_PER_US
        self._busy_us += check_us
        self._free_us = done_us = max(ready_us, free_us) + check_us
        self._job = parcel
        if ready_us >= now_us or free_us > now_us or self._ahead:
            inbox.current = arrival
            self._at_us, self._ready_us, self._before = at_us, ready_us, before
        elif self._at_us >= 0:
            inbox.current = None
            self._at_us = self._ready_us = -1
        return done_us

    def _check_us(self, parcel: Parcel) -> int:
        """How long this node takes to check a message."""
        if parcel.check_us < 0:
            parcel.check_us = self.costs.receive_us(parcel.message)
        return round(parcel.check_us * self._slowness)

    def rewind(self) -> None:
        """Take back what was taken before its time and is not done yet: now it is as it should be.

        Whoever changes or reads a node's state between its jobs calls this first.
        """
        ahead, inbox, now_us = self._ahead, self._inbox, self.env.now
        if not ahead:
            return
        busy_us, free_us, free_ns = self._ahead_from
        done = 0
        for arrival in ahead:
            parcel, last_ns = arrival[2], free_ns
            ready_us = arrival[0]
            if parcel.wire_ns:
                last_ns = max(free_ns, ready_us * NS_PER_US) + parcel.wire_ns
                ready_us = (last_ns + ALMOST_US_NS) // NS_PER_US
            check_us = self._check_us(parcel)
            done_us = max(ready_us, free_us) + check_us
            if done_us >= now_us:
                break
            busy_us, free_us, free_ns = busy_us + check_us, done_us, last_ns
            done += 1
        else:
            ahead.clear()
            return
        self._put_back()
        while len(ahead) > done:
            arrival = ahead.pop()
            self._give_back(arrival[2].sender, arrival[2].message)
            inbox.queue.append(arrival)
        ahead.clear()
        self._busy_us, self._free_us, inbox.free_ns = busy_us, free_us, free_ns
        again_us = self._begin_message()
        assert again_us is not None
        self._alarm.arm(again_us)

    def _put_back(self) -> None:
        """Take back the message of the current job, which has not begun; nothing when idle."""
        inbox = self._inbox
        if inbox.current is not None:
            inbox.queue.append(inbox.current)
            inbox.current = None
            took_us, self._free_us, inbox.free_ns = self._before
            self._busy_us -= took_us
