"""Shrinking: a failing plan becomes a smaller one that fails in the same way."""

from __future__ import annotations

from dataclasses import replace

import pytest

from simulation.consensus import soak
from simulation.consensus.broken import broken_subject
from simulation.consensus.shrink import shrink
from tests.consensus.test_broken import CAUGHT_AT

VARIANTS = (
    "executes-twice",
    "out-of-order",
    "forgets-prepared",
    "weak-checkpoint",
    "payload-not-hashed",
)


@pytest.mark.parametrize("name", VARIANTS)
def test_a_failing_plan_shrinks_to_one_that_still_fails(name: str) -> None:
    """The same property, no action or lie that was not there before, and it can be replayed."""
    subject = broken_subject("pbft", name)
    plan = soak.draw_plan(subject, CAUGHT_AT["pbft"][name])
    original = soak.run_plan(subject, plan)
    assert original.violation is not None

    small = shrink(subject, plan, budget=40)

    assert small.violation is not None
    assert small.violation.property == original.violation.property
    assert len(small.plan.actions) < len(plan.actions)
    left = iter(plan.actions)
    assert all(action in left for action in small.plan.actions), "in their old order"
    assert set(small.plan.byzantine) <= set(plan.byzantine)
    for replica, lies in small.plan.byzantine.items():
        assert set(lies) <= set(plan.byzantine[replica])
    again = soak.run_plan(subject, small.plan)
    assert again == small


def test_nothing_more_can_be_left_out() -> None:
    """With enough tries the plan is minimal: without any one action it fails no longer."""
    subject = broken_subject("pbft", "executes-twice")
    plan = soak.draw_plan(subject, CAUGHT_AT["pbft"]["executes-twice"])

    small = shrink(subject, plan)

    assert small.violation is not None
    actions = small.plan.actions
    for k in range(len(actions)):
        fewer = replace(small.plan, actions=actions[:k] + actions[k + 1 :])
        result = soak.run_plan(subject, fewer)
        assert result.violation is None or result.violation.property != small.violation.property


def test_shrinking_keeps_to_its_budget() -> None:
    """A small budget gives a larger plan, never a longer one than at the start."""
    subject = broken_subject("pbft", "out-of-order")
    plan = soak.draw_plan(subject, CAUGHT_AT["pbft"]["out-of-order"])

    sizes = [len(shrink(subject, plan, budget).plan.actions) for budget in (1, 10, 100)]

    assert sizes[0] >= sizes[1] >= sizes[2]
    assert sizes[0] <= len(plan.actions)
