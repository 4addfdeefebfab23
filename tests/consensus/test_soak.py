"""Swarm testing of the protocols, and runs beyond what they tolerate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from simulation.consensus import invariants, soak
from simulation.consensus.pbft.params import PbftParams
from simulation.consensus.shrink import shrink
from simulation.consensus.soak import Action, Plan
from simulation.consensus.subjects import SUBJECTS

SEEDS = {"pbft": 300, "hotstuff": 100, "raft": 300}
CHUNK = 50
CHUNKS = [(name, first) for name, seeds in SEEDS.items() for first in range(0, seeds, CHUNK)]
PBFT = SUBJECTS["pbft"]
ONLY_DECISIONS = replace(PBFT, observe=invariants.observe)
"""Watched by their decisions alone, so that a run goes on until two of them conflict."""


@pytest.mark.parametrize(("name", "first"), CHUNKS)
def test_no_seed_violates_a_property(name: str, first: int) -> None:
    """At most f faulty: safety always; after healing every request executed, all logs equal."""
    results = [soak.run_seed(SUBJECTS[name], seed) for seed in range(first, first + CHUNK)]

    assert [str(r.violation) for r in results if not r.ok] == []
    assert all(r.executed > 0 for r in results)
    assert any(r.view_changes for r in results), "no seed of this chunk has tried the hard parts"


def test_the_seed_that_found_a_fault_finds_it_no_more() -> None:
    """A new primary whose queue was full gave numbers twice; 300 seeds do not come across it."""
    assert soak.run_seed(PBFT, 16_472).ok


def test_every_protocol_that_can_be_soaked_is() -> None:
    """None is left out of the seeds above."""
    assert set(SEEDS) == set(SUBJECTS)


def test_the_same_seed_gives_the_same_run() -> None:
    """A seed is a run: plan, decisions, messages, times."""
    assert soak.run_seed(PBFT, 13) == soak.run_seed(PBFT, 13)
    assert soak.run_seed(PBFT, 13) != soak.run_seed(PBFT, 19)


def test_seeds_draw_different_mixes() -> None:
    """Swarm testing: most faults are absent from any one plan, and all occur in some."""
    plans = [soak.draw_plan(PBFT, seed) for seed in range(300)]
    kinds = [{action.what for action in plan.actions} for plan in plans]
    for what in ("loss", "duplicate", "spread", "slow", "cut", "crash"):
        share = sum(what in k for k in kinds) / len(kinds)
        assert 0.05 < share < 0.7, (what, share)
    lies = {name for plan in plans for names in plan.byzantine.values() for name in names}
    assert lies == set(PBFT.attacks)
    for plan in plans:
        assert len(plan.byzantine) <= PBFT.tolerates(plan.n)


def beyond(seed: int, n: int, quorum: Any, liars: Sequence[int], how: tuple[str, ...]) -> Plan:
    """Clients of the honest replicas, liars of one kind, nothing else."""
    honest = [r for r in range(n) if r not in liars]
    return Plan(
        seed=seed,
        n=n,
        params=PbftParams(
            quorum=quorum,
            batch_max_age_ms=0.0,
            request_timeout_ms=250.0,
            client_retry_ms=100.0,
            retransmit_ms=100.0,
            heartbeat_ms=400.0,
        ),
        byzantine=dict.fromkeys(liars, how),
        actions=tuple(Action(1000 * k, "propose", r) for k, r in enumerate(honest)),
        gst_us=1_000_000,
        base_delay_us=1_000,
        spread_us=2_000,
    )


def first_and_last(n: int, liars: int) -> tuple[int, ...]:
    """The first primary and the last replicas; the honest ones are as often even as odd."""
    return (0, *range(n - liars + 1, n))


FORK = ("split-evenly", "vote-to-each")


@pytest.mark.parametrize(("n", "f"), [(8, 2), (32, 10)])
def test_two_f_plus_one_forks_when_n_is_not_three_f_plus_one(n: int, f: int) -> None:
    """Quorums of 2f + 1 of n > 3f + 1 may meet in liars only (scenario 24)."""
    plan = beyond(1, n, "2f+1", first_and_last(n, f), FORK)

    result = soak.run_plan(ONLY_DECISIONS, plan)

    assert result.violation is not None
    assert result.violation.property == "agreement"
    assert "decided" in result.violation.detail


@pytest.mark.parametrize(("n", "f"), [(8, 2), (32, 10)])
def test_the_safe_quorum_does_not_fork_there(n: int, f: int) -> None:
    """⌈(n + f + 1) / 2⌉ is safe for every n, against the same liars (scenario 24)."""
    assert soak.run_plan(PBFT, beyond(1, n, "safe", first_and_last(n, f), FORK)).ok


def test_with_more_than_f_liars_safety_breaks() -> None:
    """f + 1 equivocating colluders fork the group, and the checker shows where (scenario 27)."""
    result = soak.run_plan(ONLY_DECISIONS, beyond(1, 4, "safe", first_and_last(4, 2), FORK))

    assert result.violation is not None
    assert result.violation.property == "agreement"


def test_with_more_than_f_silent_liveness_stops_and_says_who_waits() -> None:
    """f + 1 silent replicas stop progress; the run ends and reports who waits (scenario 27)."""
    result = soak.run_plan(PBFT, beyond(1, 4, "safe", range(2, 4), ("silent",)))

    assert result.violation is not None
    assert result.violation.property == "liveness"
    assert "own requests open: 0/1" in result.violation.detail


def test_shrinking_keeps_the_violation_and_drops_the_rest() -> None:
    """A failing plan shrinks to a smaller one that violates the same property."""
    from simulation.consensus.broken import broken_subject

    subject = broken_subject("pbft", "executes-twice")
    plan = soak.draw_plan(subject, 0)

    small = shrink(subject, plan)

    assert small.violation is not None
    assert small.violation.property == "exactly-once"
    assert len(small.plan.actions) < len(plan.actions) / 2


def test_there_is_nothing_to_shrink_in_a_good_run() -> None:
    """Shrinking asks for a failing plan."""
    with pytest.raises(ValueError, match="nothing to shrink"):
        shrink(PBFT, soak.draw_plan(PBFT, 1))
