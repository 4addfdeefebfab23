"""Privacy by patient: one clipping norm for all that a patient has, under every engine."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from simulation.base.rng import Streams
from simulation.learning.dpsgd import KeyedOptimizer, record_gradients
from simulation.learning.engines import BatchedParams, make_engine
from simulation.learning.engines.dense import clipped_sums, layers_of
from simulation.learning.engines.task import Task
from simulation.learning.models import build_model, model_arrays
from simulation.learning.params import DpSgdParams, LogisticParams, MlpParams, TrainingParams
from simulation.learning.privacy import PrivacyPlan, epsilon, patient_epsilon, plan
from simulation.learning.train import Trainer
from simulation.learning.units import units_of
from simulation.learning.update import Spend

MODELS = [LogisticParams(), MlpParams(hidden=(7,)), MlpParams(hidden=(6, 4), activation="relu")]
CLIP = 1.0


def by_opacus(module: nn.Module, x: torch.Tensor, y: torch.Tensor, owners: Any) -> torch.Tensor:
    """The reference's sum of clipped gradients, noise aside."""
    module = copy.deepcopy(module)
    wrapped = record_gradients(module)
    optimizer = KeyedOptimizer(
        torch.optim.SGD(module.parameters(), lr=1.0),
        PrivacyPlan(1e-9, 0.5, 1, 1, 1e-5, CLIP, "patient"),
        expected_batch=8.0,
        noise=np.random.default_rng(0),
        after_noise=lambda: None,
    )
    optimizer.zero_grad()
    optimizer.owners = torch.tensor(owners)
    logits = wrapped(x.clone().requires_grad_()).squeeze(-1)
    nn.functional.binary_cross_entropy_with_logits(logits, y, reduction="sum").backward()
    optimizer.step()
    return torch.cat([p.summed_grad.flatten() for p in optimizer.params])


def by_pairs(module: nn.Module, x: torch.Tensor, y: torch.Tensor, owners: Any) -> torch.Tensor:
    """The batched engine's, for the same batch."""
    layers = layers_of(module)
    assert layers is not None
    theta = torch.cat([p.detach().flatten() for p in module.parameters()])[None]
    mask, clip = torch.ones(1, len(y)), torch.full((1, 1), CLIP)
    return clipped_sums(layers, theta, x[None], y[None], mask, clip, torch.tensor(owners)[None])[0]


WAYS = [by_opacus, by_pairs]


def visits(count: int, scale: float = 5.0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(count)
    x = scale * torch.randn(count, 3, generator=generator)
    return x, (torch.rand(count, generator=generator) < 0.5).float()


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("way", WAYS)
def test_forty_encounters_weigh_one_clipping_norm(model: Any, way: Any) -> None:
    """A patient with 40 encounters changes the clipped sum by at most C; by record the same rows
    change it by many times C."""
    module = build_model(model, 3, 1)
    x, y = visits(50)
    x[10:], y[10:] = x[10].abs(), 0.0  # 40 visits that all pull the same way
    without = way(module, x[:10], y[:10], list(range(10)))

    by_patient = way(module, x, y, [*range(10), *[10] * 40])
    by_record = way(module, x, y, list(range(50)))

    assert float((by_patient - without).norm()) <= CLIP * (1 + 1e-5)
    assert float((by_record - without).norm()) > 5 * CLIP


@pytest.mark.parametrize("model", MODELS)
def test_pairs_of_records_give_the_norm_of_their_sum(model: Any) -> None:
    """Equality of clipped sums to 1e-6 with Opacus, for patients of 1 to 9 records in any order."""
    module = build_model(model, 3, 2)
    x, y = visits(30)
    owners = np.random.default_rng(4).permutation(np.repeat([0, 1, 2, 3, 4], [1, 4, 9, 9, 7]))

    found = by_pairs(module, x, y, owners)

    wanted = by_opacus(module, x, y, owners)
    assert float((found - wanted).norm()) <= 1e-6 * max(1.0, float(wanted.norm()))
    assert float(found.norm()) <= 5 * CLIP


def test_gradients_that_nearly_cancel_do_not_slip_through() -> None:
    """The pairs of a sum that nearly cancels do so too; in single precision the rest would be lost
    and the patient pass with more than C."""
    module = build_model(LogisticParams(), 3, 0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
    # Opposite labels at the same large input cancel, but for a remainder of about 2 C.
    x = torch.full((41, 3), 3e3)
    x[40] = torch.tensor([4.0, 0.0, 0.0])
    y = torch.tensor([0.0, 1.0] * 20 + [1.0])

    moved = by_pairs(module, x, y, [0] * 41)

    assert float(moved.norm()) == pytest.approx(CLIP, rel=0.01)


def test_a_visit_that_is_not_finite_counts_as_zero() -> None:
    """The patient's other records count as they would without it."""
    module = build_model(MlpParams(hidden=(5,)), 3, 0)
    x, y = visits(6)
    x[2, 0] = float("nan")
    owners, kept = [0, 0, 0, 1, 1, 2], [0, 1, 3, 4, 5]
    for way in WAYS:
        wanted = way(module, x[kept], y[kept], [0, 0, 1, 1, 2])
        torch.testing.assert_close(way(module, x, y, owners), wanted)


# ---- whole trainings ----------------------------------------------------------------------------


def trainer_of(rows: Any, unit: Any = "patient", **changes: Any) -> Trainer:
    privacy = DpSgdParams(noise_multiplier=0.8, delta=1e-4, unit=unit)
    training = TrainingParams(learning_rate=0.3, batch_size=changes.pop("batch_size", 4))
    return Trainer(rows, MlpParams(hidden=(7,)), training, privacy, 3, Streams(7))


def test_patients_are_what_is_drawn_counted_and_averaged_over(make_rows: Any) -> None:
    """q is the batch over the number of patients, steps cover the patients once, and a drawn
    patient brings all records."""
    rows = make_rows(records=60, patients=12)
    ours = trainer_of(rows)
    units = ours.units

    assert ours.plan is not None
    assert ours.plan.sampling_rate == pytest.approx(4 / units.count, abs=1e-6)
    assert ours.plan.steps == -(-units.count // 4)
    taken = np.zeros(units.count, dtype=bool)
    taken[[1, 5]] = True
    chosen = units.rows(taken)
    assert set(rows.train_patient[chosen]) == set(np.unique(rows.train_patient)[[1, 5]])
    assert len(chosen) == np.isin(rows.train_patient, np.unique(rows.train_patient)[[1, 5]]).sum()


def test_a_patient_of_one_record_is_that_record(make_rows: Any) -> None:
    """Where nobody has two records, both units are one training, bit for bit."""
    rows = make_rows(records=30)
    rows.train_patient = np.random.default_rng(1).permutation(30)
    start = model_arrays(build_model(MlpParams(hidden=(7,)), 3, 1))

    found = [trainer_of(rows, unit).train(start, 1).arrays for unit in ("record", "patient")]

    for name in start:
        assert found[0][name].tobytes() == found[1][name].tobytes()


def test_the_batched_engine_trains_by_patient_as_opacus_does(make_rows: Any) -> None:
    """Same draws of patients, same noise, models within 2e-6, at hospitals of different sizes."""
    ours = [
        trainer_of(make_rows(h, records=n, patients=p))
        for h, (n, p) in enumerate([(60, 12), (35, 35), (200, 40)])
    ]
    engine = make_engine(BatchedParams(), ours)
    task = Task(model_arrays(build_model(MlpParams(hidden=(7,)), 3, 1)), 1)
    for trainer in ours:
        trainer.begin(task)

    found = [trainer.train(task.arrays, 1) for trainer in ours]

    assert getattr(engine, "computed", None) == [3]
    for update, trainer in zip(found, ours, strict=True):
        wanted = trainer.compute(task)
        assert (update.steps, update.spent) == (wanted.steps, wanted.spent)
        for name, array in wanted.arrays.items():
            np.testing.assert_allclose(update.arrays[name], array, atol=2e-6, rtol=0)


# ---- the account --------------------------------------------------------------------------------


@pytest.mark.parametrize(("records", "spent"), [(1, 12.55), (2, 30.7), (4, 81.2), (8, 234.5)])
def test_an_account_of_records_understates_a_patient(records: int, spent: float) -> None:
    """Record-level ε 12.6 is 30.7 / 81 / 234 for a patient with 2 / 4 / 8 encounters."""
    history = (Spend(1.0, 1 / 16, 800),)

    found = patient_epsilon(history, 1e-5, records)

    assert found == pytest.approx(spent, rel=5e-3)
    assert found >= epsilon(history, 1e-5) - 1e-6


def test_a_record_level_claim_of_a_run_understates_its_patients(make_rows: Any) -> None:
    """Example-level accounting of one training is shown to understate it: what the record-level
    account claims is a fraction of what its patient with the most records really loses."""
    rows = make_rows(records=80, patients=40)
    planned = trainer_of(rows, "record", batch_size=8).plan
    assert planned is not None
    most = units_of(rows, "patient").most

    found = patient_epsilon((planned.release,), 1e-4, most)

    assert most >= 4
    assert found > 3 * planned.epsilon([planned.release])


def test_a_delta_too_large_for_the_patients_is_refused() -> None:
    """δ is held against the number of units that it protects, and the message names them."""
    privacy = DpSgdParams(noise_multiplier=1.0, delta=1e-2, unit="patient")

    with pytest.raises(ValueError, match=r"12 training patients: it must be below"):
        plan(privacy, TrainingParams(), 12, 1)
