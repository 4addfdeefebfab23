"""Named random streams: one seed, and for every name its own generator.

A stream depends on the seed and its name alone, not on how many others exist or in which order they
are asked for. So adding a hospital does not shift another hospital's draws, and two configurations
that differ in one part draw the same numbers in all others (common random numbers).
"""

from __future__ import annotations

import hashlib
import operator

import numpy as np


class Streams:
    """All random numbers of one run.

    Example: ``Streams(42).stream("network", 0, 3).normal()``
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def key(self, *name: str | int) -> bytes:
        """32 bytes that identify a stream: SHA-256 of the seed and the length-prefixed name.

        Raises:
            TypeError: for a part that is neither text nor a whole number.
        """
        state = hashlib.sha256(f"wardchain/v1/rng:{self.seed}".encode())
        for part in name:
            # The kind is written out so that 3 and "3" differ; NumPy's 3 and Python's are one name.
            text = f"str:{part}" if isinstance(part, str) else f"int:{operator.index(part)}"
            encoded = text.encode()
            state.update(len(encoded).to_bytes(4, "big") + encoded)
        return state.digest()

    def stream(self, *name: str | int) -> np.random.Generator:
        """A fresh NumPy generator at the start of the named stream."""
        return np.random.Generator(np.random.PCG64(int.from_bytes(self.key(*name), "big")))

    def integer(self, *name: str | int) -> int:
        """A 63-bit seed for libraries that keep generators of their own (PyTorch, Flower)."""
        return int.from_bytes(self.key(*name)[:8], "big") >> 1
