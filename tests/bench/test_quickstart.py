"""What the simulated world costs around the same training: with the ledger, without, and bare.

Three ways to train the quickstart's model, measured in turn in one process: the whole world, the
world with ``ledger: none``, and a plain loop over hospitals in PyTorch and Opacus without Flower or
SimPy. All three end with the same model, bit for bit, so that they are the same job. Planning the
noise is left out of all three: it is cached, and the same in each.
"""

from __future__ import annotations

import dataclasses
import gc
import statistics
import time
from pathlib import Path

import numpy as np
import pytest

from simulation.base.tensors import model_root
from simulation.config.load import load
from simulation.nodes.params import CommitRevealLedger, NoLedger
from simulation.world import make_setting, simulate

pytestmark = pytest.mark.bench

QUICKSTART = Path(__file__).parents[2] / "configs" / "quickstart.yaml"
SEED = 42
REPEATS = 5


def plain_loop(experiment):
    """Federated averaging as one would write it by hand; returns the final model."""
    setting = make_setting(experiment, SEED)
    arrays = setting.initial
    histories = [[] for _ in range(setting.hospitals)]
    for number in range(1, experiment.federation.rounds + 1):
        updates = []
        for hospital, history in enumerate(histories):
            update = setting.trainer_of(hospital).train(arrays, number, history)
            history.append(update.spent)
            updates.append(update)
        total = sum(float(update.examples) for update in updates)
        arrays = {
            name: sum(u.arrays[name] * (float(u.examples) / total) for u in updates)
            for name in arrays
        }
    return arrays


def seconds(run) -> float:
    gc.collect()
    start = time.process_time()
    run()
    return time.process_time() - start


def test_cost_of_the_world_around_the_training(benchmark, capsys, tmp_path):
    with_ledger = load(QUICKSTART)
    without = dataclasses.replace(with_ledger, ledger=NoLedger())
    in_memory = dataclasses.replace(with_ledger, ledger=CommitRevealLedger(store="memory"))
    roots = {
        model_root(simulate(with_ledger, SEED, _fresh(tmp_path)).arrays),
        model_root(simulate(without, SEED).arrays),
        model_root({k: np.asarray(v) for k, v in plain_loop(with_ledger).items()}),
    }
    assert len(roots) == 1, "three ways to do one job"

    runs = {
        "SQLite ledger": lambda: simulate(with_ledger, SEED, _fresh(tmp_path)),
        "ledger in memory": lambda: simulate(in_memory, SEED),
        "ledger: none": lambda: simulate(without, SEED),
        "plain loop": lambda: plain_loop(with_ledger),
    }
    taken = {name: [] for name in runs}

    def measure():
        # In turn, so that a machine that changes its pace changes it for all of them.
        for _ in range(REPEATS):
            for name, run in runs.items():
                taken[name].append(seconds(run))

    benchmark.pedantic(measure, rounds=1, iterations=1)
    plain, none = taken["plain loop"], taken["ledger: none"]
    with capsys.disabled():
        print()  # noqa: T201 (the table is what this is for)
        for name, values in taken.items():
            to_plain = statistics.median(v / p for v, p in zip(values, plain, strict=True))
            to_none = statistics.median(v / p for v, p in zip(values, none, strict=True))
            benchmark.extra_info[name] = {"to_plain": to_plain, "to_none": to_none}
            print(f"  {name:17} {to_plain:5.2f} × plain loop  {to_none:5.2f} × ledger: none")  # noqa: T201


def _fresh(tmp_path: Path) -> Path:
    folder = tmp_path / f"run-{len(list(tmp_path.iterdir()))}"
    folder.mkdir()
    return folder
