"""Rules about changes of membership that only the whole configuration can judge."""

from __future__ import annotations

from collections.abc import Iterator

from simulation.config.errors import Path, Problem
from simulation.config.experiment import Experiment
from simulation.consensus.registry import PROTOCOLS
from simulation.learning.trust import CentralParams, DistributedParams
from simulation.nodes.changes import MembershipChange, founders, in_order, members_at


def membership_problems(experiment: Experiment) -> Iterator[Problem]:
    """Everything in the schedule of changes that cannot happen."""
    changes = experiment.membership
    if not changes:
        return
    if not experiment.learns:
        yield Problem(("membership",), "a workload has no rounds; remove it")
        return
    if experiment.ledger.kind == "none":
        yield Problem(
            ("membership",), "there is no ledger to change it on; use another ledger.kind"
        )
        return
    if isinstance(experiment.privacy, (CentralParams, DistributedParams)):
        yield Problem(
            ("membership",),
            f"privacy.kind {experiment.privacy.kind} counts on the same hospitals in every round; "
            "use dp_sgd or none",
        )
        return
    problems = list(_entries(experiment))
    yield from problems or _sizes(experiment)


def _entries(experiment: Experiment) -> Iterator[Problem]:
    """Each change by itself, and after those before it."""
    members = set(founders(experiment.membership, experiment.hospitals))
    seen: set[tuple[int, int]] = set()
    for change in in_order(experiment.membership):
        path: Path = ("membership", experiment.membership.index(change))
        who, rounds = change.hospital, experiment.federation.rounds
        if who >= experiment.hospitals:
            last = experiment.hospitals - 1
            yield Problem((*path, "hospital"), f"there is none {who}; hospitals are 0 to {last}")
            continue
        if change.round > rounds:
            yield Problem(
                (*path, "round"), f"rounds are 1 to {rounds}, got {change.round}; it never opens"
            )
        if (who, change.round) in seen:
            yield Problem(
                path, f"hospital {who} has two changes before round {change.round}; keep one"
            )
        seen.add((who, change.round))
        yield from _possible(change, path, who in members)
        if change.kind == "join":
            members.add(who)
        elif change.kind != "rotate":
            members.discard(who)


def _possible(change: MembershipChange, path: Path, member: bool) -> Iterator[Problem]:
    who, when = change.hospital, change.round
    if change.kind == "join" and member:
        yield Problem(path, f"hospital {who} is a member already before round {when}; remove it")
    elif change.kind != "join" and not member:
        yield Problem(
            path, f"hospital {who} is no member before round {when}, so it cannot {change.kind}"
        )
    elif change.kind == "join" and when == 1:
        yield Problem(
            (*path, "round"), "who takes part from the first round on is a founder; remove it"
        )


def _sizes(experiment: Experiment) -> Iterator[Problem]:
    """There must be enough members at all times."""
    protocol, seats = PROTOCOLS[experiment.consensus.kind], experiment.consensus.replicas
    for change in in_order(experiment.membership):
        path: Path = ("membership", experiment.membership.index(change))
        count = len(members_at(experiment.membership, experiment.hospitals, change.round))
        replicas = count if seats is None else min(seats, count)
        if replicas < protocol.min_replicas:
            yield Problem(
                path,
                f"leaves {replicas} replicas before round {change.round}; {protocol.name} needs at "
                f"least {protocol.min_replicas}",
            )
        elif count < experiment.federation.min_updates:
            yield Problem(
                path,
                f"leaves {count} hospitals before round {change.round}, fewer than "
                f"federation.min_updates ({experiment.federation.min_updates})",
            )
