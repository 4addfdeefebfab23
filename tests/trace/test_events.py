"""Every event type: one JSON line, and no field that a line could not hold."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from typing import Any, get_type_hints

import pytest

from simulation.trace import events
from simulation.trace.events import EVENTS, Event
from simulation.trace.recorder import event_line, event_row

EVENT_TYPES = [
    kind
    for kind in vars(events).values()
    if isinstance(kind, type) and issubclass(kind, Event) and kind is not Event
]
EXAMPLES: dict[type, Any] = {int: 7, str: "x", bool: True, float: 0.1}


def example(kind: type[Event]) -> Event:
    """An event with a value of the declared type in every field."""
    hints = get_type_hints(kind)
    return kind(**{field.name: EXAMPLES[hints[field.name]] for field in fields(kind)})


def test_the_list_of_event_types_is_not_empty() -> None:
    """The tests below are about all of the types that the module defines."""
    assert len(EVENT_TYPES) >= 15
    assert all(is_dataclass(kind) for kind in EVENT_TYPES)


def test_every_type_has_a_name_of_its_own() -> None:
    """A line says what happened by its ``event``: two types may not share one."""
    names = [kind.event for kind in EVENT_TYPES]
    assert len(set(names)) == len(names)
    assert all(name == name.lower() and name.isidentifier() for name in names)


@pytest.mark.parametrize("kind", EVENT_TYPES, ids=lambda kind: kind.__name__)
def test_every_field_is_a_plain_value(kind: type[Event]) -> None:
    """Every event is a frozen dataclass of integers, strings, booleans and floats."""
    hints = get_type_hints(kind)
    assert {hints[field.name] for field in fields(kind)} <= set(EXAMPLES)
    with pytest.raises((AttributeError, TypeError)):
        example(kind).t_us = 8  # type: ignore[misc]


@pytest.mark.parametrize("kind", EVENT_TYPES, ids=lambda kind: kind.__name__)
def test_every_type_has_one_json_line(kind: type[Event]) -> None:
    """Its type under ``event``, fields in their declared order, and the values come back."""
    event = example(kind)
    line = event_line(event)
    assert "\n" not in line
    row = json.loads(line)
    assert list(row) == ["event", *(field.name for field in fields(kind))]
    assert row == event_row(event)
    assert kind(**{name: value for name, value in row.items() if name != "event"}) == event


def test_every_event_can_be_found_by_its_name() -> None:
    """A trace is read again, by an audit, with the types that wrote it."""
    assert sorted(EVENTS.values(), key=str) == sorted(EVENT_TYPES, key=str)
    assert all(EVENTS[kind.event] is kind for kind in EVENT_TYPES)
