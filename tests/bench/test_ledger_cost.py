"""What the ledger costs around the same private training, by its protocol and by n.

The quickstart's model, one by one with Opacus, records dealt out evenly, the ledger in memory:
``none``, ``hash_only`` and ``commit_reveal`` are run in turn in one process, in processor time, and
compared with ``none``. All three end with the same model, bit for bit. Planning the noise is left
out: it is cached. Nothing here asserts a time.
"""

from __future__ import annotations

import dataclasses
import gc
import statistics
import time
from pathlib import Path

import pytest

from simulation.base.tensors import model_root
from simulation.config.load import load
from simulation.nodes.params import CommitRevealLedger, HashOnlyLedger, NoLedger
from simulation.records.params import IidParams
from simulation.world import simulate

pytestmark = pytest.mark.bench

QUICKSTART = Path(__file__).parents[2] / "configs" / "quickstart.yaml"
SEED = 42
LEDGERS = {
    "none": NoLedger(),
    "hash_only": HashOnlyLedger(store="memory"),
    "commit_reveal": CommitRevealLedger(store="memory"),
}


@pytest.mark.parametrize(("n", "rounds", "repeats"), [(4, 10, 5), (16, 10, 3), (64, 2, 1)])
def test_cost_of_the_ledger(benchmark, capsys, n, rounds, repeats):
    task = dataclasses.replace(load(QUICKSTART), hospitals=n, partition=IidParams())
    federation = dataclasses.replace(task.federation, rounds=rounds)
    runs = {
        kind: dataclasses.replace(task, federation=federation, ledger=ledger)
        for kind, ledger in LEDGERS.items()
    }
    first = {kind: simulate(run, SEED) for kind, run in runs.items()}
    assert len({model_root(outcome.arrays) for outcome in first.values()}) == 1, "the same job"
    taken = {kind: [] for kind in runs}

    def measure():
        # In turn, so that a machine that changes its pace changes it for all of them.
        for _ in range(repeats):
            for kind, run in runs.items():
                gc.collect()
                begun = time.process_time()
                simulate(run, SEED)
                taken[kind].append((time.process_time() - begun) / rounds)

    benchmark.pedantic(measure, rounds=1, iterations=1)
    with capsys.disabled():
        print()  # noqa: T201 (the table is what this is for)
        for kind, values in taken.items():
            ratio = statistics.median(v / o for v, o in zip(values, taken["none"], strict=True))
            virtual_s = first[kind].virtual_us / 1e6 / rounds
            benchmark.extra_info[kind] = {
                "to_none": ratio,
                "s_per_round": statistics.median(values),
                "virtual_s_per_round": virtual_s,
            }
            print(  # noqa: T201
                f"  n = {n:2}  {kind:13} {ratio:6.2f} × none, a round "
                f"{1e3 * statistics.median(values):6.0f} ms and {virtual_s:.3f} virtual s"
            )
