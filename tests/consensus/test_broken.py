"""The checkers are tested: every broken variant is caught by a named property."""

from __future__ import annotations

import pytest

from simulation.consensus import soak
from simulation.consensus.broken import BROKEN, broken_subject
from simulation.consensus.registry import PROTOCOLS

MOST_SEEDS = 2_000

CAUGHT_AT = {
    "pbft": {
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
    },
    "hotstuff": {
        "quorum-too-small": 0,
        "believes-certificates": 5,
        "votes-twice": 5,
        "forgets-votes": 45,
        "commits-one-chain": 0,
        "commits-two-chain": 0,
        "ignores-gaps": 27,
        "block-unverified": 285,
        "skips-rounds": 60,
        "new-view-once": 1,
        "transfer-unverified": 879,
        "proof-unverified": 231,
        "never-doubles": 7,
        "anything-goes": 24,
        "never-prunes": 0,
    },
    "raft": {
        "minority-commits": 0,
        "forgets-votes": 9,
        "votes-twice": 5,
        "accepts-anything": 25,
        "elects-anybody": 9,
    },
}
"""The first seed that catches each variant: where to look first."""

VARIANTS = [(protocol, name) for protocol, variants in BROKEN.items() for name in variants]


@pytest.mark.parametrize(("protocol", "name"), VARIANTS)
def test_every_broken_variant_is_caught(protocol: str, name: str) -> None:
    """A protocol with one rule removed violates a property within 2,000 seeds."""
    subject = broken_subject(protocol, name)
    for seed in (CAUGHT_AT[protocol].get(name, 0), *range(MOST_SEEDS)):
        result = soak.run_seed(subject, seed)
        if result.violation is not None:
            break

    assert result.violation is not None, f"{name} is a hole in the checkers"
    assert result.violation.property in BROKEN[protocol][name].caught_by


@pytest.mark.parametrize("protocol", list(BROKEN))
def test_each_removes_something(protocol: str) -> None:
    """Each variant has its flaw in words and is none of the others, nor the real replica."""
    real = type(PROTOCOLS[protocol].build(0, 4, PROTOCOLS[protocol].params()))
    variants = BROKEN[protocol].values()
    assert len({broken.build for broken in variants}) == len(variants)
    for broken in variants:
        assert issubclass(broken.build, real)
        assert broken.build is not real
        assert broken.flaw != (real.__doc__ or "").strip()


def test_there_are_enough_of_pbft() -> None:
    """At least 15 variants of the main protocol."""
    assert len(BROKEN["pbft"]) >= 15


def test_an_unknown_variant_is_refused_with_the_known_ones() -> None:
    """The message lists what exists."""
    with pytest.raises(ValueError, match="quorum-too-small"):
        broken_subject("pbft", "quorum-to-small")
    with pytest.raises(ValueError, match="it has none"):
        broken_subject("sequencer", "quorum-too-small")
