"""Named timers that can be cancelled a million times without leaving anything behind.

SimPy cannot take an event out of its heap. A protocol that sets a two-second timer for every
request and cancels it after twenty milliseconds would fill the heap with dead events, so a node
keeps its own small heap of deadlines and holds at most a few wake-ups in SimPy's.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapify, heappop, heappush

from simulation.consensus.protocol import TimerKey
from simulation.network.clock import Alarm, Clock

_SLACK = 32


class Timers:
    """The running timers of one owner.

    Args:
        fire: called with the name and a ticket when a timer runs out; the timer stays pending until
            `take` is called with both, so that a cancellation on the way still counts.
    """

    def __init__(self, env: Clock, fire: Callable[[TimerKey, int], None]) -> None:
        self._env = env
        self._fire = fire
        self._tickets = 0
        self._live: dict[TimerKey, int] = {}
        self._deadlines: list[tuple[int, int, TimerKey]] = []
        self._wakeups: list[int] = []

    def __len__(self) -> int:
        return len(self._live)

    def set(self, key: TimerKey, delay_us: int) -> None:
        """Start the timer ``key``, or start it anew."""
        self._tickets += 1
        self._live[key] = self._tickets
        deadline_us = self._env.now + delay_us
        heappush(self._deadlines, (deadline_us, self._tickets, key))
        self._wake_at(deadline_us)
        if len(self._deadlines) > 2 * len(self._live) + _SLACK:
            self._deadlines = [entry for entry in self._deadlines if self._is_live(entry)]
            heapify(self._deadlines)

    def cancel(self, key: TimerKey) -> None:
        """Stop the timer ``key`` if it is running."""
        self._live.pop(key, None)

    def clear(self) -> None:
        """Stop all timers."""
        self._live.clear()
        self._deadlines.clear()

    def take(self, key: TimerKey, ticket: int) -> bool:
        """Whether the timer that fired with this ticket still counts; it is over after this."""
        if self._live.get(key) != ticket:
            return False
        del self._live[key]
        return True

    def _is_live(self, entry: tuple[int, int, TimerKey]) -> bool:
        _, ticket, key = entry
        return self._live.get(key) == ticket

    def _wake_at(self, at_us: int) -> None:
        # Wake-ups are kept latest first, and a new one is made only before all others: as time
        # passes the list empties from its end, so it stays short.
        if not self._wakeups or at_us < self._wakeups[-1]:
            self._wakeups.append(at_us)
            Alarm(self._env, self._ring).arm(at_us)

    def _ring(self) -> None:
        self._wakeups.pop()
        now_us = self._env.now
        deadlines = self._deadlines
        while deadlines and (deadlines[0][0] <= now_us or not self._is_live(deadlines[0])):
            entry = heappop(deadlines)
            if self._is_live(entry):
                self._fire(entry[2], entry[1])
                deadlines = self._deadlines  # firing may have set timers and swept the heap
        if deadlines:
            self._wake_at(deadlines[0][0])
