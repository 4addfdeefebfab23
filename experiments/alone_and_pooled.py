"""What stands beside a federated model: one model of all rows, and each hospital's own.

Both are logistic regressions of scikit-learn on exactly the shards that a run's hospitals hold.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.stem import Run

POOLED, LOCAL, OWN = "pooled", "mean local", "own model"
"""One model of all training rows; the mean over hospitals of each one's own model on its own test
rows; the same models' predictions, all test rows together."""
_POOLED_C = 1.0
"""Inverse strength of the L2 penalty beside the sum of losses: next to none for many rows."""
_OWN_PENALTY = 0.04
"""Strength of a hospital's L2 penalty beside the mean of its losses, alike for few and many
rows and for hospitals and countries. Tried from 0.001 to 0.8, own models of countries reach AUROCs
from 0.80 to 0.81, those of hospitals from 0.70 to 0.74."""


def aurocs(run: Run) -> dict[str, float]:
    """AUROC of the models that are not federated, on the test rows of a run."""
    from simulation.base.rng import Streams
    from simulation.records.load import load

    experiment = run.experiment
    assert experiment is not None
    assert experiment.data is not None
    streams = Streams(run.seed)
    shards = load(experiment.data, experiment.partition, experiment.hospitals, streams).shards
    labels = np.concatenate([shard.test_y for shard in shards])
    train_x = np.concatenate([shard.train_x for shard in shards])
    train_y = np.concatenate([shard.train_y for shard in shards])
    everybody = _fitted(train_x, train_y, _POOLED_C)
    own = [
        _fitted(shard.train_x, shard.train_y, 1 / (_OWN_PENALTY * len(shard.train_y)))
        for shard in shards
    ]
    guesses = [model(shard.test_x) for model, shard in zip(own, shards, strict=True)]
    each = [
        _auroc(shard.test_y, guess)
        for shard, guess in zip(shards, guesses, strict=True)
        if len(np.unique(shard.test_y)) == 2
    ]
    return {
        POOLED: _auroc(labels, everybody(np.concatenate([shard.test_x for shard in shards]))),
        LOCAL: float(np.mean(each)),
        OWN: _auroc(labels, np.concatenate(guesses)),
    }


def _fitted(x: Any, y: Any, inverse_penalty: float) -> Any:
    """Predicts the probability of 1; a hospital that knows one label only always says the same."""
    from sklearn.linear_model import LogisticRegression

    if len(np.unique(y)) < 2:
        return lambda rows: np.full(len(rows), float(y[0]))
    model = LogisticRegression(C=inverse_penalty, max_iter=2_000).fit(x, y)
    return lambda rows: model.predict_proba(rows)[:, 1]


def _auroc(labels: Any, guesses: Any) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(labels, guesses))
