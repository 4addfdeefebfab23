"""What is on its way to one node, in order of arrival, and the downlink that it comes in by.

Arrival times are known when a message is sent, and a downlink takes one message after the other in
order of arrival. So an arrival needs no event of its own: whoever reads an inbox takes the next
message from it when it has time, and arms one alarm for the moment at which it is done with it.

Of two messages that arrive together, the one that was sent first comes first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from simulation.network.clock import Alarm, Clock
from simulation.network.parcel import Parcel

NS_PER_US = 1_000
ALMOST_US_NS = NS_PER_US - 1
"""Added before a division by `NS_PER_US`, so that it rounds up."""
NEVER_US: Final = 1 << 62
"""Later than anything happens."""

Arrival = tuple[int, int, Parcel]
"""When the first bit arrives (µs), the number of its sending, and what arrives."""


def _ignore(at_us: int) -> None:
    """The stir of an inbox that nobody reads."""
    del at_us


def idle() -> None:
    """The rewind of a reader that takes nothing early."""


class Inbox:
    """The messages under way to one node.

    Senders append to ``coming`` and lower ``soonest_us``; whenever it falls, they call ``stir``
    with it, so that a reader who waits for a later message takes this one first.
    """

    __slots__ = ("coming", "current", "free_ns", "queue", "rewind", "soonest_us", "stir")

    def __init__(self) -> None:
        self.coming: list[Arrival] = []
        """Sent since the queue was last put in order."""
        self.soonest_us = NEVER_US
        """The first arrival in ``coming``."""
        self.queue: list[Arrival] = []
        """In order of arrival, the next one last. Entries of ``coming`` join it only when one of
        them is next, so that hundreds are sorted at once."""
        self.current: Arrival | None = None
        """What the reader has taken and not finished."""
        self.free_ns = 0
        """When the downlink has carried all that was taken."""
        self.stir: Callable[[int], None] = _ignore
        self.rewind: Callable[[], None] = idle
        """Has the reader put back what it took before its time; call it before counting."""

    def put(self, arrival: Arrival) -> None:
        """Add one message; for whole broadcasts see `Network`."""
        self.coming.append(arrival)
        if arrival[0] < self.soonest_us:
            self.soonest_us = arrival[0]
            self.stir(arrival[0])

    def merge(self) -> None:
        """Put what has come in its place in the queue."""
        queue = self.queue
        queue += self.coming
        queue.sort(reverse=True)
        self.coming.clear()
        self.soonest_us = NEVER_US

    def next(self) -> Arrival | None:
        """The next message, which stays where it is; None when none is under way."""
        queue = self.queue
        if self.soonest_us <= (queue[-1][0] if queue else NEVER_US) and self.coming:
            self.merge()
        return queue[-1] if queue else None

    def ready_ns(self, arrival: Arrival) -> int:
        """When the last bit of the next message is in, if nothing overtakes it."""
        at_ns, wire_ns = arrival[0] * NS_PER_US, arrival[2].wire_ns
        return max(self.free_ns, at_ns) + wire_ns if wire_ns else at_ns

    def pass_by(self, now_us: int) -> None:
        """Forget what arrived before ``now_us``."""
        self.merge()
        while self.queue and self.queue[-1][0] < now_us:
            self.queue.pop()

    def under_way(self, now_us: int) -> list[Parcel]:
        """What has not arrived before ``now_us``, in no particular order."""
        entries = [*self.coming, *self.queue]
        if self.current is not None:
            entries.append(self.current)
        return [parcel for at_us, _, parcel in entries if at_us >= now_us]


class Reader:
    """Hands over one message after the other, each when its last bit is in.

    Args:
        env: the clock.
        inbox: what it reads.
        take: called with each message.
        downlink: whether messages queue for the downlink; else they are handed over on arrival.
    """

    def __init__(
        self, env: Clock, inbox: Inbox, take: Callable[[Parcel], object], downlink: bool = True
    ) -> None:
        self._env = env
        self._inbox = inbox
        self._take = take
        self._downlink = downlink
        self._alarm = Alarm(env, self._ring)
        self._due_us = -1
        inbox.stir = self.stir
        self.stir(0)

    def stir(self, at_us: int) -> None:
        """Wait for the next message, which may come before the one waited for so far."""
        del at_us
        arrival = self._inbox.next()
        if arrival is None:
            return
        due_us = arrival[0]
        if self._downlink:
            due_us = -(-self._inbox.ready_ns(arrival) // NS_PER_US)
        if due_us != self._due_us:
            self._due_us = due_us
            self._alarm.arm(due_us)

    def _ring(self) -> None:
        inbox = self._inbox
        if self._due_us != self._env.now or inbox.stir != self.stir:
            return  # the message has been overtaken, or somebody else reads now
        self._due_us = -1
        arrival = inbox.next()
        assert arrival is not None
        inbox.queue.pop()
        if self._downlink and arrival[2].wire_ns:
            inbox.free_ns = inbox.ready_ns(arrival)
        self._take(arrival[2])
        if inbox.stir == self.stir:
            self.stir(0)
