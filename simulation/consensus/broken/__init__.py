"""Deliberately broken replicas: the checkers must catch every one, or they are not trusted.

Each variant removes one rule and nothing else. None is registered as a protocol; a soak run selects
one by name.
"""

from __future__ import annotations

from dataclasses import replace

from simulation.consensus.broken.hotstuff import HOTSTUFF
from simulation.consensus.broken.pbft import PBFT
from simulation.consensus.broken.raft import RAFT
from simulation.consensus.broken.variant import Broken
from simulation.consensus.soak import Subject
from simulation.consensus.subjects import SUBJECTS

BROKEN: dict[str, dict[str, Broken]] = {"pbft": PBFT, "hotstuff": HOTSTUFF, "raft": RAFT}
"""The broken variants by protocol and name."""


def broken_subject(protocol: str, name: str) -> Subject:
    """A protocol with one rule removed, ready to be soaked.

    Raises:
        ValueError: when no such variant exists; the message lists those that do.
    """
    known = BROKEN.get(protocol, {})
    if name not in known:
        choice = f"choose one of {', '.join(known)}" if known else "it has none"
        raise ValueError(f"--broken: unknown variant {name!r} of {protocol}; {choice}")
    build = known[name].build
    return replace(SUBJECTS[protocol], name=f"{protocol}/{name}", build=build)
