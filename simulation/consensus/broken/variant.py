"""What a broken variant is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from simulation.consensus.protocol import Replica


@dataclass(frozen=True)
class Broken:
    """A replica with one rule removed, and the properties that may catch it first."""

    build: type[Replica[Any]]
    """Called as ``build(replica, n, params)``."""
    caught_by: tuple[str, ...]

    @property
    def flaw(self) -> str:
        """What is wrong with it."""
        return (self.build.__doc__ or "").strip()
