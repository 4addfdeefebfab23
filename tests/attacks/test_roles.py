"""Who attacks in a run: named hospitals, or a share that the seed chooses."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from simulation.attacks.learners.label_flip import LabelFlipAttack
from simulation.attacks.learners.sign_flip import SignFlipAttack
from simulation.attacks.roles import Roles
from simulation.base.rng import Streams


@given(
    seed=st.integers(0, 2**32),
    hospitals=st.integers(1, 64),
    shares=st.tuples(st.integers(0, 100), st.integers(0, 100)).map(sorted),
)
def test_a_larger_share_contains_a_smaller_one(seed, hospitals, shares):
    """Seeded, nested choice: a larger fraction contains the smaller."""
    small, large = (
        set(SignFlipAttack(fraction=share / 100).attackers(hospitals, Streams(seed)))
        for share in shares
    )

    assert small <= large
    assert len(small) == shares[0] * hospitals // 100
    assert large <= set(range(hospitals))


def test_the_seed_chooses():
    chosen = {SignFlipAttack(fraction=0.3).attackers(10, Streams(seed)) for seed in range(20)}

    assert len(chosen) > 10


def test_two_attacks_begin_with_the_same_hospitals():
    attacks = [SignFlipAttack(fraction=0.2), LabelFlipAttack(fraction=0.4)]

    one, other = Roles(attacks, 10, Streams(3)).summary()

    assert set(one["nodes"]) < set(other["nodes"])
