"""Federated averaging on the two larger public data sets against numbers of independent code.

Inputs are scaled by pooled statistics here, as the reference was: scaled by site, hospitals whose
patients are sicker than others' look alike, and the pooled AUROC is 0.03 lower at 49 hospitals.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from simulation.base.rng import Streams
from simulation.learning.metrics import evaluate, measure
from simulation.learning.models import build_model, model_arrays
from simulation.learning.params import LogisticParams, NoPrivacy, TrainingParams
from simulation.learning.train import Trainer
from simulation.records.load import load
from simulation.records.params import (
    DataParams,
    Diabetes130Params,
    IidParams,
    IstParams,
    NaturalParams,
)

pytestmark = pytest.mark.slow


class Found(NamedTuple):
    hospitals: int
    federated: float
    pooled: float


@pytest.fixture
def aurocs(real_data: Path, average: Callable[..., Any]) -> Callable[..., Found]:
    """AUROC over all test rows of FedAvg, and of one regression on all training rows."""
    del real_data

    def run(data: DataParams, partition: Any, training: TrainingParams, rounds: int) -> Found:
        streams = Streams(42)
        shards = list(load(data, partition, None, streams))
        trainers = [
            Trainer(shard, LogisticParams(), training, NoPrivacy(), rounds, streams)
            for shard in shards
        ]
        arrays = model_arrays(build_model(LogisticParams(), len(shards[0].features), 42))
        for number in range(1, rounds + 1):
            arrays = average([trainer.train(arrays, number) for trainer in trainers])
        found = evaluate({t.hospital: t.scores(arrays) for t in trainers})
        return Found(len(shards), found["pooled"]["auroc"], regression(shards))

    return run


def regression(shards: list[Any]) -> float:
    """AUROC of logistic regression on the pooled rows."""
    from sklearn.linear_model import LogisticRegression

    fitted = LogisticRegression(max_iter=2_000).fit(
        np.concatenate([s.train_x for s in shards]), np.concatenate([s.train_y for s in shards])
    )
    guesses = fitted.predict_proba(np.concatenate([s.test_x for s in shards]))[:, 1]
    return measure(np.concatenate([s.test_y for s in shards]), guesses)["auroc"]


@pytest.mark.parametrize(
    ("by", "least", "hospitals", "mark"),
    [("hospital", 100, 49, 0.800), ("hospital", 30, 187, 0.807), ("country", 100, 24, 0.804)],
)
def test_the_stroke_trial(
    aurocs: Callable[..., Found], by: Any, least: int, hospitals: int, mark: float
) -> None:
    """49 hospitals: pooled 0.800, FedAvg 0.800; 187: 0.807, 0.807; 24 countries: 0.804, 0.804. One
    split has a deviation of 0.009."""
    training = TrainingParams(learning_rate=0.3, batch_size=64, local_epochs=1)
    data = IstParams(by=by, normalisation="pooled")
    found = aurocs(data, NaturalParams(min_size=least), training, rounds=30)
    assert found.hospitals == hospitals
    assert found.federated == pytest.approx(found.pooled, abs=0.005)
    assert found.federated == pytest.approx(mark, abs=0.018)


@pytest.mark.parametrize(
    ("by", "normalisation", "mark"),
    [
        ("payer", "pooled", 0.639),
        ("specialty", "pooled", 0.643),
        # Within a group by source the source is constant. Scaled by pooled statistics it would be a
        # second intercept that pulls each group its own way: FedAvg 0.616, pooled 0.646.
        ("admission_source", "site", 0.647),
    ],
)
def test_the_diabetes_cohort(
    aurocs: Callable[..., Found], by: Any, normalisation: Any, mark: float
) -> None:
    """FedAvg by payer 0.639, by specialty 0.643, by admission source 0.647; above 0.70 means
    leakage. One split has a deviation of 0.009."""
    training = TrainingParams(learning_rate=0.2, batch_size=256, local_epochs=1)
    data = Diabetes130Params(by=by, normalisation=normalisation)
    found = aurocs(data, NaturalParams(min_size=50), training, rounds=12)
    assert found.federated == pytest.approx(mark, abs=0.015)
    assert found.federated == pytest.approx(found.pooled, abs=0.006)
    assert max(found.federated, found.pooled) < 0.70


@pytest.mark.parametrize(
    ("data", "mark", "margin"),
    [
        (IstParams(normalisation="pooled"), 0.798, 0.006),
        (Diabetes130Params(normalisation="pooled"), 0.649, 0.012),
    ],
)
def test_all_rows_together(real_data: Path, data: DataParams, mark: float, margin: float) -> None:
    """Logistic regression on all rows: 0.798 ± 0.006 and 0.649 ± 0.012, over five splits."""
    del real_data
    found = [regression(list(load(data, IidParams(), 1, Streams(seed)))) for seed in range(42, 47)]
    assert np.mean(found) == pytest.approx(mark, abs=margin)
