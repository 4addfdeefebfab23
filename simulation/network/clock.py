"""The virtual clock of a run: SimPy's environment in whole microseconds, and alarms that re-arm.

A simulation delivers millions of messages. A process for each costs four to five times as much as a
callback, and a fresh event for each fills the heap, so whoever needs wake-ups holds one `Alarm`.
SimPy's own loop calls several methods for every event; here the same steps stand in one loop.
Events, processes and their order are SimPy's, unchanged: time, then priority, then first in, first
out. Only a `Clock` knows alarms.
"""

# The loop and the alarms use the fields behind SimPy's properties, as SimPy's own classes do.
# Time is an attribute where SimPy has a property, and an integer.
# pyright: reportPrivateUsage=false, reportIncompatibleMethodOverride=false
# mypy: disable-error-code="override"

from __future__ import annotations

import gc
from collections.abc import Callable, Generator
from contextlib import contextmanager
from heapq import heappop, heappush, heappushpop
from typing import Any, cast

import simpy
from simpy.core import EmptySchedule, StopSimulation
from simpy.events import NORMAL, URGENT, EventPriority

NEW_OBJECTS = 20_000
"""New objects after which a run has Python look for cycles among them; its own default is 700."""


@contextmanager
def _few_collections() -> Generator[None]:
    """Look for cycles of dead objects less often.

    Messages and votes are freed when nothing refers to them any more, after some milliseconds or
    at the next checkpoint; at Python's default, each is looked at two or three times until then.
    """
    before, *older = gc.get_threshold()
    if before:  # 0: whoever runs us wants none at all
        gc.set_threshold(max(before, NEW_OBJECTS), *older)
    try:
        yield
    finally:
        gc.set_threshold(before, *older)


class Alarm(simpy.Event):
    """An event that goes off again and again, and calls ``ring`` each time.

    A ring that returns a time, later than now, has armed the alarm again for then.
    """

    def __init__(self, env: Clock, ring: Callable[[], int | None]) -> None:
        super().__init__(env)
        self.ring = ring
        self._ok = True
        self._value = None
        self._queue = env._queue
        self._ids = env._eid

    def arm(self, at_us: int) -> None:
        """Go off at virtual time ``at_us``, now or later, and at all other times armed for."""
        heappush(self._queue, (at_us, NORMAL, next(self._ids), self))

    def disarm(self) -> None:
        """Never go off again; the alarm cannot be used any more."""
        self.ring = _nothing


def _nothing() -> None:
    """What a disarmed alarm does."""


class Clock(simpy.Environment):
    """A SimPy environment whose time is an integer number of microseconds from 0."""

    now: int = 0
    """Virtual time in µs: a plain attribute, because everything reads it all the time."""

    def schedule(
        self, event: simpy.Event, priority: EventPriority = NORMAL, delay: int = 0
    ) -> None:
        """Let an event happen ``delay`` µs from now."""
        heappush(self._queue, (self.now + delay, priority, next(self._eid), event))

    def step(self) -> None:
        """Process the next event.

        Raises:
            EmptySchedule: when there is none.
        """
        if not self._queue:
            raise EmptySchedule
        time_us, _, _, event = heappop(self._queue)
        self.now = cast("int", time_us)
        if isinstance(event, Alarm):
            again_us = event.ring()
            if again_us is not None:
                event.arm(again_us)
        else:
            self._happen(event)

    def run(self, until: simpy.Event | int | None = None) -> Any:
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
        try:
            with _few_collections():
                self._run()
        except StopSimulation as reached:
            return reached.args[0]
        if stop is not None:
            raise RuntimeError(f"nothing left to happen, and {stop} has not happened")
        return None

    def _run(self) -> None:
        queue: list[Any] = self._queue
        ids = self._eid
        while queue:
            self.now, _, _, event = heappop(queue)
            while isinstance(event, Alarm):
                again_us = event.ring()
                if again_us is None:
                    break
                # Alarm.arm and the next heappop in one step, which costs little more than one.
                self.now, _, _, event = heappushpop(queue, (again_us, NORMAL, next(ids), event))
            else:
                self._happen(event)

    def _happen(self, event: simpy.Event) -> None:
        callbacks, event.callbacks = event.callbacks, cast("Any", None)
        for position, callback in enumerate(callbacks):
            try:
                callback(event)
            except StopSimulation:
                if rest := callbacks[position + 1 :]:  # theirs is the start of the next run
                    event.callbacks = rest
                    self.schedule(event, EventPriority(-1))
                raise
        if not event._ok and not hasattr(event, "_defused"):
            raise event._value

    def _stop_event(self, until: simpy.Event | int | None) -> simpy.Event | None:
        if until is None or isinstance(until, simpy.Event):
            return until
        if until <= self.now:
            raise ValueError(f"until: must be after the current time {self.now} µs, got {until}")
        stop = simpy.Event(self)
        stop._ok = True
        stop._value = None
        self.schedule(stop, URGENT, until - self.now)
        return stop
