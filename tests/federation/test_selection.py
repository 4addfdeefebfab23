"""Who trains in a round: each rule alone, without a run."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulation.base.rng import Streams
from simulation.federation.selection import (
    SelectAll,
    SelectBySize,
    SelectInTurn,
    SelectRandom,
)

SOME = (SelectRandom, SelectInTurn, SelectBySize)
members = st.lists(st.integers(0, 60), min_size=1, max_size=20, unique=True)


@given(members, st.integers(1, 20), st.integers(1, 50), st.integers(0, 9), st.randoms())
@pytest.mark.parametrize("rule", SOME)
def test_a_rule_depends_on_seed_round_and_members_not_on_their_order(
    rule, members, count, number, seed, shuffler
):
    """ "pure, seeded rules": the same choice for the same members, reported in any order."""
    selection, examples = rule(count=count), {member: member + 1 for member in members[1:]}
    mixed = list(members)
    shuffler.shuffle(mixed)

    chosen = selection.choose(number, members, examples, Streams(seed))

    assert chosen == selection.choose(
        number, mixed, dict(reversed(examples.items())), Streams(seed)
    )
    assert list(chosen) == sorted(set(chosen))
    assert set(chosen) <= set(members)
    assert len(chosen) == min(count, len(members))


@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 40))
def test_in_turn_nobody_is_more_than_one_turn_ahead(hospitals, count, rounds):
    """ "After any round the numbers of turns of two hospitals differ by at most one"."""
    rule, turns = SelectInTurn(count=count), Counter(dict.fromkeys(range(hospitals), 0))
    for number in range(1, rounds + 1):
        turns.update(rule.choose(number, range(hospitals), {}, Streams(1)))
        assert max(turns.values()) - min(turns.values()) <= 1
    assert sum(turns.values()) == rounds * min(count, hospitals)


def test_by_size_the_larger_trains_more_often_in_proportion():
    """ "each as likely as its share of the committed examples"; the unheard count as the mean."""
    rule, drawn = SelectBySize(count=1), Counter()
    for number in range(1, 2001):
        drawn.update(rule.choose(number, range(3), {0: 100, 1: 300}, Streams(5)))
    assert [drawn[h] / 2000 for h in range(3)] == pytest.approx([1 / 6, 3 / 6, 2 / 6], abs=0.04)


def test_a_random_draw_favours_nobody_and_differs_from_round_to_round():
    drawn = [SelectRandom(count=2).choose(n, range(4), {0: 10**6}, Streams(5)) for n in range(2000)]
    turns = Counter(hospital for chosen in drawn for hospital in chosen)
    assert [turns[h] / 2000 for h in range(4)] == pytest.approx([0.5] * 4, abs=0.04)
    assert len(set(drawn)) == 6


@pytest.mark.parametrize(("fraction", "size"), [(0.01, 1), (0.3, 3), (0.58, 6), (1.0, 10)])
def test_a_fraction_is_rounded_and_leaves_at_least_one(fraction, size):
    assert SelectRandom(fraction=fraction).size(10) == size


def test_all_are_all():
    assert SelectAll().choose(3, [2, 0, 1], {}, Streams(1)) == (0, 1, 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "count: give exactly one of count and fraction"),
        ({"count": 2, "fraction": 0.5}, "count: give exactly one"),
        ({"count": 0}, "count: must be at least 1, got 0"),
        ({"fraction": 0.0}, "fraction: must be above 0 and at most 1"),
        ({"fraction": 1.5}, "fraction: must be above 0 and at most 1"),
        ({"fraction": float("nan")}, "fraction: must be above 0 and at most 1"),
    ],
)
@pytest.mark.parametrize("rule", SOME)
def test_a_rule_without_a_sensible_size_is_refused(rule, arguments, message):
    with pytest.raises(ValueError, match=message):
        rule(**arguments)
