"""A small task that runs end to end in a second: logistic regression, four hospitals, no noise."""

from __future__ import annotations

import dataclasses

import pytest

from simulation.config.experiment import Experiment
from simulation.federation.params import FederationParams
from simulation.learning.params import LogisticParams, TrainingParams
from simulation.nodes.params import CommitRevealLedger
from simulation.records.params import BreastCancerParams, IidParams


def small_experiment() -> Experiment:
    return Experiment(
        name="small",
        hospitals=4,
        data=BreastCancerParams(),
        partition=IidParams(),
        model=LogisticParams(),
        training=TrainingParams(learning_rate=0.1, batch_size=32),
        federation=FederationParams(rounds=2),
        ledger=CommitRevealLedger(store="memory"),
    )


@pytest.fixture
def experiment() -> Experiment:
    return small_experiment()


@pytest.fixture
def vary(experiment):
    """The small task with some of its federation parameters changed."""

    def change(**federation) -> Experiment:
        params = dataclasses.replace(experiment.federation, **federation)
        return dataclasses.replace(experiment, federation=params)

    return change
