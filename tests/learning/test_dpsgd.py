"""DP-SGD held against arithmetic done by hand, and against mistakes that released code makes."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from simulation.base.rng import Streams
from simulation.learning.dpsgd import KeyedOptimizer, record_gradients
from simulation.learning.models import build_model, model_arrays, refuse_coupled
from simulation.learning.params import DpSgdParams, LogisticParams, MlpParams, TrainingParams
from simulation.learning.privacy import PrivacyPlan
from simulation.learning.train import BudgetSpent, Trainer, _poisson
from simulation.learning.units import Units

RATE = 0.5
START = {
    "output.weight": np.array([[0.3, -0.2, 0.1]], dtype=np.float32),
    "output.bias": np.array([0.05], dtype=np.float32),
}


def flat(arrays: dict[str, NDArray[Any]]) -> NDArray[Any]:
    return np.concatenate([array.ravel() for array in arrays.values()])


def each(count: int) -> Units:
    """So many units of one record."""
    return Units("record", np.arange(count), count)


def trainer(rows: Any, seed: int = 42, rounds: int = 5, **changes: Any) -> Trainer:
    training = TrainingParams(
        learning_rate=changes.pop("learning_rate", RATE),
        batch_size=changes.pop("batch_size", 10),
        local_steps=changes.pop("local_steps", 3),
    )
    model = changes.pop("model", LogisticParams())
    if "epsilon" not in changes:
        changes.setdefault("noise_multiplier", 1.0)
    return Trainer(rows, model, training, DpSgdParams(**changes), rounds, Streams(seed))


def step_once(
    module: nn.Module, x: torch.Tensor, y: torch.Tensor, **changes: Any
) -> KeyedOptimizer:
    """One private step; noise of deviation sigma * max_grad_norm on the clipped sum."""
    wrapped = record_gradients(module)
    plan = PrivacyPlan(
        sigma=changes.get("sigma", 1e-9),
        sampling_rate=0.5,
        steps=1,
        rounds=1,
        delta=1e-5,
        max_grad_norm=changes.get("max_grad_norm", 1.0),
    )
    optimizer = KeyedOptimizer(
        torch.optim.SGD(module.parameters(), lr=1.0),
        plan,
        expected_batch=changes.get("expected_batch", 10.0),
        noise=np.random.default_rng(0),
        after_noise=lambda: None,
    )
    optimizer.zero_grad()
    loss = nn.functional.binary_cross_entropy_with_logits(
        wrapped(x.requires_grad_()).squeeze(-1), y, reduction="sum"
    )
    loss.backward()
    optimizer.step()
    return optimizer


# ---- the arithmetic ---------------------------------------------------------------------------


def test_a_round_is_the_algorithm_of_the_paper(make_rows: Callable[..., Any]) -> None:
    """Sample each record with probability q, clip each gradient to C, sum, add σC noise, divide by
    the *expected* batch size q·n, step (Abadi et al., algorithm 1). Done again here by hand."""
    rows = make_rows(records=40)
    learner = trainer(rows, max_grad_norm=0.4, noise_multiplier=0.7)
    found = learner.train(START, 2)
    assert learner.plan is not None
    q, w = learner.plan.sampling_rate, flat(START).astype(np.float64)
    name = ("learning", 0, 2, _root(START), "0.0")
    sampling, noise = (Streams(42).stream(*name, s) for s in ("sampling", "noise"))
    x = np.hstack([rows.train_x, np.ones((40, 1))]).astype(np.float64)
    for _ in range(3):
        taken = sampling.random(40) < q
        residual = 1 / (1 + np.exp(-x[taken] @ w)) - rows.train_y[taken]
        gradients = residual[:, None] * x[taken]
        norms = np.linalg.norm(gradients, axis=1, keepdims=True)
        total = (gradients * np.minimum(1, 0.4 / norms)).sum(axis=0)
        total += noise.standard_normal(4) * 0.7 * 0.4
        w -= RATE * total / (q * 40)
    np.testing.assert_allclose(flat(found.arrays), w, atol=2e-6)


def _root(arrays: dict[str, NDArray[Any]]) -> str:
    from simulation.base.tensors import model_root

    return model_root(arrays).hex()


def test_the_clipped_sum_is_bounded() -> None:
    """‖clipped sum‖ ≤ B·C, however large the inputs are: clipping really happens."""
    generator = torch.Generator().manual_seed(1)
    for scale in (1e-3, 1.0, 1e6):
        x = torch.randn(30, 5, generator=generator) * scale
        y = torch.zeros(30)
        module = build_model(MlpParams(hidden=(8,)), 5, seed=3)
        optimizer = step_once(module, x, y, max_grad_norm=0.25)
        total = torch.cat([p.summed_grad.flatten() for p in optimizer.params])
        assert float(total.norm()) <= 30 * 0.25 * (1 + 1e-5)
    lengths: list[float] = []
    for label in (0.0, 1.0):  # the model is sure of one; for the other the gradient is huge
        module = build_model(LogisticParams(), 5, seed=3)
        one = step_once(module, x[:1].detach(), torch.tensor([label]), max_grad_norm=0.25)
        lengths.append(float(torch.cat([p.summed_grad.flatten() for p in one.params]).norm()))
    assert max(lengths) == pytest.approx(0.25, rel=1e-4), "a large gradient is cut to C exactly"


def test_a_records_gradient_depends_on_that_record_alone() -> None:
    """Losses and layers that couple records are out: clipping one gradient bounds one record."""
    x, y = torch.randn(6, 4, generator=torch.Generator().manual_seed(0)), torch.ones(6)
    model = MlpParams(hidden=(5,), norm="layer")

    def gradients(rows: slice) -> list[torch.Tensor]:
        wrapped = record_gradients(build_model(model, 4, seed=1))
        logits = wrapped(x[rows].clone().requires_grad_()).squeeze(-1)
        nn.functional.binary_cross_entropy_with_logits(logits, y[rows], reduction="sum").backward()
        return [p.grad_sample for p in wrapped.parameters()]

    for alone, together in zip(gradients(slice(2, 3)), gradients(slice(0, 6)), strict=True):
        torch.testing.assert_close(alone[0], together[2])


# ---- noise ------------------------------------------------------------------------------------


def blank(make_rows: Callable[..., Any], hospital: int = 0) -> Any:
    """Records that give the weights no gradient: what is left in the weights is noise."""
    rows = make_rows(hospital, records=40, features=2000)
    rows.train_x[:] = 0
    return rows


def noise_of(learner: Trainer, round_: int = 1, shift: float = 0.0) -> NDArray[Any]:
    start = {
        "output.weight": np.full((1, 2000), shift, dtype=np.float32),
        "output.bias": np.zeros(1, dtype=np.float32),
    }
    return learner.train(start, round_).arrays["output.weight"].ravel() - np.float32(shift)


def test_the_noise_has_the_level_that_the_account_claims(make_rows: Callable[..., Any]) -> None:
    """After k steps: √k · rate · σ · C / (q · n), on every number of the model."""
    learner = trainer(blank(make_rows), noise_multiplier=1.5, max_grad_norm=0.8)
    expected = np.sqrt(3) * RATE * 1.5 * 0.8 / 10
    assert noise_of(learner).std() == pytest.approx(expected, rel=0.06)


def test_no_two_updates_share_noise(make_rows: Callable[..., Any]) -> None:
    """With shared noise two updates could be subtracted and it would be gone: hospitals, rounds and
    base models each draw their own."""
    learners = [trainer(blank(make_rows, hospital)) for hospital in range(4)]
    drawn = [noise_of(learner, round_) for learner in learners for round_ in (1, 2, 3)]
    drawn.append(noise_of(learners[0], 1, shift=1.0))
    correlation = np.corrcoef(np.stack(drawn)) - np.eye(len(drawn))
    assert np.abs(correlation).max() < 0.15, "independent vectors of 2000 numbers stay below"


def test_the_steps_of_a_round_do_not_share_noise(make_rows: Callable[..., Any]) -> None:
    """Noise that is repeated grows with k, noise that is fresh with √k."""
    few = noise_of(trainer(blank(make_rows), local_steps=1)).std()
    many = noise_of(trainer(blank(make_rows), local_steps=16)).std()
    assert many / few == pytest.approx(4, rel=0.1)


def test_the_noise_key_is_wider_than_the_generator_of_pytorch() -> None:
    """PyTorch's CPU generator keeps 32 bits of its seed, so it must not be the source of noise."""
    low, high = torch.Generator().manual_seed(5), torch.Generator().manual_seed(5 + 2**32)
    assert torch.equal(torch.randn(4, generator=low), torch.randn(4, generator=high))
    base = Streams(5).stream("a").bit_generator.state["state"]["state"]
    assert base.bit_length() > 100


def test_a_resend_is_the_same_bytes(make_rows: Callable[..., Any]) -> None:
    """Training the same round twice from the same model releases nothing new."""
    learner = trainer(make_rows())
    first = learner.train(START, 1)
    learner.train(START, 2)
    again = learner.train(START, 1)
    assert flat(first.arrays).tobytes() == flat(again.arrays).tobytes()


def test_a_secret_key_is_not_that_of_the_seed(make_rows: Callable[..., Any]) -> None:
    """secure_rng draws the key from the operating system: nobody with the seed can subtract the
    noise, and a resend is still the same bytes."""
    one, two = (trainer(make_rows(), secure_rng=True) for _ in range(2))
    assert flat(one.train(START, 1).arrays).tobytes() == flat(one.train(START, 1).arrays).tobytes()
    assert flat(one.train(START, 1).arrays).tobytes() != flat(two.train(START, 1).arrays).tobytes()


# ---- sampling ---------------------------------------------------------------------------------


def test_batches_are_drawn_by_poisson_sampling() -> None:
    """Each record, independently, with probability q: batch sizes are binomial, not fixed."""
    batches = list(_poisson(np.random.default_rng(0), each(50), 0.2, 4_000))
    sizes = np.array([len(batch) for batch in batches])
    counts = np.bincount(np.concatenate([b.numpy() for b in batches]), minlength=50)
    assert sizes.mean() == pytest.approx(10, rel=0.03)
    assert sizes.var() == pytest.approx(50 * 0.2 * 0.8, rel=0.1)
    assert np.abs(counts / 4_000 - 0.2).max() < 0.03


def test_an_empty_batch_is_released_and_counted(make_rows: Callable[..., Any]) -> None:
    """An empty batch still releases noise: skipping it would tell that nobody was drawn."""
    module = build_model(LogisticParams(), 3, seed=0)
    before = flat(model_arrays(module))
    step_once(module, torch.zeros(0, 3), torch.zeros(0), sigma=1.0)
    assert (flat(model_arrays(module)) != before).all()
    rare = trainer(make_rows(), batch_size=1, local_steps=200, noise_multiplier=4.0)
    update = rare.train(START, 1)
    assert update.steps == 200
    assert update.spent is not None
    assert update.spent.steps == 200
    sizes = [len(b) for b in _poisson(np.random.default_rng(0), each(40), 1 / 40, 200)]
    assert 0 in sizes, "at one expected record, a third of the batches are empty"


# ---- what is refused or made harmless ---------------------------------------------------------


def test_a_record_that_is_not_finite_counts_as_nothing(make_rows: Callable[..., Any]) -> None:
    """One NaN poisons every parameter and is itself a leak: its gradient is zero before the sum."""
    rows = make_rows(records=6)
    x, y = torch.tensor(rows.train_x), torch.tensor(rows.train_y, dtype=torch.float32)
    bad = x.clone()
    bad[2, 1], bad[4, 0] = float("nan"), float("inf")
    kept = torch.tensor([0, 1, 3, 5])
    poisoned, clean = (build_model(MlpParams(hidden=(4,), activation="relu"), 3, 7) for _ in "ab")
    step_once(poisoned, bad, y)
    step_once(clean, x[kept], y[kept])
    np.testing.assert_allclose(
        flat(model_arrays(poisoned)), flat(model_arrays(clean)), rtol=0, atol=1e-6
    )


@pytest.mark.parametrize(
    "layer",
    [
        nn.BatchNorm1d(4),
        nn.SyncBatchNorm(4),
        nn.InstanceNorm1d(4, track_running_stats=True),
    ],
)
def test_layers_that_mix_records_are_refused(layer: nn.Module) -> None:
    """Refused with the remedy; never repaired behind the user's back."""
    with pytest.raises(ValueError, match=r"mixes records.*LayerNorm"):
        record_gradients(nn.Sequential(nn.Linear(3, 4), layer, nn.Linear(4, 1)))


def test_layers_that_do_not_are_accepted() -> None:
    """LayerNorm works within a record."""
    refuse_coupled(build_model(MlpParams(norm="layer"), 3, seed=0))
    refuse_coupled(nn.Sequential(nn.InstanceNorm1d(4)))


def test_a_parameter_without_dimension_is_refused() -> None:
    """0-d parameters escape clipping and noise."""
    module = nn.Linear(2, 1)
    module.register_parameter("scale", nn.Parameter(torch.tensor(1.0)))
    with pytest.raises(ValueError, match="scale has no dimension"):
        record_gradients(module)


def test_every_parameter_of_our_models_has_a_dimension() -> None:
    """So that none escapes."""
    for params in (LogisticParams(), MlpParams(hidden=(1,), norm="layer")):
        assert all(p.dim() >= 1 for p in build_model(params, 1, seed=0).parameters())


def test_training_past_the_plan_is_refused(make_rows: Callable[..., Any]) -> None:
    """σ was calibrated for the planned rounds; one more would break the promise."""
    learner = trainer(make_rows(), rounds=2, epsilon=5.0)
    history = []
    for round_ in (1, 2):
        history.append(learner.train(START, round_, history).spent)
    assert learner.plan is not None
    assert learner.plan.epsilon(history) <= 5.0
    with pytest.raises(BudgetSpent, match="hospital-00 has released 6 steps"):
        learner.train(START, 3, history)


def test_no_record_reaches_a_log(
    make_rows: Callable[..., Any],
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Opacus's data-set warning prints records; nothing here warns, logs or prints anything."""
    caplog.set_level(logging.DEBUG)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trainer(make_rows(), model=MlpParams(hidden=(4,))).train(
            model_arrays(build_model(MlpParams(hidden=(4,)), 3, 0)), 1
        )
    assert "tensor" not in caplog.text
    assert not any(c.isdigit() for c in caplog.text)
    assert capfd.readouterr() == ("", "")


# ---- FedProx ----------------------------------------------------------------------------------


def test_the_proximal_term_works_under_privacy(make_rows: Callable[..., Any]) -> None:
    """Inside the loss its per-record gradient is silently zero, and FedProx becomes FedAvg; added
    after the noise it pulls the model towards where it started."""
    rows = make_rows(records=200)
    learner = trainer(rows, local_steps=40, learning_rate=0.1, noise_multiplier=0.3)
    start = flat(START)
    distance = {
        mu: np.linalg.norm(flat(learner.train(START, 1, (), mu).arrays) - start)
        for mu in (0.0, 0.1, 1.0, 5.0)
    }
    assert distance[0.0] > distance[0.1] > distance[1.0] > distance[5.0] > 0


def test_the_proximal_term_is_the_gradient_of_its_definition() -> None:
    """∇ (μ/2)‖w − w_global‖² = μ (w − w_global) (Li et al., equation 2)."""
    from simulation.learning.train import _proximal

    module = build_model(LogisticParams(), 3, seed=0)
    pull = _proximal(module, 0.7)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(2.0)
            parameter.grad = torch.zeros_like(parameter)
    pull()
    for parameter in module.parameters():
        assert parameter.grad is not None
        torch.testing.assert_close(parameter.grad, torch.full_like(parameter, 1.4))
