"""The coins of an audit, committed to before training and revealed after it.

Whoever holds the commitment can check that the coins were not chosen to fit the outcome, and with
the scores of the canaries recompute the bound.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulation.base.digest import Digest, Tag, tagged_hash
from simulation.base.rng import Streams

SALT_BYTES = 32


@dataclass(frozen=True, eq=False)
class Coins:
    """One fair coin for each canary, and the salt that hides them in their commitment."""

    values: NDArray[np.bool_]
    """Which canaries are in, shape (m,)."""
    salt: bytes

    @property
    def packed(self) -> bytes:
        """Eight coins a byte, the first in the highest bit."""
        return np.packbits(self.values).tobytes()

    @property
    def commitment(self) -> Digest:
        """Binds to the coins and tells nothing about them: a tagged hash of salt, count, coins."""
        count = len(self.values).to_bytes(4, "big")
        return tagged_hash(Tag.AUDIT, self.salt, count, self.packed)


def toss(m: int, streams: Streams) -> Coins:
    """The coins of one audit of m canaries."""
    values = streams.stream("audit", "coins").random(m) < 0.5
    return Coins(values, streams.stream("audit", "salt").bytes(SALT_BYTES))


def reveal(packed: bytes, salt: bytes, m: int) -> Coins:
    """The coins that were revealed; their `commitment` is to be held against the one known."""
    bits = np.unpackbits(np.frombuffer(packed, dtype=np.uint8))[:m]
    return Coins(bits.astype(np.bool_), salt)
