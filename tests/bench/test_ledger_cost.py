"""What the ledger costs around the same private training: by its protocol, by n, by the training.

The quickstart's model, one by one with Opacus, records dealt out evenly, the ledger in memory. The
ways to run it are run in turn in one process, in processor time, and compared with ``none``. All
end with the same model, bit for bit. Planning the noise is left out: it is cached. Nothing here
asserts a time.
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
    "none": {"ledger": NoLedger()},
    "hash_only": {"ledger": HashOnlyLedger(store="memory")},
    "commit_reveal": {"ledger": CommitRevealLedger(store="memory")},
}


def job(n, rounds, **training):
    """The quickstart among ``n`` hospitals."""
    task = load(QUICKSTART)
    return dataclasses.replace(
        task,
        hospitals=n,
        partition=IidParams(),
        federation=dataclasses.replace(task.federation, rounds=rounds),
        training=dataclasses.replace(task.training, **training),
    )


def compare(benchmark, capsys, name, ways, repeats):
    """Run the ways in turn, and print what each costs a round."""
    first = {kind: simulate(run, SEED) for kind, run in ways.items()}
    assert len({model_root(outcome.arrays) for outcome in first.values()}) == 1, "the same job"
    taken = {kind: [] for kind in ways}

    def measure():
        # In turn, so that a machine that changes its pace changes it for all of them.
        for _ in range(repeats):
            for kind, run in ways.items():
                gc.collect()
                begun = time.process_time()
                simulate(run, SEED)
                taken[kind].append((time.process_time() - begun) / run.federation.rounds)

    benchmark.pedantic(measure, rounds=1, iterations=1)
    with capsys.disabled():
        print()  # noqa: T201 (the table is what this is for)
        for kind, values in taken.items():
            ratio = statistics.median(v / o for v, o in zip(values, taken["none"], strict=True))
            virtual_s = first[kind].virtual_us / 1e6 / ways[kind].federation.rounds
            benchmark.extra_info[kind] = {
                "to_none": ratio,
                "s_per_round": statistics.median(values),
                "virtual_s_per_round": virtual_s,
            }
            print(  # noqa: T201
                f"  {name}  {kind:27} {ratio:6.2f} × none, a round "
                f"{1e3 * statistics.median(values):6.0f} ms and {virtual_s:.3f} virtual s"
            )


@pytest.mark.parametrize(("n", "rounds", "repeats"), [(4, 10, 5), (16, 10, 3), (64, 2, 1)])
def test_cost_of_the_ledger(benchmark, capsys, n, rounds, repeats):
    """By protocol and by the number of hospitals; two batches of training a round."""
    ways = {kind: dataclasses.replace(job(n, rounds), **ledger) for kind, ledger in LEDGERS.items()}
    compare(benchmark, capsys, f"n = {n:2}", ways, repeats)


@pytest.mark.parametrize("steps", [2, 10, 25, 50, 100])
def test_cost_of_the_ledger_beside_more_training(benchmark, capsys, steps):
    """By batches of training in a round: the ledger costs a round what it costs, whatever is
    trained. One block at a time takes more transactions into a block, and makes fewer."""
    task = job(16, 4, local_epochs=None, local_steps=steps)
    single = dataclasses.replace(task.consensus, pipeline=1)
    ways = {
        "none": dataclasses.replace(task, **LEDGERS["none"]),
        "commit_reveal": dataclasses.replace(task, **LEDGERS["commit_reveal"]),
        "commit_reveal, pipeline: 1": dataclasses.replace(
            task, consensus=single, **LEDGERS["commit_reveal"]
        ),
    }
    compare(benchmark, capsys, f"{steps:3} batches", ways, 3)
