"""Engines held against the reference: the same sums, the same models, the same account."""

from __future__ import annotations

import pickle
import sys
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from simulation.base.rng import Streams
from simulation.learning.dpsgd import KeyedOptimizer, record_gradients
from simulation.learning.engines import BatchedParams, ProcessParams, RayParams, make_engine
from simulation.learning.engines.batched import BatchedEngine, _member
from simulation.learning.engines.cohort import train_cohort
from simulation.learning.engines.dense import clipped_sums, layers_of
from simulation.learning.engines.task import Task
from simulation.learning.models import build_model, model_arrays
from simulation.learning.params import (
    DpSgdParams,
    LogisticParams,
    MlpParams,
    NoPrivacy,
    TrainingParams,
)
from simulation.learning.privacy import PrivacyPlan
from simulation.learning.train import BudgetSpent, Trainer

MODELS = [
    LogisticParams(),
    MlpParams(hidden=(16,)),
    MlpParams(hidden=(8, 5), activation="relu"),
    MlpParams(hidden=(6, 6, 6), activation="gelu"),
]


def trainers(make_rows: Any, sizes: list[int], **changes: Any) -> list[Trainer]:
    training = TrainingParams(
        learning_rate=0.3,
        batch_size=changes.pop("batch_size", 8),
        momentum=changes.pop("momentum", 0.0),
        local_steps=changes.pop("local_steps", None),
    )
    model = changes.pop("model", MlpParams(hidden=(16,)))
    patients = changes.pop("patients", None)
    privacy = changes.pop("privacy", None) or DpSgdParams(noise_multiplier=0.8, **changes)
    return [
        Trainer(make_rows(h, records=n, patients=patients), model, training, privacy, 3, Streams(7))
        for h, n in enumerate(sizes)
    ]


def start(model: Any, seed: int = 1) -> dict[str, Any]:
    return model_arrays(build_model(model, 3, seed))


def assert_close(found: Any, wanted: Any, tolerance: float = 2e-6) -> None:
    assert list(found.arrays) == list(wanted.arrays)
    for name, array in wanted.arrays.items():
        assert found.arrays[name].dtype == array.dtype
        np.testing.assert_allclose(found.arrays[name], array, atol=tolerance, rtol=0)
    assert (found.examples, found.steps, found.spent) == (
        wanted.examples, wanted.steps, wanted.spent,
    )  # fmt: skip


# ---- one step ---------------------------------------------------------------------------------


def reference_sum(module: nn.Module, x: torch.Tensor, y: torch.Tensor, clip: float) -> torch.Tensor:
    """Opacus's sum of clipped gradients."""
    wrapped = record_gradients(module)
    optimizer = KeyedOptimizer(
        torch.optim.SGD(module.parameters(), lr=1.0),
        PrivacyPlan(1e-9, 0.5, 1, 1, 1e-5, clip),
        expected_batch=8.0,
        noise=np.random.default_rng(0),
        after_noise=lambda: None,
    )
    optimizer.zero_grad()
    logits = wrapped(x.clone().requires_grad_()).squeeze(-1)
    nn.functional.binary_cross_entropy_with_logits(logits, y, reduction="sum").backward()
    optimizer.step()
    return torch.cat([p.summed_grad.flatten() for p in optimizer.params])


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("clip", [0.05, 1.0, 100.0])
def test_clipped_sums_are_those_of_opacus(model: Any, clip: float) -> None:
    """With noise off, the clipped sums are equal to 1e-6: for hospitals with batches of different
    sizes, an empty one among them, and with inputs from tiny to huge."""
    generator = torch.Generator().manual_seed(5)
    sizes, modules = [0, 1, 7, 20], [build_model(model, 4, seed) for seed in range(4)]
    x = torch.zeros(4, 20, 4)
    y, mask = torch.zeros(4, 20), torch.zeros(4, 20)
    for h, size in enumerate(sizes):
        scale = torch.logspace(-2, 2, size)[:, None]
        x[h, :size] = torch.randn(size, 4, generator=generator) * scale
        y[h, :size] = (torch.rand(size, generator=generator) < 0.5).float()
        mask[h, :size] = 1
    layers = layers_of(modules[0])
    assert layers is not None
    flat = [torch.cat([p.detach().flatten() for p in module.parameters()]) for module in modules]

    found = clipped_sums(layers, torch.stack(flat), x, y, mask, torch.full((4, 1), clip))

    assert not found[0].any(), "an empty batch has an empty sum"
    for h in (1, 2, 3):
        wanted = reference_sum(modules[h], x[h, : sizes[h]], y[h, : sizes[h]], clip)
        assert float((found[h] - wanted).norm()) <= 1e-6 * max(1.0, float(wanted.norm()))
        assert float(found[h].norm()) <= sizes[h] * clip * (1 + 1e-5), "clipping really happens"


def test_a_record_that_is_not_finite_counts_as_zero() -> None:
    """One NaN would poison all parameters, and by that tell that the record is there."""
    module = build_model(MlpParams(hidden=(5,)), 3, 0)
    layers = layers_of(module)
    assert layers is not None
    theta = torch.cat([p.detach().flatten() for p in module.parameters()])[None]
    x = torch.randn(1, 4, 3, generator=torch.Generator().manual_seed(1))
    y, mask, clip = torch.ones(1, 4), torch.ones(1, 4), torch.ones(1, 1)
    without = clipped_sums(layers, theta, x[:, :2], y[:, :2], mask[:, :2], clip)
    x[0, 2, 1], x[0, 3, 0] = float("nan"), float("inf")

    torch.testing.assert_close(clipped_sums(layers, theta, x, y, mask, clip), without)


def test_models_outside_the_class_are_told() -> None:
    """Linear layers with pointwise activations and one logit, and nothing else."""
    for model in MODELS:
        assert layers_of(build_model(model, 3, 0)) is not None
    for outside in (
        build_model(MlpParams(hidden=(4,), norm="layer"), 3, 0),
        nn.Sequential(nn.Linear(3, 1, bias=False)),
        nn.Sequential(nn.Linear(3, 2)),
        nn.Sequential(nn.Linear(3, 4), nn.Softmax(-1), nn.Linear(4, 1)),
        nn.Sequential(nn.Tanh(), nn.Linear(3, 1)),
        nn.Sequential(nn.Linear(3, 4), nn.GELU("tanh"), nn.Linear(4, 1)),
        nn.Linear(3, 1),
    ):
        assert layers_of(outside) is None


# ---- whole trainings ----------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("mu", [0.0, 0.2])
def test_batched_models_are_those_of_opacus(
    make_rows: Any, model: Any, momentum: float, mu: float
) -> None:
    """Same Poisson draws, same noise, same account; hospitals with 9 to 150 records and with 2 to
    19 steps in one computation; models agree within 2e-6."""
    sizes = [40, 9, 150, 64, 16]
    ours = trainers(make_rows, sizes, model=model, momentum=momentum)
    engine = make_engine(BatchedParams(cohort=3), ours)
    assert isinstance(engine, BatchedEngine)
    task = Task(start(model), 2, mu)
    for trainer in ours:
        trainer.begin(task)

    found = [trainer.train(task.arrays, 2, proximal_mu=mu) for trainer in ours]

    assert engine.computed == [3, 2]
    for update, trainer in zip(found, ours, strict=True):
        assert_close(update, trainer.compute(task))


def test_members_of_a_cohort_come_in_any_order(make_rows: Any) -> None:
    """The one with the fewest steps first: each gets its own model, after its own steps."""
    ours = trainers(make_rows, [9, 40, 150])
    task = Task(start(MlpParams(hidden=(16,))), 1)
    layers = layers_of(ours[0].module)
    assert layers is not None

    found = train_cohort(layers, [_member(trainer, task) for trainer in ours])

    for theta, trainer in zip(found, ours, strict=True):
        wanted = np.concatenate([array.ravel() for array in trainer.compute(task).arrays.values()])
        np.testing.assert_allclose(theta, wanted, atol=2e-6, rtol=0)


def test_empty_batches_release_noise(make_rows: Any) -> None:
    """An empty batch is a release like any other: counted, and with its noise."""
    ours = trainers(make_rows, [40, 40], batch_size=1, local_steps=30)
    make_engine(BatchedParams(), ours)
    task = Task(start(MlpParams(hidden=(16,))), 1)
    taken = ours[0].draws(task)[0].random((30, 40)) < 1 / 40
    assert (taken.sum(axis=1) == 0).any(), "some batches are empty"
    ours[1].begin(task)

    assert_close(ours[0].train(task.arrays, 1), ours[0].compute(task))
    assert_close(ours[1].train(task.arrays, 1), ours[1].compute(task))


def test_pending_trainings_wait_for_the_first_result(make_rows: Any) -> None:
    """Announced trainings are computed together when one is needed; late ones come next; and asked
    again, a hospital gives the same bytes."""
    ours = trainers(make_rows, [20, 30, 40, 50])
    engine = make_engine(BatchedParams(), ours)
    assert isinstance(engine, BatchedEngine)
    task = Task(start(MlpParams(hidden=(16,))), 1)
    for trainer in ours[:3]:
        trainer.begin(task)
    assert engine.computed == []

    first = ours[1].train(task.arrays, 1)
    assert engine.computed == [3]
    ours[0].train(task.arrays, 1)
    assert engine.computed == [3]
    ours[3].train(task.arrays, 1)
    assert engine.computed == [3, 1]
    again = ours[1].train(task.arrays, 1)

    for name, array in first.arrays.items():
        assert again.arrays[name].tobytes() == array.tobytes()
    other = ours[1].train(task.arrays, 2)
    assert any((other.arrays[n] != first.arrays[n]).any() for n in first.arrays)


def test_what_it_cannot_compute_is_left_to_the_reference(make_rows: Any) -> None:
    """Layer norm, no privacy, arrays of another model: bit for bit, or error for error, inline."""
    for changes in (
        {"model": MlpParams(hidden=(6,), norm="layer")},
        {"privacy": NoPrivacy()},
    ):
        ours = trainers(make_rows, [30, 40], **changes)
        engine = make_engine(BatchedParams(), ours)
        assert isinstance(engine, BatchedEngine)
        task = Task(start(changes.get("model", MlpParams(hidden=(16,)))), 1)
        for trainer in ours:
            trainer.begin(task)
        assert_close(ours[0].train(task.arrays, 1), ours[0].compute(task), 0.0)
        assert engine.computed == []
    ours = trainers(make_rows, [30, 40])
    make_engine(BatchedParams(), ours)
    ours[1].begin(Task({"weight": np.zeros(3, dtype=np.float32)}, 1))
    ours[0].train(start(MlpParams(hidden=(16,))), 1)
    with pytest.raises(ValueError, match="arrays do not fit the model"):
        ours[1].train({"weight": np.zeros(3, dtype=np.float32)}, 1)


def test_the_budget_holds_under_every_engine(make_rows: Any) -> None:
    """Training that passes the plan is refused even when it has been announced."""
    privacy = DpSgdParams(epsilon=3.0, delta=1e-4)
    ours = trainers(make_rows, [40], privacy=privacy, local_steps=2)
    make_engine(BatchedParams(), ours)
    task = Task(start(MlpParams(hidden=(16,))), 4)
    assert ours[0].plan is not None
    history = [ours[0].plan.release] * 3
    ours[0].begin(task)

    with pytest.raises(BudgetSpent):
        ours[0].train(task.arrays, 4, history)


@pytest.mark.parametrize(
    "params", [ProcessParams(workers=2), pytest.param(RayParams(workers=2), marks=pytest.mark.slow)]
)
def test_workers_give_the_same_bits(make_rows: Any, params: Any) -> None:
    """The engines of processes and of a cluster are bit for bit the inline one, with and without
    privacy."""
    if isinstance(params, RayParams):
        pytest.importorskip("ray", reason="the extra ray is not installed")
    for privacy in (None, NoPrivacy()):
        ours = trainers(make_rows, [20, 30, 40], privacy=privacy)
        engine = make_engine(params, ours)
        assert engine is not None
        task = Task(start(MlpParams(hidden=(16,))), 1)
        try:
            for trainer in ours:
                trainer.begin(task)
            found = [trainer.train(task.arrays, 1) for trainer in ours]
        finally:
            engine.close()
        for update, trainer in zip(found, ours, strict=True):
            assert_close(update, trainer.compute(task), 0.0)


@pytest.mark.slow
def test_a_workers_error_is_the_hospitals(make_rows: Any) -> None:
    """What a training raises on the cluster is raised where its result is asked for."""
    pytest.importorskip("ray", reason="the extra ray is not installed")
    ours = trainers(make_rows, [20])
    engine = make_engine(RayParams(workers=1), ours)
    assert engine is not None
    task = Task({"weight": np.zeros(3, dtype=np.float32)}, 1)
    try:
        ours[0].begin(task)
        with pytest.raises(ValueError, match="arrays do not fit the model"):
            ours[0].train(task.arrays, 1)
    finally:
        engine.close()


def test_a_missing_library_is_one_sentence(make_rows: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra, the engine says what to install or to choose."""
    monkeypatch.setitem(sys.modules, "ray", None)

    with pytest.raises(ValueError, match=r"engine\.kind: ray .*wardchain\[ray\].*process"):
        make_engine(RayParams(), trainers(make_rows, [20]))


def test_a_trainer_travels_with_its_secret_key(make_rows: Any) -> None:
    """With a key from the operating system, a worker draws the same noise as the hospital."""
    (ours,) = trainers(make_rows, [30], secure_rng=True)
    task = Task(start(MlpParams(hidden=(16,))), 1)
    wanted = ours.compute(task)

    assert_close(pickle.loads(pickle.dumps(ours)).compute(task), wanted, 0.0)
