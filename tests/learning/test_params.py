"""Parameters say what is wrong and what to do, and cost nothing to import."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from simulation.base.rng import Streams
from simulation.learning.cost import hospital_speed, training_us
from simulation.learning.params import ComputeParams, DpSgdParams, MlpParams, TrainingParams


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: DpSgdParams(epsilon=-1.0), "epsilon: must be > 0, got -1.0; use kind: none"),
        (DpSgdParams, "epsilon: give either epsilon"),
        (lambda: DpSgdParams(epsilon=1.0, noise_multiplier=1.0), "epsilon: give either"),
        (lambda: DpSgdParams(noise_multiplier=0.0), "noise_multiplier: must be > 0"),
        (lambda: DpSgdParams(epsilon=1.0, max_grad_norm=float("nan")), "max_grad_norm: must be"),
        (lambda: DpSgdParams(epsilon=1.0, delta=1.0), "delta: must be between 0 and 1"),
        (lambda: TrainingParams(learning_rate=0.0), "learning_rate: must be above 0"),
        (lambda: TrainingParams(momentum=1.0), "momentum: must be at least 0 and below 1"),
        (lambda: TrainingParams(batch_size=0), "batch_size: must be at least 1"),
        (lambda: TrainingParams(local_epochs=1, local_steps=1), "local_epochs: give this or"),
        (lambda: TrainingParams(local_steps=0), "local_steps: must be at least 1"),
        (lambda: MlpParams(hidden=()), "hidden: needs at least one layer"),
        (lambda: ComputeParams(device_gflops=0.0), "device_gflops: must be above 0"),
        (lambda: ComputeParams(speed_spread=-1.0), "speed_spread: must be at least 0"),
    ],
)
def test_a_bad_value_is_refused_with_its_remedy(build: Any, message: str) -> None:
    """The field comes first, so that a configuration can point at it."""
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        build()


@pytest.mark.parametrize(
    ("training", "records", "steps"),
    [
        (TrainingParams(batch_size=32), 100, 4),
        (TrainingParams(batch_size=32, local_epochs=3), 96, 9),
        (TrainingParams(batch_size=4, local_steps=100), 30, 100),
        (TrainingParams(batch_size=500), 100, 1),
    ],
)
def test_steps_of_a_round(training: TrainingParams, records: int, steps: int) -> None:
    """Epochs times ⌈n/B⌉, or the number that was asked for."""
    assert training.steps(records) == steps


def test_parameters_import_nothing_heavy() -> None:
    """A configuration is checked in milliseconds: no torch, Opacus, scikit-learn or NumPy."""
    program = (
        "import sys; import simulation.learning.params, simulation.records.params, "
        "simulation.learning.update as u; "
        "print([m for m in ('torch', 'opacus', 'sklearn', 'pandas', 'dp_accounting', 'scipy') "
        "if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


# ---- the cost of training -----------------------------------------------------------------------


def cost(**changes: Any) -> int:
    given = {"steps": 10, "batch_size": 32, "parameters": 4_000, "private": False, "speed": 1.0}
    compute = changes.pop("compute", ComputeParams())
    return training_us(compute, **{**given, **changes})


def test_the_cost_is_the_documented_model() -> None:
    """Preparation plus steps × (operations / speed + overhead), privacy as a factor."""
    per_step_us = 6 * 32 * 4_000 / 5_000 + 200
    assert cost() == round(50_000 + 10 * per_step_us)
    assert cost(private=True) == round(50_000 + 10 * per_step_us * 5)
    assert cost(speed=2.0) == round((50_000 + 10 * per_step_us) / 2)


def test_the_cost_is_never_nothing() -> None:
    """An event after no time at all would happen before its cause is done."""
    free = ComputeParams(step_overhead_us=0, round_overhead_ms=0.0, device_gflops=1e12)
    assert cost(compute=free) == 1


def test_hospitals_are_unequal_and_keep_their_speed() -> None:
    """Speeds are log-normal, drawn per hospital by name; a spread of 0 makes all equal."""
    speeds = [hospital_speed(ComputeParams(), h, Streams(1)) for h in range(200)]
    assert speeds == [hospital_speed(ComputeParams(), h, Streams(1)) for h in range(200)]
    assert 0.9 < sorted(speeds)[100] < 1.1
    assert len(set(speeds)) == 200
    assert {hospital_speed(ComputeParams(speed_spread=0.0), h, Streams(1)) for h in range(5)} == {1}
