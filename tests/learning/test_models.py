"""Models: PyTorch's own initialisation under a seed, and arrays that survive the round trip."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from torch import nn

from simulation.base.rng import Streams
from simulation.learning.models import build_model, load_arrays, model_arrays, parameter_count
from simulation.learning.params import (
    AttentionParams,
    DpSgdParams,
    LogisticParams,
    MlpParams,
    ModuleParams,
    NoPrivacy,
    TrainingParams,
)
from simulation.learning.personal import own_head, own_intercept
from simulation.learning.train import Trainer


def test_initialisation_is_that_of_pytorch_under_the_seed() -> None:
    """As published code does it: torch.manual_seed(seed), then Linear(13, 1)."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(42)
        expected = nn.Linear(13, 1)
    found = model_arrays(build_model(LogisticParams(), 13, seed=42))
    assert np.array_equal(found["output.weight"], expected.weight.detach().numpy())
    assert np.array_equal(found["output.bias"], expected.bias.detach().numpy())


def test_building_leaves_the_global_generator_alone() -> None:
    """Who draws next draws what it would have drawn."""
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    build_model(MlpParams(), 5, seed=9)
    assert torch.equal(torch.rand(1), expected)


def test_names_and_shapes_say_what_is_what() -> None:
    """Names are part of the digest of a model, so they are frozen here."""
    arrays = model_arrays(build_model(MlpParams(hidden=(6, 4), norm="layer"), 3, seed=0))
    assert {name: array.shape for name, array in arrays.items()} == {
        "hidden1.weight": (6, 3),
        "hidden1.bias": (6,),
        "norm1.weight": (6,),
        "norm1.bias": (6,),
        "hidden2.weight": (4, 6),
        "hidden2.bias": (4,),
        "norm2.weight": (4,),
        "norm2.bias": (4,),
        "output.weight": (1, 4),
        "output.bias": (1,),
    }
    assert parameter_count(arrays) == 24 + 12 + 28 + 8 + 5


def test_arrays_are_copies_both_ways() -> None:
    """What left a model does not change when the model trains on, and the other way round."""
    module = build_model(LogisticParams(), 2, seed=0)
    arrays = model_arrays(module)
    kept = arrays["output.weight"].copy()
    with torch.no_grad():
        module.get_parameter("output.weight").add_(1.0)
    assert np.array_equal(arrays["output.weight"], kept)
    load_arrays(module, arrays)
    arrays["output.weight"][:] = 9.0
    assert np.array_equal(model_arrays(module)["output.weight"], kept)


# ---- sequences ----------------------------------------------------------------------------------


def sequence(*steps: list[float]) -> torch.Tensor:
    return torch.tensor([[value for step in steps for value in step]])


def test_attention_gives_steps_that_are_not_there_no_weight() -> None:
    """What stands where there is no encounter changes nothing."""
    model = build_model(AttentionParams(steps=3, width=4), 9, seed=1)
    here = [[0.5, -1.0, 1.0], [2.0, 0.3, 1.0]]
    empty, rubbish = sequence([0, 0, 0], *here), sequence([9, -9, 0], *here)
    assert torch.equal(model(empty), model(rubbish))
    assert not torch.equal(model(empty), model(sequence([9, -9, 1], *here)))


def test_attention_is_trained_privately_as_any_model(make_rows) -> None:
    """Per-record gradients exist for every parameter, empty batches included."""
    rows = make_rows(records=40, features=6)
    privacy = DpSgdParams(noise_multiplier=1.0, delta=1e-4)
    training = TrainingParams(batch_size=1, local_steps=20)  # some Poisson batches are empty
    model = AttentionParams(steps=2, width=3)
    trainer = Trainer(rows, model, training, privacy, 1, Streams(1))
    start = model_arrays(build_model(model, 6, 0))
    update = trainer.train(start, 1)
    assert all(np.isfinite(array).all() for array in update.arrays.values())
    assert all((update.arrays[name] != start[name]).any() for name in start)


@pytest.mark.parametrize(("inputs", "steps"), [(9, 2), (4, 4)])
def test_inputs_that_are_no_steps_are_refused(inputs: int, steps: int) -> None:
    with pytest.raises(ValueError, match=rf"model.steps: {inputs} inputs .* data.history: {steps}"):
        build_model(AttentionParams(steps=steps), inputs, seed=1)


# ---- a user's own -------------------------------------------------------------------------------


def own_model(inputs: int) -> nn.Module:
    return nn.Sequential(nn.Linear(inputs, 3), nn.Tanh(), nn.Linear(3, 1))


def with_batch_norm(inputs: int) -> nn.Module:
    return nn.Sequential(nn.Linear(inputs, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))


def two_logits(inputs: int) -> nn.Module:
    return nn.Linear(inputs, 2)


def no_model(inputs: int) -> int:
    return inputs


def other_inputs(inputs: int) -> nn.Module:
    return nn.Linear(inputs + 1, 1)


@pytest.fixture
def here(monkeypatch):
    """The module of this file under a name that a configuration can give."""
    monkeypatch.setitem(sys.modules, "my_models", sys.modules[__name__])


def test_a_user_s_own_model_is_built_under_the_seed(here) -> None:
    params = ModuleParams(object="my_models:own_model")
    one, again, other = (model_arrays(build_model(params, 4, seed)) for seed in (1, 1, 2))
    assert list(one) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert all(np.array_equal(one[name], again[name]) for name in one)
    assert not np.array_equal(one["0.weight"], other["0.weight"])


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("my_models:two_logits", r"shape \(2, 2\) for two rows"),
        ("my_models:no_model", "gives a int, not a torch.nn.Module"),
        ("my_models:other_inputs", r"does not take float32 of shape \(rows, 4\)"),
        ("my_models:missing", "has no object 'missing'"),
        ("no_such_module:x", "cannot import 'no_such_module'"),
    ],
)
def test_what_is_no_model_is_refused_with_the_remedy(here, reference: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"model.object: .*{message}"):
        build_model(ModuleParams(object=reference), 4, seed=1)


def test_batch_normalisation_is_refused_under_privacy_only(here, make_rows) -> None:
    """It mixes records; without a guarantee that is the user's own affair."""
    model = ModuleParams(object="my_models:with_batch_norm")
    Trainer(make_rows(), model, TrainingParams(), NoPrivacy(), 1, Streams(1))
    with pytest.raises(ValueError, match="BatchNorm1d, which mixes records"):
        Trainer(
            make_rows(), model, TrainingParams(),
            DpSgdParams(noise_multiplier=1.0, delta=1e-4), 1, Streams(1),
        )  # fmt: skip


# ---- personal -----------------------------------------------------------------------------------


def test_the_own_intercept_makes_predictions_add_up() -> None:
    logits = np.linspace(-3, 1, 99)
    labels = (np.arange(99) % 3 == 0).astype(np.int64)
    moved = 1 / (1 + np.exp(-(logits + own_intercept(logits, labels))))
    assert moved.mean() == pytest.approx(33.5 / 100)
    assert np.isfinite(own_intercept(logits, np.zeros(99, dtype=np.int64)))


def test_a_personal_intercept_stays_at_the_hospital(make_rows) -> None:
    """The update is the same bytes with and without; ranks stay, calibration does not."""
    rows = make_rows(records=60)
    plain, personal = (
        Trainer(rows, LogisticParams(), TrainingParams(personal=kind), NoPrivacy(), 1, Streams(1))
        for kind in ("none", "intercept")
    )
    start = model_arrays(build_model(LogisticParams(), 3, 0))
    start["output.bias"] += 3
    one, other = plain.train(start, 1), personal.train(start, 1)
    assert all((one.arrays[name] == other.arrays[name]).all() for name in one.arrays)
    before, after = plain.scores(start, "train")[1], personal.scores(start, "train")[1]
    assert (np.argsort(before) == np.argsort(after)).all()
    assert after.mean() == pytest.approx(rows.train_y.mean(), abs=0.01)
    assert before.mean() > after.mean() + 0.2


def test_the_own_head_is_the_minimum_of_the_loss_with_its_pull() -> None:
    """At the minimum the slope of the loss is the pull back to the global layer."""
    rng = np.random.default_rng(3)
    inputs, labels = rng.normal(size=(80, 4)), rng.integers(0, 2, 80)
    shared = rng.normal(size=5)

    own = own_head(inputs, labels, shared)

    x = np.column_stack([inputs, np.ones(80)])
    slope = x.T @ (1 / (1 + np.exp(-(x @ own))) - labels) / 80
    assert slope == pytest.approx(0.1 * (shared - own), abs=1e-9)
    one_label = own_head(inputs, np.zeros(80, dtype=np.int64), shared)
    assert np.isfinite(one_label).all()
    assert one_label[-1] < shared[-1]


@pytest.mark.parametrize("model", [LogisticParams(), MlpParams(hidden=(4,))])
def test_a_personal_head_fits_its_hospital_and_stays_there(make_rows, model) -> None:
    """The update is the same bytes with and without; the hospital's own records fit better."""
    rows = make_rows(records=60)
    plain, personal = (
        Trainer(rows, model, TrainingParams(personal=kind), NoPrivacy(), 1, Streams(1))
        for kind in ("none", "head")
    )
    start = model_arrays(build_model(model, 3, 0))
    one, other = plain.train(start, 1), personal.train(start, 1)
    assert all((one.arrays[name] == other.arrays[name]).all() for name in one.arrays)

    losses = []
    for trainer in (plain, personal):
        labels, guesses = trainer.scores(start, "train")
        losses.append(-np.log(np.where(labels == 1, guesses, 1 - guesses)).mean())
    assert losses[1] < losses[0]


def test_a_personal_head_needs_a_last_layer(make_rows) -> None:
    """A model whose logit does not come from a linear layer has no head to replace."""
    model = ModuleParams(object="tests.learning.test_models:without_head")
    with pytest.raises(ValueError, match="head replaces the last layer"):
        Trainer(make_rows(), model, TrainingParams(personal="head"), NoPrivacy(), 1, Streams(1))


def without_head(inputs: int) -> nn.Module:
    """A model that ends in something else."""
    return nn.Sequential(nn.Linear(inputs, 1), nn.Tanh())
