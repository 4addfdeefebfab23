"""Membership inference and gradient inversion: they work where nothing protects, and not else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from simulation.base.rng import Streams
from simulation.learning.inversion import candidates, errors
from simulation.learning.membership import advantage, membership, true_positives
from simulation.learning.models import build_model, model_arrays
from simulation.learning.params import DpSgdParams, MlpParams, NoPrivacy, TrainingParams
from simulation.learning.train import Trainer

MODEL = MlpParams(hidden=(32,), activation="relu")


def test_rates_are_those_of_the_definition() -> None:
    """Advantage is the largest TPR − FPR (Yeom et al.); TPR is counted at the given FPR."""
    members, others = np.array([3.0, 2.0, 1.0, 0.0]), np.array([1.5, 0.5, -1.0, -2.0])

    assert advantage(members, others) == 0.5
    assert true_positives(members, others) == 0.5, "above all of the others"
    assert true_positives(members, others, 0.25) == 0.75, "one of four may be wrong"
    assert advantage(others - 9, members) == 0.0
    same = np.zeros(5)
    assert advantage(same, same) == true_positives(same, same) == 0.0, "ties tell nothing"


def test_memorised_records_are_found_and_noise_hides_them(make_rows: Any) -> None:
    """A model that has memorised coin tosses gives its members away, to LiRA most; under DP-SGD
    with a small ε neither attacker is better than the theorem allows: (e^ε − 1 + 2δ)/(e^ε + 1)."""
    rows = make_rows(records=60, features=20)
    rows.train_y[:] = np.random.default_rng(1).integers(0, 2, 60)
    training = TrainingParams(learning_rate=0.5, batch_size=15, local_epochs=10)

    open_ = membership(rows, MODEL, training, NoPrivacy(), 3, shadows=12)
    private = membership(
        rows, MODEL, training, DpSgdParams(noise_multiplier=13.0, delta=1e-4), 3, shadows=12
    )

    assert open_.epsilon is None
    assert open_.lira_advantage > 0.6
    assert open_.loss_advantage > 0.6
    assert open_.lira_auroc > 0.85
    assert private.epsilon is not None
    assert private.epsilon <= 1.0
    most = (np.e - 1 + 2e-4) / (np.e + 1)
    chance = 2.5 / np.sqrt(12 * 60 / 2)  # twelve models of 60 records: the rates' own deviation
    assert private.lira_advantage < min(open_.lira_advantage, most) + chance
    assert abs(private.lira_auroc - 0.5) < 0.08


def test_too_few_shadows_are_one_message(make_rows: Any) -> None:
    """Half in, half out, and one left out needs four."""
    with pytest.raises(ValueError, match=r"shadows: needs at least four"):
        membership(make_rows(), MODEL, TrainingParams(), NoPrivacy(), 1, shadows=3)


# ---- gradient inversion -------------------------------------------------------------------------


def step(rows: Any, privacy: Any, batch: int) -> tuple[Any, Any]:
    training = TrainingParams(learning_rate=0.1, batch_size=batch, local_steps=1)
    start = model_arrays(build_model(MODEL, len(rows.features), 3))
    trainer = Trainer(rows, MODEL, training, privacy, 1, Streams(2))
    return start, trainer.train(start, 1).arrays


def test_a_record_alone_is_read_back_exactly(make_rows: Any) -> None:
    """One record, no noise: the quotient of weight and bias gradient is the record, and clipping
    changes nothing about it."""
    rows = make_rows(records=1, features=10)
    for privacy in (NoPrivacy(), DpSgdParams(noise_multiplier=1e-6, delta=1e-2)):
        found = candidates(*step(rows, privacy, 1))

        assert errors(found, rows.train_x).max() < 1e-2


def test_noise_leaves_nothing_to_read(make_rows: Any) -> None:
    """With the noise of DP-SGD no candidate is nearer to the record than zeros are."""
    rows = make_rows(records=1, features=10)

    found = candidates(*step(rows, DpSgdParams(noise_multiplier=1.0, delta=1e-2), 1))

    assert errors(found, rows.train_x).min() > 0.5


def test_a_larger_batch_blurs(make_rows: Any) -> None:
    """Means of several records are further from each of them."""
    few, many = (make_rows(records=n, features=10) for n in (2, 16))

    near, far = (
        errors(candidates(*step(rows, NoPrivacy(), len(rows.train_y))), rows.train_x)
        for rows in (few, many)
    )

    assert np.median(near) < np.median(far)


def test_a_model_without_a_first_linear_layer_is_refused() -> None:
    """The quotient needs weight and bias of one layer."""
    arrays = {"norm": np.ones(3, dtype=np.float32), "bias": np.ones(3, dtype=np.float32)}

    with pytest.raises(ValueError, match="not with a linear layer"):
        candidates(arrays, arrays)
