"""A message of any size, a network, and a list of what arrived where and when."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

import pytest

from simulation.base.rng import Streams
from simulation.network.clock import Clock
from simulation.network.network import Network
from simulation.network.params import NetworkParams


@dataclass(frozen=True)
class Note:
    """The simplest message."""

    kind: ClassVar[str] = "note"
    label: str = ""
    size_bytes: int = 1000
    verifications: int = 0
    hashed_bytes: int = 0


@dataclass
class Wire:
    """A network whose every node writes down what it receives."""

    clock: Clock
    network: Network
    arrived: list[tuple[int, int, int, str]] = field(default_factory=list)
    """(time, receiver, sender, label)"""

    def run(self) -> list[tuple[int, int, int, str]]:
        self.clock.run()
        return self.arrived


@pytest.fixture
def note() -> type[Note]:
    return Note


@pytest.fixture
def wire() -> Callable[..., Wire]:
    def build(nodes: int = 4, seed: int = 1, **params) -> Wire:
        clock = Clock()
        network = Network(clock, nodes, NetworkParams(**params), Streams(seed))
        made = Wire(clock, network)
        for node in range(nodes):

            def receive(sender, message, node=node):
                made.arrived.append((clock.now, node, sender, message.label))

            network.attach(node, receive)
        return made

    return build
