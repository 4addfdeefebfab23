"""Poisoning by name: what each attack sends, and what it does to a federation."""

from __future__ import annotations

import dataclasses
from statistics import NormalDist

import numpy as np
import pytest

from simulation.attacks.learners.alie import AlieAttack, largest_step
from simulation.attacks.learners.backdoor import BackdoorAttack
from simulation.attacks.learners.feature_noise import FeatureNoiseAttack
from simulation.attacks.learners.ipm import IpmAttack
from simulation.attacks.learners.scaling import ScalingAttack
from simulation.attacks.learners.update import Sight
from simulation.nodes.params import NoLedger
from simulation.trace.events import Attacked
from simulation.world import simulate
from tests.world.conftest import small_experiment

DICE = np.random.default_rng(0)
X = np.arange(12, dtype=np.float32).reshape(4, 3)
Y = np.array([0, 1, 1, 0])


def sight(circle: list[list[float]], hospitals: int = 10) -> Sight:
    arrays = [{"w": np.array(values, dtype=np.float32)} for values in circle]
    base = {"w": np.ones(len(circle[0]), dtype=np.float32)}
    return Sight(1, base, None, arrays[0], arrays, DICE, hospitals)


def run(*attacks, **changes):
    bare = dataclasses.replace(small_experiment(), ledger=NoLedger(), **changes)
    return simulate(dataclasses.replace(bare, attacks=attacks), 1)


def last(outcome, metric: str) -> float:
    rows = [r for r in outcome.metrics if (r["scope"], r["metric"]) == ("pooled", metric)]
    return max(rows, key=lambda row: row["round"])["value"]


# ---- what is sent -------------------------------------------------------------------------------


def test_scaling_goes_further_the_same_way():
    forged = ScalingAttack(hospitals=(0,), factor=3.0).forge(sight([[2.0, 0.5]]))
    assert forged["w"].tolist() == [4.0, -0.5]


def test_inner_product_manipulation_sends_the_mean_turned_around():
    forged = IpmAttack(hospitals=(0, 1), epsilon=0.5).forge(sight([[2.0, 0.0], [4.0, 0.0]]))
    assert forged["w"].tolist() == [0.0, 1.5]


def test_a_little_is_enough_moves_z_deviations_in_each_number():
    forged = AlieAttack(hospitals=(0, 1), z=1.5).forge(sight([[2.0, 0.0], [4.0, 0.0]]))
    assert forged["w"].tolist() == [3.0 - 1.5, 0.0]


@pytest.mark.parametrize(
    ("hospitals", "attackers", "share"),
    [
        (50, 12, 24 / 38),
        (51, 24, 25 / 27),
        (10, 4, 4 / 6),
        (10, 2, 4 / 8),
        (10, 6, 3 / 4),
        (4, 4, 0.5),
    ],
)
def test_the_step_is_the_paper_s(hospitals: int, attackers: int, share: float):
    """s = ⌊n/2 + 1⌋ − m of n − m honest ones lie further out than z; at least one of them does."""
    assert NormalDist().cdf(largest_step(hospitals, attackers)) == pytest.approx(share)


def test_a_backdoor_marks_its_share_and_leaves_the_rest():
    attack = BackdoorAttack(hospitals=(0,), inputs=(1,), value=9.0, target=1, share=0.5)
    x, y = attack.poison(X, Y, np.random.default_rng(1))
    marked = x[:, 1] == 9.0
    assert marked.sum() == 2
    assert (y[marked] == 1).all()
    assert (x[~marked] == X[~marked]).all()
    assert (y[~marked] == Y[~marked]).all()
    assert (np.delete(x, 1, axis=1) == np.delete(X, 1, axis=1)).all()


def test_noise_blurs_inputs_and_keeps_labels():
    attack = FeatureNoiseAttack(hospitals=(0,), deviation=2.0, share=0.5)
    x, y = attack.poison(X, Y, np.random.default_rng(1))
    assert (np.abs(x - X).sum(axis=1) > 0).sum() == 2
    assert (y == Y).all()


@pytest.mark.parametrize(
    ("kind", "wrong", "message"),
    [
        (ScalingAttack, {"factor": 1.0}, "factor: must be above 1"),
        (IpmAttack, {"epsilon": 0.0}, "epsilon: must be above 0"),
        (AlieAttack, {"z": -1.0}, "z: must be above 0"),
        (BackdoorAttack, {"target": 2}, "target: must be 0 or 1"),
        (BackdoorAttack, {"inputs": ()}, "inputs: needs positions"),
        (FeatureNoiseAttack, {"deviation": float("inf")}, "deviation: must be above 0"),
    ],
)
def test_what_makes_no_sense_is_refused(kind, wrong, message: str):
    with pytest.raises(ValueError, match=message):
        kind(hospitals=(0,), **wrong)


# ---- what it does -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "attack",
    [
        FeatureNoiseAttack(fraction=1.0, deviation=30.0),
        IpmAttack(fraction=1.0, epsilon=1.0),
        ScalingAttack(fraction=1.0, factor=500.0),
    ],
)
def test_when_everybody_attacks_the_model_suffers(attack):
    """Control off: the log loss of the honest model."""
    assert last(run(attack), "log_loss") > last(run(), "log_loss") + 0.05


def test_colluding_attackers_send_one_and_the_same_update():
    """They share what they know: every one of them forges the same from all."""
    outcome = run(AlieAttack(hospitals=(0, 2), z=1.0))
    said = {e.node: e.detail for e in outcome.events if isinstance(e, Attacked) and e.round == 1}
    assert said[0] == said[2]


def test_a_backdoor_is_seen_in_its_success_and_hardly_in_the_auroc():
    """Control off: the mark alone does little to an honest model."""
    attack = BackdoorAttack(fraction=0.5, target=0, inputs=(0, 1, 2), value=8.0)
    idle = dataclasses.replace(attack, from_round=2)
    planted = run(attack, attack)
    before = next(
        row["value"] for row in run(idle).metrics
        if (row["metric"], row["round"]) == ("attack_success", 1)
    )  # fmt: skip
    assert last(planted, "attack_success") > before
    assert last(planted, "auroc") > 0.9
