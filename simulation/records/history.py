"""Rows as sequences: each encounter with the patient's earlier ones at the same site before it.

The step of an encounter holds the inputs that its own row has, and last of all ``seen``, 1 where
there is an encounter and 0 where the patient has none so far back; all else is 0 there. Steps come
oldest first, so the row's own encounter is the last one. What an earlier row knows was known then;
labels are no inputs. Flattened, a row has shape (steps · (inputs + 1),).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from simulation.records.errors import DataError
from simulation.records.table import Index, Table

NOBODY = -1
"""Stands where there is no earlier row."""
SEEN = "seen"
"""The last input of each step."""


def earlier_rows(table: Table, steps: int) -> Index:
    """For each row, the last ``steps`` rows of its patient at its site up to itself, oldest first.

    Shape (rows, steps); `NOBODY` where there are not so many. Rows of the same time keep the order
    of the table.

    Raises:
        DataError: when rows belong to no patients, or have no time.
    """
    if table.patient is None or table.time_min is None:
        raise DataError("history: needs records with patients and times; use history: 1 here")
    sites = np.zeros(len(table.y), dtype=np.int64) if table.site is None else table.site
    order = np.lexsort((table.time_min, sites, table.patient))
    patient, site = table.patient[order], sites[order]
    found = np.full((len(order), steps), NOBODY)
    found[order, -1] = order
    for back in range(1, min(steps, len(order))):
        same = (patient[back:] == patient[:-back]) & (site[back:] == site[:-back])
        found[order[back:][same], -1 - back] = order[:-back][same]
    return found


def names(features: tuple[str, ...], steps: int) -> tuple[str, ...]:
    """Names of the inputs: of the step k encounters ago, ``name@-k``."""
    return tuple(
        f"{name}@-{back}" for back in range(steps - 1, -1, -1) for name in (*features, SEEN)
    )


def sequences(
    encode: Callable[[Index], NDArray[np.float32]], rows: Index, earlier: Index
) -> NDArray[np.float32]:
    """Flattened sequences of rows, from the encoder of single rows and `earlier_rows`."""
    wanted = earlier[rows]
    seen = wanted != NOBODY
    known, place = np.unique(wanted[seen], return_inverse=True)
    inputs = encode(known)
    steps, width = wanted.shape[1], inputs.shape[1] + 1
    found = np.zeros((len(rows), steps, width), dtype=np.float32)
    found[seen, :-1] = inputs[place]
    found[seen, -1] = 1.0
    return found.reshape(len(rows), steps * width)
