"""Whole rounds beside the same job in a plain loop, in Flower's own simulation, in pfl-research.

The job is that of `one_job.py`: 100 hospitals, 20 a round. Against the plain loop all ways are
measured in turn in one process, in processor time. The other simulators run in processes of their
own, in turn, by the clock on the wall, because Ray's workers belong to nobody whose processor time
could be asked for; each of them is left out, with the reason, where it is not installed.
"""

from __future__ import annotations

import gc
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest

from simulation.base.tensors import model_root

pytestmark = pytest.mark.bench

HERE = Path(__file__).parent
ROUNDS, REPEATS = 3, 3
LONG = 10
"""Rounds of the comparison in one process, so that set-up is spread as in a study."""
OTHERS = {
    "flower-on-ray": ("ray", "pip install 'wardchain[ray]'"),
    "pfl-research": ("pfl", "its pinned dependencies contradict ours: see README.md"),
}


def job():
    spec = importlib.util.spec_from_file_location("one_job", HERE / "one_job.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_whole_rounds_against_a_plain_loop(benchmark, capsys):
    """Flower and SimPy, and Flower, SimPy and ledger, around Opacus and around one computation.

    A round is the time between two rounds' ends, so that set-up, which a study of many rounds pays
    once, does not decide it; the total has it in.
    """
    one = job()
    changes = {
        "Opacus, no ledger": ["ledger=none"],
        "Opacus, ledger": [],
        "batched, no ledger": ["engine=batched", "ledger=none"],
        "batched, ledger": ["engine=batched"],
    }
    runs = {"plain loop": lambda closed: one.plain_loop(LONG, closed)}
    for name, change in changes.items():
        runs[name] = lambda closed, change=change: one.whole_world(
            one.experiment_of(LONG, *change), (one.telling(closed),)
        )
    rounds = {name: [] for name in runs}
    totals = {name: [] for name in runs}
    roots = {}

    def measure():
        # In turn, so that a machine that changes its pace changes it for all of them.
        for _ in range(REPEATS):
            for name, run in runs.items():
                gc.collect()
                ends = []
                begun = time.process_time()
                roots[name] = model_root(run(lambda ends=ends: ends.append(time.process_time())))
                totals[name].append(time.process_time() - begun)
                rounds[name].append(statistics.median(b - a for a, b in pairwise(ends)))

    benchmark.pedantic(measure, rounds=1, iterations=1)
    same = {roots[name] for name in ("plain loop", "Opacus, no ledger", "Opacus, ledger")}
    assert len(same) == 1, "three ways to do one job"
    with capsys.disabled():
        print()  # noqa: T201 (the table is what this is for)
        for name in runs:
            ratio, whole = (
                statistics.median(v / p for v, p in zip(of[name], of["plain loop"], strict=True))
                for of in (rounds, totals)
            )
            benchmark.extra_info[name] = {"round": ratio, "total": whole}
            ms = 1e3 * statistics.median(rounds[name])
            print(  # noqa: T201
                f"  {name:20} {ratio:6.2f} × plain loop a round ({ms:5.0f} ms), {whole:5.2f} × in "
                f"total of {LONG} rounds"
            )


@pytest.mark.parametrize("other", OTHERS)
def test_whole_rounds_against_another_simulator(benchmark, capsys, other):
    """Seconds a round and in total, start-up included; peak memory of the main process."""
    package, remedy = OTHERS[other]
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed ({remedy})")
    found = {who: [] for who in (other, "wardchain-no-ledger", "wardchain")}

    def measure():
        for _ in range(REPEATS):
            for who, runs in found.items():
                runs.append(_run(who))

    benchmark.pedantic(measure, rounds=1, iterations=1)
    with capsys.disabled():
        print()  # noqa: T201 (the table is what this is for)
        for who, runs in found.items():
            middle = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
            faster = {
                key: statistics.median(
                    o[key] / r[key] for o, r in zip(found[other], runs, strict=True)
                )
                for key in ("round_s", "total_s")
            }
            benchmark.extra_info[who] = middle | {f"times_{key}": v for key, v in faster.items()}
            print(  # noqa: T201
                f"  {who:20} {middle['round_s']:6.2f} s a round ({faster['round_s']:5.1f} times "
                f"faster), {middle['total_s']:6.1f} s in total ({faster['total_s']:4.1f} times), "
                f"peak {middle['peak_mb']:.0f} MB"
            )


def _run(who):
    done = subprocess.run(
        [sys.executable, str(HERE / "one_job.py"), who, str(ROUNDS + 1)],
        env={**os.environ, "PYTHONPATH": str(HERE.parents[1])},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.strip().splitlines()[-1])


def test_two_processes_against_one(benchmark, capsys):
    """The process engine with a worker for each of two cores, against inline; by the wall clock."""
    from simulation.learning.engines import ProcessParams, make_engine
    from simulation.learning.engines.task import Task

    one = job()
    experiment = one.experiment_of(1)
    side, alone = one.setting_of(experiment), one.setting_of(experiment)
    trainers = side.learners
    engine = make_engine(ProcessParams(workers=2), trainers)
    assert engine is not None
    taken = {"process": [], "inline": []}

    def cohort(ours, number):
        task = Task(side.initial, number)
        begun = time.perf_counter()
        for trainer in ours:
            trainer.begin(task)
        for trainer in ours:
            trainer.train(side.initial, number)
        return time.perf_counter() - begun

    def measure():
        for number in range(1, 2 * REPEATS + 2):
            for name, ours in (("process", trainers), ("inline", alone.learners)):
                seconds = cohort(ours, number)
                if number > 1:  # the first starts the workers
                    taken[name].append(seconds)

    try:
        benchmark.pedantic(measure, rounds=1, iterations=1)
    finally:
        engine.close()
    pairs = zip(taken["process"], taken["inline"], strict=True)
    ratio = statistics.median(process / inline for process, inline in pairs)
    benchmark.extra_info["process_to_inline"] = ratio
    with capsys.disabled():
        print(f"\n  two workers: {ratio:.2f} of the time of inline")  # noqa: T201
