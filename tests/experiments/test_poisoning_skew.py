"""The reason that the stem `poisoning_skew` gives for a robust rule that fails, measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from simulation.attacks.roles import Roles
from simulation.base.rng import Streams
from simulation.base.tensors import decode_model
from simulation.config.load import load
from simulation.federation import fixed
from simulation.world import simulate

CONFIG = Path(__file__).parents[2] / "configs" / "poisoning_skew.yaml"
LIARS = 2
CHANGES = [
    "federation.strategy=FixedMultiKrum",
    f"federation.strategy_args={{num_malicious_nodes: {LIARS}}}",
    "federation.rounds=2",
    "attacks=[{kind: backdoor, inputs: [0, 1], value: 4, fraction: 0.2}]",
]


def krum_ranks(monkeypatch: pytest.MonkeyPatch, partition: str) -> list[list[int]]:
    """Places of the attackers by Krum's score in each round, 0 to 10; the last are left out."""
    experiment = load(CONFIG, [*CHANGES, f"partition={partition}"])
    seed = experiment.seeds[0]
    roles = Roles(experiment.attacks, experiment.hospitals, Streams(seed))
    attackers = [node for attack in roles.summary() for node in attack["nodes"]]
    aggregate, found = fixed.aggregate_models, []

    def watch(rule, rows):
        models = {
            hospital: np.concatenate([a.ravel() for a in decode_model(model).values()])
            for hospital, _, model in rows
        }
        score = {
            hospital: sum(
                sorted(float(((mine - other) ** 2).sum()) for other in models.values())[
                    1 : len(models) - LIARS - 1
                ]
            )
            for hospital, mine in models.items()
        }
        order = sorted(score, key=score.__getitem__)
        found.append(sorted(order.index(attacker) for attacker in attackers))
        return aggregate(rule, rows)

    monkeypatch.setattr(fixed, "aggregate_models", watch)
    simulate(experiment, seed)
    return found


def test_where_hospitals_are_alike_a_backdoor_is_the_furthest_out(monkeypatch):
    """Where hospitals are alike, the two updates with a backdoor are the furthest out of eleven in
    every round, by Krum's own score."""
    assert krum_ranks(monkeypatch, "{kind: iid}") == [[9, 10], [9, 10]]


def test_where_labels_are_skewed_honest_hospitals_are_further_out(monkeypatch):
    """Where labels are skewed, honest hospitals are further from each other than those two are from
    the middle."""
    for ranks in krum_ranks(monkeypatch, "{kind: dirichlet, alpha: 0.3}"):
        assert max(ranks) < 9, "two honest hospitals are left out in the liars' place"
