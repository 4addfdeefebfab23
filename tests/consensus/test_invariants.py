"""The properties that every protocol's observer holds replicas to: what they let pass, and not."""

from __future__ import annotations

import pytest

from simulation.consensus.invariants import Invariants
from simulation.consensus.protocol import Batch, Decide, Request


def decided(*asked: bytes, ordered: bytes) -> list[str]:
    """What is violated when these were submitted under one number, and this is decided."""
    observer = Invariants(4, frozenset(range(4)))
    for payload in asked:
        observer.on_submit(Request(0, 2, payload))
    batch = Batch((Request(0, 2, ordered),), time_us=1)
    observer.on_decide(3, Decide(1, 0, batch, 0), 5)
    return [violation.property for violation in observer.violations]


@pytest.mark.parametrize("ordered", [b"confirm", b"commit"])
def test_whatever_was_asked_under_a_number_may_be_decided(ordered: bytes) -> None:
    """A number that a refused transaction has not used up goes to the next; in another epoch the
    first one may be ordered again."""
    assert decided(b"confirm", b"commit", ordered=ordered) == []


@pytest.mark.parametrize("asked", [(), (b"confirm", b"commit")])
def test_what_nobody_asked_violates_validity(asked: tuple[bytes, ...]) -> None:
    """Validity: every decided request was submitted by its client, as it was."""
    assert decided(*asked, ordered=b"forged") == ["validity"]
