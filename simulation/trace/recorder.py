"""Collects a run's events, digests them as they come, and hands them to whoever listens.

The digest is SHA-256 over the canonical JSON lines in order: two runs are the same run exactly when
their digests are equal.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import fields

from simulation.trace.events import Event

Listener = Callable[[Event], None]


def event_row(event: Event) -> dict[str, object]:
    """The event as a flat mapping, its type under ``event``, fields in their declared order."""
    row: dict[str, object] = {"event": event.event}
    for field in fields(event):
        row[field.name] = getattr(event, field.name)
    return row


def event_line(event: Event) -> str:
    """The event's one JSON line. Floats are written with ``repr``, which is exact.

    Raises:
        ValueError: when a field holds NaN, infinity or anything but a plain number, string or
            boolean (a NumPy integer, say); the message names the event.
    """
    try:
        return json.dumps(event_row(event), separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{event.event}: cannot be written to the trace: {error}: {event}"
        ) from error


class Recorder:
    """The trace of one run."""

    def __init__(self, listeners: Iterable[Listener] = ()) -> None:
        self.events: list[Event] = []
        self._state = hashlib.sha256()
        self._listeners = tuple(listeners)

    def record(self, event: Event) -> None:
        """Append one event."""
        line = event_line(event)  # first, so that a bad event is in neither the list nor the digest
        self.events.append(event)
        self._state.update(line.encode() + b"\n")
        for listener in self._listeners:
            listener(event)

    @property
    def digest(self) -> str:
        """Hexadecimal SHA-256 of the trace so far."""
        return self._state.hexdigest()
