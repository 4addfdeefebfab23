"""What is unusual about a federation's rows and was kept or left out: counts, and the handling."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from simulation.records.partition import Part
from simulation.records.shard import Shard
from simulation.records.table import Table

_SHOWN = 3


def what_is_odd(table: Table, parts: Sequence[Part], shards: Sequence[Shard]) -> Iterator[str]:
    """One sentence for each thing that a reader of the results has to know."""
    capped = [part for part in parts if part.left_out]
    if capped:
        yield (
            f"cap: {sum(part.left_out for part in capped)} patients of {len(capped)} hospitals are "
            "left out, drawn at random"
        )
    used = np.zeros(len(table.y), dtype=np.bool_)
    for part in parts:
        used[part.rows] = True
    if table.site is not None and not capped and not used.all():
        away = len(np.unique(table.site[~used]))
        yield (
            f"partition: {int((~used).sum())} of {len(used)} rows are left out, because their "
            f"{away} hospitals are too small or not among the largest"
        )
    one = [shard for shard in shards if len(np.unique(shard.train_y)) < 2]
    if one:
        yield (
            f"data: training rows of {_names(one)} have one label only; they are kept, and cannot "
            "learn to tell labels apart by themselves"
        )
    blind = [shard for shard in shards if len(np.unique(shard.test_y)) < 2]
    if blind:
        yield (
            f"data: test rows of {_names(blind)} have one label only; their own AUROC is not "
            "defined and left out of means, their rows count in metrics of all rows"
        )


def _names(shards: Sequence[Shard]) -> str:
    names = [shard.name or f"hospital {shard.hospital}" for shard in shards[:_SHOWN]]
    more = len(shards) - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "")
