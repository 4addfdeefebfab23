"""The trainer as a pure function: same arrays, round and seed, same bytes, anywhere."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from simulation.base.rng import Streams
from simulation.base.tensors import model_root
from simulation.learning.models import build_model, model_arrays
from simulation.learning.params import (
    ComputeParams,
    DpSgdParams,
    LogisticParams,
    MlpParams,
    NoPrivacy,
    PrivacyParams,
    TrainingParams,
)
from simulation.learning.train import Trainer, _shuffled

MODEL = MlpParams(hidden=(6, 4))
PRIVACY = [NoPrivacy(), DpSgdParams(noise_multiplier=1.0)]


def start() -> dict[str, Any]:
    return model_arrays(build_model(MODEL, 3, seed=1))


def trainer(rows: Any, privacy: PrivacyParams, seed: int = 42) -> Trainer:
    training = TrainingParams(learning_rate=0.3, momentum=0.5, batch_size=8, local_epochs=2)
    return Trainer(rows, MODEL, training, privacy, 10, Streams(seed))


@pytest.mark.parametrize("privacy", PRIVACY)
def test_training_is_a_pure_function(make_rows: Callable[..., Any], privacy: PrivacyParams) -> None:
    """Nothing is kept between rounds, momentum included, and the arrays given are left alone."""
    learner, given = trainer(make_rows(), privacy), start()
    root = model_root(given)
    first = learner.train(given, 3)
    learner.train(first.arrays, 4)
    learner.scores(first.arrays)
    again = learner.train(given, 3)
    fresh = trainer(make_rows(), privacy).train(given, 3)
    assert model_root(first.arrays) == model_root(again.arrays) == model_root(fresh.arrays)
    assert model_root(given) == root != model_root(first.arrays)


@pytest.mark.parametrize("privacy", PRIVACY)
def test_rounds_hospitals_and_seeds_differ(
    make_rows: Callable[..., Any], privacy: PrivacyParams
) -> None:
    """Each draws from streams of its own."""
    learner = trainer(make_rows(), privacy)
    same_rows = make_rows()
    same_rows.hospital = 1
    updates = [
        learner.train(start(), 1),
        learner.train(start(), 2),
        trainer(same_rows, privacy).train(start(), 1),
        trainer(make_rows(), privacy, seed=43).train(start(), 1),
    ]
    assert len({model_root(update.arrays) for update in updates}) == 4


def test_training_uses_no_global_generator(make_rows: Callable[..., Any]) -> None:
    """What others drew before changes nothing, and what they draw after is not changed."""
    torch.manual_seed(1)
    one = [trainer(make_rows(), privacy).train(start(), 1) for privacy in PRIVACY]
    after = torch.rand(1)
    torch.manual_seed(1)
    assert torch.equal(after, torch.rand(1))
    np.random.seed(9)  # noqa: NPY002 - the global generator is the subject here
    two = [trainer(make_rows(), privacy).train(start(), 1) for privacy in PRIVACY]
    for a, b in zip(one, two, strict=True):
        assert model_root(a.arrays) == model_root(b.arrays)


PROGRAM = """
from simulation.base.rng import Streams
from simulation.base.tensors import model_root
from simulation.learning.models import build_model, model_arrays
from simulation.learning.params import *
from simulation.learning.train import Trainer
from simulation.records.load import load
from simulation.records.params import BreastCancerParams, DirichletParams

streams = Streams(42)
shards = load(BreastCancerParams(), DirichletParams(), 3, streams)
arrays = model_arrays(build_model(MlpParams(), 30, 42))
for privacy in (NoPrivacy(), DpSgdParams(epsilon=4.0)):
    for shard in shards:
        learner = Trainer(shard, MlpParams(), TrainingParams(), privacy, 2, streams)
        update = learner.train(arrays, 1)
        print(model_root(update.arrays).hex(), learner.plan)
"""


def test_processes_and_hash_seeds_agree(capsys: pytest.CaptureFixture[str]) -> None:
    """The same seed gives the same bytes in another process, under another PYTHONHASHSEED and with
    another number of threads."""
    exec(PROGRAM, {})
    here = capsys.readouterr().out
    there = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "PYTHONHASHSEED": "4711", "OMP_NUM_THREADS": "2"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert here == there
    assert len({line.split()[0] for line in here.splitlines()}) == 6


def test_shuffled_batches_cover_every_record_once_in_a_pass() -> None:
    """Without privacy an epoch sees each record once; the last batch is shorter."""
    batches = list(_shuffled(np.random.default_rng(0), 10, 4, 7))
    assert [len(b) for b in batches] == [4, 4, 2, 4, 4, 2, 4]
    for epoch in (batches[:3], batches[3:6]):
        assert sorted(int(i) for batch in epoch for i in batch) == list(range(10))
    assert not torch.equal(torch.cat(batches[:3]), torch.cat(batches[3:6]))


def test_a_full_batch_step_is_gradient_descent(make_rows: Callable[..., Any]) -> None:
    """w − rate · mean gradient, plus FedProx's pull on the second step; by hand."""
    rows = make_rows(records=12)
    training = TrainingParams(learning_rate=0.5, batch_size=12, local_steps=2)
    learner = Trainer(rows, LogisticParams(), training, NoPrivacy(), 1, Streams(1))
    arrays = model_arrays(build_model(LogisticParams(), 3, seed=4))
    x = np.hstack([rows.train_x, np.ones((12, 1))]).astype(np.float64)
    origin = np.append(arrays["output.weight"].ravel(), arrays["output.bias"]).astype(np.float64)
    w = origin.copy()
    for _ in range(2):
        gradient = x.T @ (1 / (1 + np.exp(-x @ w)) - rows.train_y) / 12
        w -= 0.5 * (gradient + 0.3 * (w - origin))
    found = learner.train(arrays, 1, (), proximal_mu=0.3)
    got = np.append(found.arrays["output.weight"].ravel(), found.arrays["output.bias"])
    np.testing.assert_allclose(got, w, atol=1e-6)
    assert (found.examples, found.steps, found.spent) == (12, 2, None)


def test_scores_are_probabilities_in_the_order_of_the_records(
    make_rows: Callable[..., Any],
) -> None:
    """Labels come with their probabilities, for the test rows and, on demand, the training rows."""
    rows = make_rows(records=15)
    learner = Trainer(rows, LogisticParams(), TrainingParams(), NoPrivacy(), 1, Streams(1))
    arrays = model_arrays(build_model(LogisticParams(), 3, seed=4))
    labels, found = learner.scores(arrays)
    logits = rows.test_x.astype(np.float64) @ arrays["output.weight"][0] + arrays["output.bias"]
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-logits)), atol=1e-6)
    assert labels.tolist() == rows.test_y.tolist()
    assert learner.scores(arrays, "train")[0].tolist() == rows.train_y.tolist()


def test_arrays_of_another_model_are_refused(make_rows: Callable[..., Any]) -> None:
    """The message names the tensors that do not fit."""
    learner = trainer(make_rows(), NoPrivacy())
    with pytest.raises(ValueError, match=r"hidden1\.weight"):
        learner.train(model_arrays(build_model(MODEL, 5, seed=1)), 1)


def test_training_takes_virtual_time(make_rows: Callable[..., Any]) -> None:
    """The duration is an integer that depends on the hospital's machine, not on the clock."""
    compute = ComputeParams()
    found = [
        trainer(make_rows(h), privacy).training_us(compute) for h in (0, 1) for privacy in PRIVACY
    ]
    again = [
        trainer(make_rows(h), privacy).training_us(compute) for h in (0, 1) for privacy in PRIVACY
    ]
    assert found == again
    assert all(isinstance(value, int) for value in found)
    assert found[1] > found[0]
    assert found[0] != found[2]
