"""The checkers are tested: every broken variant is caught by a named property."""

from __future__ import annotations

import pytest

from simulation.consensus import soak
from simulation.consensus.broken import BROKEN, broken_subject
from simulation.consensus.pbft.replica import PbftReplica

MOST_SEEDS = 2_000

CAUGHT_AT = {
    "quorum-too-small": 0,
    "forgets-prepared": 0,
    "new-view-unverified": 250,
    "view-change-unverified": 41,
    "votes-repeated": 0,
    "digest-not-compared": 4,
    "water-marks-ignored": 0,
    "weak-checkpoint": 0,
    "transfer-unverified": 394,
    "committed-unverified": 27,
    "timer-never-doubles": 20,
    "early-dropped": 37,
    "out-of-order": 0,
    "executes-twice": 0,
    "stale-view-accepted": 0,
    "payload-not-hashed": 25,
    "backup-proposes": 31,
    "oldest-proof-wins": 250,
    "no-null-requests": 9,
    "amnesia": 41,
    "commits-unprepared": 0,
    "never-truncates": 0,
    "stable-unverified": 63,
    "watches-own-only": 9,
}
"""The first seed that catches each variant: where to look first."""


@pytest.mark.parametrize("name", list(BROKEN))
def test_every_broken_variant_is_caught(name: str) -> None:
    """A protocol with one rule removed violates a property within 2,000 seeds."""
    subject = broken_subject(name)
    for seed in (CAUGHT_AT.get(name, 0), *range(MOST_SEEDS)):
        result = soak.run_seed(subject, seed)
        if result.violation is not None:
            break

    assert result.violation is not None, f"{name} is a hole in the checkers"
    assert result.violation.property in BROKEN[name].caught_by


def test_there_are_enough_and_each_removes_something() -> None:
    """At least 15 variants, each with its flaw in words, none of them the real replica."""
    assert len(BROKEN) >= 15
    assert len({broken.build for broken in BROKEN.values()}) == len(BROKEN)
    for broken in BROKEN.values():
        assert issubclass(broken.build, PbftReplica)
        assert broken.build is not PbftReplica
        assert broken.flaw != (PbftReplica.__doc__ or "").strip()


def test_an_unknown_variant_is_refused_with_the_known_ones() -> None:
    """The message lists what exists."""
    with pytest.raises(ValueError, match="quorum-too-small"):
        broken_subject("quorum-to-small")
