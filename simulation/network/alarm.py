"""One SimPy event that is armed again and again, instead of a process or an event per message.

A simulation delivers millions of messages; a process for each costs four to five times as much as a
callback, and a fresh event for each fills the heap. Whoever needs a wake-up holds one alarm.
"""

from __future__ import annotations

from collections.abc import Callable

import simpy

from simulation.network.clock import Clock


class Alarm(simpy.Event):
    """Calls ``ring`` every time it goes off; armed by `arm`, at most once at a time."""

    def __init__(self, env: Clock, ring: Callable[[simpy.Event], None]) -> None:
        super().__init__(env)
        self._ok = True
        self._value = None
        # SimPy takes the list away when the event goes off; the same list is handed back each time.
        self._rings = [ring]
        self._clock = env

    def arm(self, at_us: int) -> None:
        """Go off at virtual time ``at_us``, now or later."""
        self.callbacks = self._rings
        clock = self._clock
        clock.schedule(self, delay=at_us - clock.now)

    def disarm(self) -> None:
        """Never go off again; the alarm cannot be used any more."""
        self._rings.clear()
