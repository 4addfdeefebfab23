"""The virtual clock of a run: SimPy's environment, counting whole microseconds, with a lean loop.

SimPy's own loop calls a method for every event; here the same steps stand in one loop, because
every message of a simulation passes through it. Events, processes and their order are SimPy's,
unchanged: time, then priority, then first in, first out.
"""

# The loop reads the fields behind SimPy's properties, as SimPy's own loop does.
# pyright: reportPrivateUsage=false

from __future__ import annotations

from heapq import heappop
from typing import Any, cast

import simpy
from simpy.core import StopSimulation
from simpy.events import URGENT, EventPriority


class Clock(simpy.Environment):
    """A SimPy environment whose time is an integer number of microseconds from 0."""

    @property
    def now(self) -> int:
        """Virtual time in µs."""
        return cast("int", self._now)

    def run(self, until: simpy.Event | float | None = None) -> Any:
        """Process events until none is left, until a time, or until an event has happened.

        Returns:
            The event's value when ``until`` is one.

        Raises:
            ValueError: when ``until`` is a time that is not ahead.
            RuntimeError: when no events are left and the awaited one has not happened.
        """
        stop = self._stop_event(until)
        if stop is not None:
            if stop.processed:
                return stop.value
            stop.callbacks.append(StopSimulation.callback)
        queue = self._queue
        while queue:
            self._now, _, _, event = heappop(queue)
            callbacks, event.callbacks = event.callbacks, cast("Any", None)
            for position, callback in enumerate(callbacks):
                try:
                    callback(event)
                except StopSimulation as reached:
                    if rest := callbacks[position + 1 :]:  # theirs is the start of the next run
                        event.callbacks = rest
                        self.schedule(event, EventPriority(-1))
                    return reached.args[0]
            if not event._ok and not hasattr(event, "_defused"):
                raise event._value
        if stop is not None:
            raise RuntimeError(f"nothing left to happen, and {stop} has not happened")
        return None

    def _stop_event(self, until: simpy.Event | float | None) -> simpy.Event | None:
        if until is None or isinstance(until, simpy.Event):
            return until
        if until <= self._now:
            raise ValueError(f"until: must be after the current time {self._now} µs, got {until}")
        stop = simpy.Event(self)
        stop._ok = True
        stop._value = None
        self.schedule(stop, URGENT, until - self._now)
        return stop
