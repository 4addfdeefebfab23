"""Compares the accepted updates of every round, where the configuration asks for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from simulation.base.ids import NodeId
from simulation.base.tensors import read_model
from simulation.learning.screening import ScreeningParams, UpdateScreening, screen
from simulation.network.clock import Clock
from simulation.nodes.coordinator import Screen
from simulation.nodes.messages import Reply
from simulation.trace.events import Event, Suspected


def screening(
    params: ScreeningParams, clock: Clock, record: Callable[[Event], None]
) -> Screen | None:
    """What a coordinator shows its accepted updates to; like measuring, it takes no virtual time.

    Updates with other tensors than the base model (of foreign apps) are left out.
    """
    if not isinstance(params, UpdateScreening):
        return None

    def compare(number: int, base: bytes, replies: Mapping[NodeId, Reply]) -> None:
        start = read_model(base)
        shapes = {name: array.shape for name, array in start.items()}
        updates = {h: read_model(reply.model) for h, reply in replies.items()}
        alike = {
            h: arrays
            for h, arrays in updates.items()
            if {name: array.shape for name, array in arrays.items()} == shapes
        }
        for found in screen(params, start, alike):
            record(Suspected(clock.now, number, found.hospital, found.test, found.score))

    return compare
