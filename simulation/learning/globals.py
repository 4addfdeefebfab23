"""The generators that libraries share behind everybody's back, held still around foreign code.

Our own code passes generators explicitly. Flower samples nodes with Python's global generator, and
a user's own app may call ``torch.randn`` or ``numpy.random``; both must draw the same numbers in
every run, and must not disturb whoever draws next.
"""

from __future__ import annotations

import random
from collections.abc import Generator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def seeded_globals(seed: int) -> Generator[None]:
    """Seed Python's, NumPy's and PyTorch's global generators; put their states back afterwards."""
    python_state = random.getstate()
    numpy_state = np.random.get_state()  # noqa: NPY002 - the global generator is the subject here
    torch_state = torch.get_rng_state()
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002
    # `torch.manual_seed` also queues a seed for absent GPUs, with a stack trace for each: 25 ms.
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)  # noqa: NPY002
        torch.set_rng_state(torch_state)
