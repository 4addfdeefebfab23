"""The audit of a privacy claim: right training passes, and every planted fault is caught."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
import torch

from simulation.base.rng import Streams
from simulation.learning.audit.coins import Coins, reveal
from simulation.learning.audit.fdp import f_dp_ceiling, f_dp_epsilon, gdp_delta, gdp_epsilon
from simulation.learning.audit.onerun import bound, ceiling, one_run_epsilon, p_value
from simulation.learning.audit.report import AuditReport, audit
from simulation.learning.audit.sight import Subject
from simulation.learning.dpsgd import KeyedOptimizer
from simulation.learning.engines import BatchedParams, InlineParams, ProcessParams
from simulation.learning.engines.task import Task
from simulation.learning.models import build_model, load_arrays, model_arrays
from simulation.learning.params import DpSgdParams, LogisticParams, MlpParams, TrainingParams
from simulation.learning.privacy import epsilon
from simulation.learning.train import Trainer, _poisson
from simulation.learning.update import ModelUpdate, Spend


def subject(make_rows: Any, **changes: Any) -> Subject:
    unit = changes.pop("unit", "record")
    return Subject(
        records=make_rows(records=100, patients=60 if unit == "patient" else None),
        model=changes.pop("model", LogisticParams()),
        training=TrainingParams(
            learning_rate=0.2, batch_size=25, momentum=changes.pop("momentum", 0.0)
        ),
        privacy=DpSgdParams(noise_multiplier=changes.pop("sigma", 1.5), delta=1e-4, unit=unit),
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


# ---- its f-DP form ------------------------------------------------------------------------------


def test_a_gaussian_mechanism_is_never_refuted_and_nearly_met() -> None:
    """Scores at distance μ with unit noise are exactly μ-GDP: over 100 audits the refuted μ is
    above the true one in at most one in twenty, and the bound beats the one that knows no f."""
    rng = np.random.default_rng(5)
    mu, m, delta = 1.0, 600, 1e-5
    truth = gdp_epsilon(mu, delta)
    found: list[tuple[float, float]] = []
    for _ in range(100):
        coins = rng.random(m) < 0.5
        scores = mu * coins + rng.standard_normal(m)
        found.append((f_dp_epsilon(scores, coins, delta), one_run_epsilon(scores, coins, delta)[0]))

    assert np.mean([f_dp > truth for f_dp, _ in found]) <= 0.05
    assert np.median([f_dp for f_dp, _ in found]) > 0.35 * truth
    assert np.median([f_dp for f_dp, _ in found]) > np.median([plain for _, plain in found])


def test_the_epsilon_of_mu_is_the_closed_form() -> None:
    """Dong et al., corollary 2.13, at the values of a Gaussian mechanism: σ = 1, 50 steps of σ = 5
    (μ = √50 / 5) give ε 4.8453 at δ 1e-3."""
    assert gdp_epsilon(math.sqrt(50) / 5, 1e-3) == pytest.approx(4.8453, abs=1e-4)
    assert gdp_epsilon(0.0, 1e-3) == 0.0
    assert gdp_epsilon(1e-4, 1e-3) == 0.0, "δ alone covers it"
    assert gdp_delta(60.0, 1.0) == pytest.approx(1.0)


def test_the_f_dp_ceiling_is_above_the_other() -> None:
    """What guesses that are all right can show, in both forms."""
    for m in (100, 1000):
        scores, coins = np.arange(float(m)), np.arange(m) >= m // 2
        assert f_dp_epsilon(scores, coins, 1e-5) == f_dp_ceiling(m, 1e-5) > ceiling(m, 1e-5)


# ---- coins --------------------------------------------------------------------------------------


def test_coins_are_committed_to_before_training_and_give_the_bound_again(make_rows: Any) -> None:
    """Commit the coins before training and reveal them after, and every peer can recompute the
    bound; other coins do not open the commitment."""
    told: list[str] = []

    class Late(Trainer):
        def compute(self, task: Task) -> Any:
            assert told, "the coins are committed to by now"
            return super().compute(task)

    audited = subject(make_rows, trainer=Late)
    found = audit(audited, 100, seed=3, committed=lambda digest: told.append(digest.hex()))

    revealed = reveal(bytes.fromhex(found.coins), bytes.fromhex(found.salt), 100)
    assert told == [found.commitment]
    assert revealed.commitment.hex() == found.commitment
    again = one_run_epsilon(np.array(found.scores), revealed.values, found.delta)
    assert again == (found.one_run, found.guesses, found.right)
    assert Coins(~revealed.values, revealed.salt).commitment.hex() != found.commitment


# ---- right training -----------------------------------------------------------------------------

MODELS = [LogisticParams(), MlpParams(hidden=(8,)), MlpParams(hidden=(8,), norm="layer")]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("engine", [InlineParams(), BatchedParams()])
@pytest.mark.parametrize("unit", ["record", "patient"])
def test_right_training_is_not_contradicted(
    make_rows: Any, model: Any, engine: Any, unit: str
) -> None:
    """All three models under both engines and units stay below their claim, and what is seen is
    what was planned; the estimate comes close enough to be worth something. (Layer normalisation
    turns a canary's gradient within a round, so that less of it is seen.)"""
    found = audit(subject(make_rows, model=model, engine=engine, unit=unit), 600, seed=2)

    assert found.findings == ()
    assert found.conformance is not None
    assert 0.25 * found.claimed < found.conformance < found.claimed
    assert 0 < found.one_run < found.claimed
    assert found.one_run < found.f_dp < found.claimed
    assert found.sigma_seen == pytest.approx(1.5, rel=0.15)
    assert 0.6 < found.clip_seen < 1.2


def test_momentum_is_accounted_for(make_rows: Any) -> None:
    """A step's noise is carried on by momentum; the noise seen is still the planned one."""
    found = audit(subject(make_rows, momentum=0.8), 600, seed=2)

    assert found.findings == ()
    assert found.sigma_seen == pytest.approx(1.5, rel=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("engine", [InlineParams(), ProcessParams(workers=1), BatchedParams()])
@pytest.mark.parametrize("unit", ["record", "patient"])
def test_right_training_passes_twenty_times(
    make_rows: Any, model: Any, engine: Any, unit: str
) -> None:
    """Every right configuration stays below its claim in 20 repetitions: both units, three models,
    all engines. (That of Ray runs the same function as that of processes, in its own workers.)"""
    audited = subject(make_rows, model=model, engine=engine, unit=unit)
    for seed in range(20):
        assert audit(audited, 600, seed).findings == ()


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


def clipped_by_visit(patch: pytest.MonkeyPatch) -> None:
    """Every record of a patient is clipped by itself, as if the claim were about records."""
    right = KeyedOptimizer.clip_and_accumulate

    def clip_and_accumulate(self: KeyedOptimizer) -> None:
        self.owners = None
        right(self)

    patch.setattr(KeyedOptimizer, "clip_and_accumulate", clip_and_accumulate)


def clipped_by_layer(patch: pytest.MonkeyPatch) -> None:
    """Each number is clipped by itself, which bounds no gradient as a whole; tripled to show."""

    def clip_and_accumulate(self: KeyedOptimizer) -> None:
        for parameter in self.params:
            clipped = parameter.grad_sample.clamp(-3 * self.max_grad_norm, 3 * self.max_grad_norm)
            parameter.summed_grad = torch.sum(clipped, dim=0)

    patch.setattr(KeyedOptimizer, "clip_and_accumulate", clip_and_accumulate)


class GhostOfColumns(Trainer):
    """Ghost clipping with targets of shape (B, 1): factors (B,) times losses (B, 1) are (B, B), so
    that Opacus 1.6 silently clips nothing."""

    def _train_privately(self, planned: Any, task: Task) -> ModelUpdate:
        from opacus.grad_sample.grad_sample_module_fast_gradient_clipping import (
            GradSampleModuleFastGradientClipping,
        )
        from opacus.optimizers import DPOptimizerFastGradientClipping
        from opacus.utils.fast_gradient_clipping_utils import DPLossFastGradientClipping

        module = build_model(self.model, len(self.shard.features), 0)
        load_arrays(module, task.arrays)
        wrapped = GradSampleModuleFastGradientClipping(
            module, max_grad_norm=planned.max_grad_norm, use_ghost_clipping=True
        )
        sampling, noise = self.draws(task)
        optimizer = DPOptimizerFastGradientClipping(
            self._sgd(module),
            noise_multiplier=planned.sigma,
            max_grad_norm=planned.max_grad_norm,
            expected_batch_size=planned.sampling_rate * self.units.count,
            generator=torch.Generator().manual_seed(int(noise.integers(2**31))),
        )
        loss = DPLossFastGradientClipping(
            wrapped, optimizer, torch.nn.BCEWithLogitsLoss(reduction="mean")
        )
        x, y = self._tensors(task.round)
        for _ in range(planned.steps):
            rows = sampling.random(len(y)) < planned.sampling_rate
            optimizer.zero_grad()
            loss(wrapped(x[rows]), y[rows].unsqueeze(1)).backward()
            optimizer.step()
        return ModelUpdate(model_arrays(module), self.examples, planned.steps, planned.release)


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
    ("broken", "words"),
    [
        (SameNoise, "same noise"),
        (OneMoreEpoch, "accounted for"),
        (GhostOfColumns, "f-DP bound"),
    ],
)
def test_broken_trainers_are_caught(make_rows: Any, broken: Any, words: str) -> None:
    """Noise that repeats can be subtracted; a release that is not told is not in the account; what
    ghost clipping does not clip shows."""
    found: AuditReport = audit(subject(make_rows, trainer=broken), 600, seed=2)

    assert any(words in text for text in found.findings)


def test_records_clipped_in_the_place_of_patients_are_caught(
    make_rows: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A claim by patient over training by record: a canary's three visits move the model thrice."""
    clipped_by_visit(monkeypatch)

    found = audit(subject(make_rows, unit="patient"), 600, seed=2)

    assert any("times the clipping norm" in text for text in found.findings)
    assert any("estimate" in text for text in found.findings)


def test_fixed_batches_are_impossible_by_construction(make_rows: Any) -> None:
    """No audit sees how batches are drawn, so that nothing else can be asked for: the parameters
    offer no sampler, and every private batch of a round is drawn anew from all units."""
    assert not {f.name for f in fields(DpSgdParams)} & {"sampler", "shuffle", "sampling"}
    trainer = Trainer(
        make_rows(records=40),
        LogisticParams(),
        TrainingParams(batch_size=10, local_steps=40),
        DpSgdParams(noise_multiplier=1.0, delta=1e-4),
        1,
        Streams(1),
    )
    assert trainer.plan is not None
    sampling, _ = trainer.draws(Task({}, 1))

    batches = list(_poisson(sampling, trainer.units, trainer.plan.sampling_rate, 40))

    counts = np.bincount(np.concatenate([b.numpy() for b in batches]), minlength=40)
    assert len({len(batch) for batch in batches}) > 5, "sizes are random"
    assert len(set(counts.tolist())) > 5, "some are drawn more often than others in an epoch"


def test_a_model_without_a_first_layer_of_its_own_is_refused() -> None:
    """Canaries need weights that nothing else touches; said in one sentence."""
    from simulation.learning.audit.canaries import first_layer

    with pytest.raises(ValueError, match="first layer is linear"):
        first_layer(torch.nn.Sequential(torch.nn.LayerNorm(3), torch.nn.Linear(3, 1)))
