"""Shrinking: the smallest schedule that still violates the same property."""

from __future__ import annotations

from dataclasses import replace

from simulation.consensus.soak import Plan, SoakResult, Subject, run_plan


def shrink(subject: Subject, plan: Plan, budget: int = 400) -> SoakResult:
    """The smallest plan found, by leaving things out, that still violates the same property.

    Raises:
        ValueError: when the plan violates nothing.
    """
    best = run_plan(subject, plan)
    if best.violation is None:
        raise ValueError("this plan violates no property; there is nothing to shrink")
    name = best.violation.property
    runs = 0

    def still_fails(candidate: Plan) -> SoakResult | None:
        result = run_plan(subject, candidate)
        same = result.violation is not None and result.violation.property == name
        return result if same else None

    size = max(1, len(best.plan.actions) // 2)
    while runs < budget:
        smaller = None
        for start in range(0, len(best.plan.actions), size):
            runs += 1
            kept = best.plan.actions[:start] + best.plan.actions[start + size :]
            smaller = still_fails(replace(best.plan, actions=kept))
            if smaller is not None or runs >= budget:
                break
        if smaller is not None:
            best = smaller
        elif size > 1:
            size //= 2
        else:
            break
    for r, names in sorted(best.plan.byzantine.items()):
        for drop in names:
            lies = dict(best.plan.byzantine)
            left = tuple(b for b in lies[r] if b != drop)
            if left:
                lies[r] = left
                smaller = still_fails(replace(best.plan, byzantine=lies))
                best = smaller or best
    return best
