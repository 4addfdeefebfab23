"""Collects a run's events, digests them as they come, and hands them to whoever listens.

The digest is SHA-256 over the canonical JSON lines in order: two runs are the same run exactly when
their digests are equal.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import fields
from functools import cache
from json.encoder import encode_basestring_ascii

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
        parts = [head + _json(getattr(event, name)) for head, name in _heads(event.__class__)]
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{event.event}: cannot be written to the trace: {error}: {event}"
        ) from error
    return "".join(parts) + "}"


@cache
def _heads(kind: type[Event]) -> tuple[tuple[str, str], ...]:
    """What a line of this kind has before each field, and the field's name."""
    before = [f'{{"event":{json.dumps(kind.event)},', *([","] * len(fields(kind)))]
    names = [field.name for field in fields(kind)]
    return tuple((f'{lead}"{name}":', name) for lead, name in zip(before, names, strict=False))


def _json(value: object) -> str:
    # Whole numbers and text are nearly all that there is; asking for an encoder each time costs
    # more than the encoding.
    if value.__class__ is int:
        return int.__repr__(value)  # pyright: ignore[reportArgumentType]: it is one
    if value.__class__ is str:
        return encode_basestring_ascii(value)  # pyright: ignore[reportArgumentType]: it is text
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


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
