"""The audit of a privacy claim: right training passes, and every planted fault is caught."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch

from simulation.base.rng import Streams
from simulation.learning.audit.onerun import bound, ceiling, one_run_epsilon, p_value
from simulation.learning.audit.report import AuditReport, audit
from simulation.learning.audit.sight import Subject
from simulation.learning.dpsgd import KeyedOptimizer
from simulation.learning.engines import BatchedParams, InlineParams
from simulation.learning.engines.task import Task
from simulation.learning.params import DpSgdParams, LogisticParams, MlpParams, TrainingParams
from simulation.learning.privacy import epsilon
from simulation.learning.train import Trainer
from simulation.learning.update import Spend


def subject(make_rows: Any, **changes: Any) -> Subject:
    return Subject(
        records=make_rows(records=100),
        model=changes.pop("model", LogisticParams()),
        training=TrainingParams(
            learning_rate=0.2, batch_size=25, momentum=changes.pop("momentum", 0.0)
        ),
        privacy=DpSgdParams(noise_multiplier=changes.pop("sigma", 1.5), delta=1e-4),
        rounds=6,
        engine=changes.pop("engine", InlineParams()),
        **changes,
    )


# ---- the one-run bound --------------------------------------------------------------------------


def test_the_p_value_is_that_of_the_theorem() -> None:
    """P[B ≥ v] + 2mδ · max over i of P[v > B ≥ v − i] / i, where B is Binomial(r, e^ε / (e^ε + 1)),
    written out (Steinke et al., theorem 5.2)."""
    chance = math.exp(0.7) / (1 + math.exp(0.7))
    mass = [math.comb(30, k) * chance**k * (1 - chance) ** (30 - k) for k in range(31)]
    tail = sum(mass[24:])
    slack = max(sum(mass[24 - i : 24]) / i for i in range(1, 25))

    assert p_value(100, 30, 24, 0.7, 0.0) == pytest.approx(tail, rel=1e-9)
    assert p_value(100, 30, 24, 0.7, 1e-3) == pytest.approx(tail + 0.2 * slack, rel=1e-9)


def test_randomised_response_is_never_refuted() -> None:
    """Coins told truly with probability e^ε / (e^ε + 1) are exactly ε-private: over 200 audits the
    bound is above ε in at most one in twenty, and it is not trivial."""
    rng = np.random.default_rng(3)
    found: list[float] = []
    for _ in range(200):
        coins = rng.random(400) < 0.5
        told = np.where(rng.random(400) < 1 / (1 + math.exp(-1.0)), coins, ~coins)
        found.append(one_run_epsilon(told + 0.1 * rng.random(400), coins, 0.0)[0])

    assert np.mean([value > 1.0 for value in found]) <= 0.05
    assert np.median(found) > 0.5


def test_the_ceiling_grows_with_the_canaries() -> None:
    """The bound cannot exceed about 2.6 / 3.8 / 4.9 / 5.8 for 100 / 300 / 1,000 / 3,000 canaries;
    dividing the confidence among several numbers of guesses costs a little of that."""
    found = [ceiling(m, 1e-5) for m in (100, 300, 1000, 3000)]

    assert found == pytest.approx([2.6, 3.8, 4.9, 5.8], abs=0.8)
    assert found == sorted(found)
    scores, coins = np.arange(1000.0), np.arange(1000) >= 500
    assert one_run_epsilon(scores, coins, 1e-5)[0] == ceiling(1000, 1e-5)
    assert bound(1000, 400, 200, 1e-5, 0.05) == 0.0, "guesses by chance refute nothing"


# ---- right training -----------------------------------------------------------------------------

MODELS = [LogisticParams(), MlpParams(hidden=(8,)), MlpParams(hidden=(8,), norm="layer")]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("engine", [InlineParams(), BatchedParams()])
def test_right_training_is_not_contradicted(make_rows: Any, model: Any, engine: Any) -> None:
    """All three models under both engines stay below their claim, and what is seen is what was
    planned; the estimate comes close enough to be worth something. (Layer normalisation turns a
    canary's gradient within a round, so that less of it is seen.)"""
    found = audit(subject(make_rows, model=model, engine=engine), 600, seed=2)

    assert found.findings == ()
    assert found.conformance is not None
    assert 0.25 * found.claimed < found.conformance < found.claimed
    assert 0 < found.one_run < found.claimed
    assert found.sigma_seen == pytest.approx(1.5, rel=0.15)
    assert 0.6 < found.clip_seen < 1.2


def test_momentum_is_accounted_for(make_rows: Any) -> None:
    """A step's noise is carried on by momentum; the noise seen is still the planned one."""
    found = audit(subject(make_rows, momentum=0.8), 600, seed=2)

    assert found.findings == ()
    assert found.sigma_seen == pytest.approx(1.5, rel=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("engine", [InlineParams(), BatchedParams()])
def test_right_training_passes_twenty_times(make_rows: Any, model: Any, engine: Any) -> None:
    """Every right configuration stays below its claim in 20 repetitions."""
    for seed in range(20):
        assert audit(subject(make_rows, model=model, engine=engine), 600, seed).findings == ()


# ---- faults -------------------------------------------------------------------------------------


def scaled_noise(factor: float) -> Callable[[pytest.MonkeyPatch], None]:
    """Noise smaller than the account believes."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        right = KeyedOptimizer.add_noise

        def add_noise(self: KeyedOptimizer) -> None:
            planned = self.noise_multiplier
            self.noise_multiplier = planned * factor
            right(self)
            self.noise_multiplier = planned

        patch.setattr(KeyedOptimizer, "add_noise", add_noise)

    return plant


def mean_noise(patch: pytest.MonkeyPatch) -> None:
    """Noise for a sum, added to a mean and divided once more."""
    right = KeyedOptimizer.add_noise

    def add_noise(self: KeyedOptimizer) -> None:
        planned = self.noise_multiplier
        self.noise_multiplier = planned / float(self.expected_batch_size)
        right(self)
        self.noise_multiplier = planned

    patch.setattr(KeyedOptimizer, "add_noise", add_noise)


def no_clipping(patch: pytest.MonkeyPatch) -> None:
    """Gradients are summed as they are."""

    def clip_and_accumulate(self: KeyedOptimizer) -> None:
        for parameter in self.params:
            parameter.summed_grad = parameter.grad_sample.sum(dim=0)

    patch.setattr(KeyedOptimizer, "clip_and_accumulate", clip_and_accumulate)


def clipped_by_layer(patch: pytest.MonkeyPatch) -> None:
    """Each number is clipped by itself, which bounds no gradient as a whole; tripled to show."""

    def clip_and_accumulate(self: KeyedOptimizer) -> None:
        for parameter in self.params:
            clipped = parameter.grad_sample.clamp(-3 * self.max_grad_norm, 3 * self.max_grad_norm)
            parameter.summed_grad = torch.sum(clipped, dim=0)

    patch.setattr(KeyedOptimizer, "clip_and_accumulate", clip_and_accumulate)


class SameNoise(Trainer):
    """Draws the same noise in every round."""

    def draws(self, task: Task) -> tuple[np.random.Generator, np.random.Generator]:
        return super().draws(task)[0], Streams(0).stream("noise")


class OneMoreEpoch(Trainer):
    """Tells of one step less in every round than it takes."""

    def compute(self, task: Task) -> Any:
        update = super().compute(task)
        assert update.spent is not None
        told = Spend(update.spent.sigma, update.spent.sampling_rate, update.spent.steps - 1)
        return type(update)(update.arrays, update.examples, update.steps, told)


@pytest.mark.parametrize(
    ("plant", "bounded"),
    [
        (scaled_noise(0.0), True),
        (scaled_noise(0.1), True),
        (scaled_noise(0.5), False),
        (mean_noise, True),
        (no_clipping, False),
        (clipped_by_layer, False),
    ],
)
def test_broken_steps_are_caught(
    make_rows: Any,
    monkeypatch: pytest.MonkeyPatch,
    plant: Callable[[pytest.MonkeyPatch], None],
    bounded: bool,
) -> None:
    """No noise, a tenth, half, noise of a mean, no clipping, clipping of something else: the claim
    is contradicted; the gross ones already by the bound that assumes nothing."""
    plant(monkeypatch)

    found = audit(subject(make_rows, sigma=2.5), 600, seed=2)

    assert any("estimate" in text for text in found.findings)
    if bounded:
        assert found.one_run > found.claimed
        assert any("one-run" in text for text in found.findings)


def one_round_only(history: Sequence[Spend], delta: float) -> float:
    """An accountant that is built anew in each round."""
    return epsilon(history[-1:], delta)


def test_an_accountant_of_one_round_is_caught(make_rows: Any) -> None:
    """Rebuilt each round, it claims ε of the last; even the bound is above that."""
    found = audit(subject(make_rows, sigma=1.0), 1000, seed=2, account=one_round_only)

    assert found.conformance is not None
    assert found.conformance > found.claimed
    assert found.findings


@pytest.mark.parametrize(
    ("broken", "words"), [(SameNoise, "same noise"), (OneMoreEpoch, "accounted for")]
)
def test_broken_trainers_are_caught(make_rows: Any, broken: Any, words: str) -> None:
    """Noise that repeats can be subtracted; a release that is not told is not in the account."""
    found: AuditReport = audit(subject(make_rows, trainer=broken), 600, seed=2)

    assert any(words in text for text in found.findings)


def test_a_model_without_a_first_layer_of_its_own_is_refused() -> None:
    """Canaries need weights that nothing else touches; said in one sentence."""
    from simulation.learning.audit.canaries import first_layer

    with pytest.raises(ValueError, match="first layer is linear"):
        first_layer(torch.nn.Sequential(torch.nn.LayerNorm(3), torch.nn.Linear(3, 1)))
