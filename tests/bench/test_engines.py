"""What a private training costs: in one computation for all, one by one with Opacus, not private.

MLP 30-64-32-1, 500 records a hospital, expected batch 32, one epoch, as in the design. All three
are measured in turn in one process, in processor time; the trainings one by one on 20 hospitals,
for their cost does not depend on how many there are.
"""

from __future__ import annotations

import gc
import statistics
import time
from types import SimpleNamespace

import numpy as np
import pytest

from simulation.base.rng import Streams
from simulation.learning.engines import BatchedParams, make_engine
from simulation.learning.engines.task import Task
from simulation.learning.models import build_model, model_arrays
from simulation.learning.params import DpSgdParams, MlpParams, NoPrivacy, TrainingParams
from simulation.learning.train import Trainer

pytestmark = pytest.mark.bench

MODEL = MlpParams(hidden=(64, 32))
INPUTS, RECORDS, SINGLE, REPEATS = 30, 500, 20, 5


def rows(hospital: int) -> SimpleNamespace:
    rng = np.random.default_rng(hospital)
    x = rng.standard_normal((RECORDS, INPUTS)).astype(np.float32)
    y = (x[:, 0] > 0).astype(np.int64)
    names = tuple(f"x{i}" for i in range(INPUTS))
    return SimpleNamespace(
        hospital=hospital, train_x=x, train_y=y, test_x=x[:2], test_y=y[:2], features=names
    )


def trainers(hospitals: int, privacy) -> list[Trainer]:
    return [
        Trainer(rows(h), MODEL, TrainingParams(batch_size=32), privacy, 10, Streams(1))
        for h in range(hospitals)
    ]


@pytest.mark.parametrize("hospitals", [20, 100, 500])
def test_cost_of_a_private_training_by_engine(benchmark, capsys, hospitals):
    private = DpSgdParams(noise_multiplier=1.0)
    opacus, plain = trainers(SINGLE, private), trainers(SINGLE, NoPrivacy())
    together = trainers(hospitals, private)
    make_engine(BatchedParams(), together)
    start = model_arrays(build_model(MODEL, INPUTS, 0))
    taken = {"Opacus": [], "not private": [], "batched": []}

    def each(ours, number):
        for trainer in ours:
            trainer.train(start, number)

    def all_at_once(ours, number):
        task = Task(start, number)
        for trainer in ours:
            trainer.begin(task)
        each(ours, number)

    runs = {
        "Opacus": (each, opacus), "not private": (each, plain), "batched": (all_at_once, together),
    }  # fmt: skip

    def measure():
        # In turn, so that a machine that changes its pace changes it for all of them.
        for number in range(1, REPEATS + 2):
            for name, (run, ours) in runs.items():
                gc.collect()
                begun = time.process_time()
                run(ours, number)
                if number > 1:  # the first warms up
                    taken[name].append((time.process_time() - begun) / len(ours))

    benchmark.pedantic(measure, rounds=1, iterations=1)
    batched = taken["batched"]
    to_opacus = statistics.median(o / b for o, b in zip(taken["Opacus"], batched, strict=True))
    to_plain = statistics.median(b / p for p, b in zip(taken["not private"], batched, strict=True))
    benchmark.extra_info |= {"opacus_to_batched": to_opacus, "batched_to_plain": to_plain}
    with capsys.disabled():
        ms = {name: 1e3 * statistics.median(values) for name, values in taken.items()}
        print(  # noqa: T201 (the table is what this is for)
            f"\n  {hospitals} hospitals, ms each: Opacus {ms['Opacus']:.1f}, not private "
            f"{ms['not private']:.1f}, batched {ms['batched']:.2f}: {to_opacus:.1f} times faster "
            f"than Opacus, {to_plain:.2f} of not private"
        )
    assert to_opacus > 8, "the engine has lost its point"
    assert to_plain < 0.8
