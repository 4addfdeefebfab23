"""The message that all protocols share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from simulation.consensus.protocol import Request


@dataclass(frozen=True, slots=True)
class RequestMessage:
    """A client's request on its way to whoever may propose it."""

    kind: ClassVar[str] = "request"
    verifications = 1

    request: Request

    @property
    def size_bytes(self) -> int:
        """The request with its framing."""
        return self.request.size_bytes

    @property
    def hashed_bytes(self) -> int:
        """The payload: the client's signature is over its hash."""
        return len(self.request.payload)
