"""What travels: a message with its sender, made once per broadcast and shared by all its copies."""

from __future__ import annotations

from dataclasses import dataclass

from simulation.base.ids import NodeId
from simulation.consensus.protocol import Message, Receive

UNKNOWN_US = -1
"""In `Parcel.check_us`: nobody has worked it out yet."""


class Parcel:
    """A message on its way. Everything that is the same for every receiver is computed once."""

    __slots__ = (
        "_received",
        "check_us",
        "counted",
        "message",
        "sender",
        "size_bytes",
        "wire_ns",
    )

    def __init__(self, sender: NodeId, message: Message) -> None:
        self.sender = sender
        self.message = message
        self.size_bytes = message.size_bytes
        self.counted = True
        """False for what a node sends to itself, which touches no cable."""
        self.wire_ns = 0
        """Time that one copy occupies a downlink, in nanoseconds; 0 on an unlimited one."""
        self.check_us = UNKNOWN_US
        """Processor time to check the message, filled in by the first receiver: all nodes of a
        network have the same cost model (a slow node multiplies it on its own account)."""
        self._received: Receive[Message] | None = None

    @property
    def received(self) -> Receive[Message]:
        """The input that a consensus core gets: immutable, so that all receivers share it."""
        if self._received is None:
            self._received = Receive(self.sender, self.message)
        return self._received


@dataclass(slots=True)
class Count:
    """How many messages of one kind, and their bytes."""

    messages: int = 0
    bytes: int = 0

    def add(self, messages: int, size_bytes: int) -> None:
        """Count ``messages`` copies of a message of ``size_bytes``."""
        self.messages += messages
        self.bytes += messages * size_bytes
