"""A run's events as tidy rows: what every table and figure of a run is made from.

One row is one number: ``round``, ``scope``, ``metric``, ``value`` and ``t_us``, the virtual time at
which it was known. Scopes and metrics:

========================  =======================================================================
scope                     metrics
========================  =======================================================================
``hospital-NN``           ``auroc``, ``accuracy``, … of its test rows; ``epsilon`` spent since the
                          start; ``accepted_by`` and ``refused_by``, how many nodes held its update
                          against their ledger copy, and with which verdict
``pooled``, ``mean``      the same measurements over all test rows, and their mean over hospitals;
                          ``attack_success`` of a backdoor in ``pooled``
``sex=…``, ``gap-…``, …   of the last model only, as `simulation.learning.assess` lists them, with
                          ``auroc_low``, ``auroc_high``, … in all scopes; ``reliability`` and
                          ``decision`` hold the points of the two curves
``max``                   ``epsilon``: the largest of all hospitals so far
``round``                 ``updates_accepted``, ``updates_rejected``, ``updates_late``; ``void``
                          (0 or 1); ``transactions`` executed, with ``consensus_p50_us`` and
                          ``consensus_p99_us`` of their latency; ``duration_us``, and the phases
                          that it consists of: ``download_us``, ``train_us``, ``consensus_us``,
                          ``upload_us``, ``wait_us``, ``aggregate_us``
========================  =======================================================================

*Latency* is the time from a submission until the submitter's own ledger copy has executed the
transaction; it counts for the round in which it ended. *Percentiles* follow the nearest-rank rule:
the smallest of the observed values that at least p per cent of them do not exceed, so that they
are always values that occurred.

The *phases* of a round are means over the hospitals that took part, to which the coordinator's own
phases are added, because everybody waits for those. What a hospital did after the coordinator had
stopped collecting is not counted. ``wait_us`` is the rest: the mean hospital waiting for slower
ones (or for the deadline). So the phases of a round add up to its duration.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from simulation.base.ids import hospital_name
from simulation.trace.events import (
    Event,
    Measured,
    PhaseEnded,
    PrivacySpent,
    RoundClosed,
    RoundOpened,
    TransactionExecuted,
    UpdateChecked,
)

Row = dict[str, Any]
"""``round``: int, ``scope``: str, ``metric``: str, ``value``: float, ``t_us``: int."""

ROUND = "round"
"""The scope of what belongs to a round as a whole."""
MAX = "max"
"""The scope of the largest value of all hospitals."""
EPSILON = "epsilon"
"""The metric of privacy spent since the start of the run."""
HOSPITAL_PHASES = ("download", "train", "consensus", "upload")
"""What a hospital does in a round, in order; ``consensus`` also counts the round's opening."""
WAIT = "wait"
"""Waiting for slower hospitals or for the deadline."""
AGGREGATE = "aggregate"
"""From the last update to the aggregate on the ledger; the coordinator's phase."""
PHASES = (*HOSPITAL_PHASES, WAIT, AGGREGATE)
"""All phases of a round, in order. Other phases that occur follow in the order of their names."""


@dataclass(slots=True)
class _Round:
    """What the events say about one round."""

    opened: RoundOpened | None = None
    closed: RoundClosed | None = None
    phases: list[PhaseEnded] = field(default_factory=list[PhaseEnded])
    spent: list[PrivacySpent] = field(default_factory=list[PrivacySpent])
    checks: list[UpdateChecked] = field(default_factory=list[UpdateChecked])
    measured: list[Measured] = field(default_factory=list[Measured])
    latencies_us: list[int] = field(default_factory=list[int])


def metric_rows(events: Iterable[Event]) -> list[Row]:
    """All rows of a run, by round, in an order that depends on the events alone."""
    rounds, end_us = _by_round(events)
    rows: list[Row] = []
    largest = -math.inf
    for number in sorted(rounds):
        current = rounds[number]
        close_us = end_us if current.closed is None else current.closed.t_us
        rows += [_row(m.round, m.scope, m.metric, m.value, m.t_us) for m in current.measured]
        for spent in current.spent:
            largest = max(largest, spent.epsilon)
            name = hospital_name(spent.hospital)
            rows.append(_row(number, name, EPSILON, spent.epsilon, spent.t_us))
        if current.spent:
            rows.append(_row(number, MAX, EPSILON, largest, close_us))
        for scope, values in (*_verdicts(current), (ROUND, _round_values(current))):
            rows += [_row(number, scope, metric, v, close_us) for metric, v in values.items()]
    return rows


def percentile(values: Sequence[int], percent: float) -> int:
    """The nearest-rank percentile: ``sorted(values)[ceil(percent / 100 · n) − 1]``.

    Raises:
        ValueError: for no values, or a percentage outside (0, 100].
    """
    if not values or not 0 < percent <= 100:
        raise ValueError(f"no percentile {percent} of {len(values)} values")
    return sorted(values)[math.ceil(percent / 100 * len(values)) - 1]


def phase_durations(phases: Sequence[PhaseEnded], start_us: int, end_us: int) -> dict[str, float]:
    """Mean virtual microseconds of each phase of a round that lasted from start to end.

    A node that had something to download is a hospital; all others are the coordinator. The keys
    are `PHASES` as far as they occur, and `WAIT`; the values add up to ``end_us − start_us``.
    """
    hospitals = {phase.hospital for phase in phases if phase.phase == HOSPITAL_PHASES[0]}
    aggregating = [phase.start_us for phase in phases if phase.phase == AGGREGATE]
    collected_us = min([end_us, *aggregating])
    totals: dict[str, float] = {}
    for phase in phases:
        mine = phase.hospital in hospitals
        share = len(hospitals) if mine else 1
        until_us = min(phase.t_us, collected_us if mine else end_us)
        spent_us = max(0, until_us - max(phase.start_us, start_us))
        totals[phase.phase] = totals.get(phase.phase, 0) + spent_us / share
    if hospitals:
        totals[WAIT] = max(0.0, end_us - start_us - sum(totals.values()))
    others = sorted(set(totals) - set(PHASES))
    return {name: totals[name] for name in (*PHASES, *others) if name in totals}


def _by_round(events: Iterable[Event]) -> tuple[dict[int, _Round], int]:
    """Events by the round that they belong to, and the time of the last one."""
    rounds: dict[int, _Round] = {}
    latencies_us: list[int] = []
    end_us = 0
    for event in events:
        end_us = max(end_us, event.t_us)
        match event:
            case RoundOpened():
                rounds.setdefault(event.round, _Round()).opened = event
            case RoundClosed():
                closing = rounds.setdefault(event.round, _Round())
                closing.closed = event
                closing.latencies_us += latencies_us
                latencies_us = []
            case PhaseEnded():
                rounds.setdefault(event.round, _Round()).phases.append(event)
            case PrivacySpent():
                rounds.setdefault(event.round, _Round()).spent.append(event)
            case UpdateChecked():
                rounds.setdefault(event.round, _Round()).checks.append(event)
            case Measured():
                rounds.setdefault(event.round, _Round()).measured.append(event)
            case TransactionExecuted():
                latencies_us.append(event.latency_us)
            case _:
                pass
    if latencies_us and rounds:  # executed after the last close: the last round's stragglers
        rounds[max(rounds)].latencies_us += latencies_us
    return rounds, end_us


def _round_values(current: _Round) -> Mapping[str, float]:
    values: dict[str, float] = {}
    closed, latencies_us = current.closed, current.latencies_us
    if closed is not None:
        values["updates_accepted"] = closed.accepted
        values["updates_rejected"] = closed.rejected
        values["updates_late"] = closed.late
        values["void"] = closed.outcome == "void"
    if latencies_us:
        values["transactions"] = len(latencies_us)
        values["consensus_p50_us"] = percentile(latencies_us, 50)
        values["consensus_p99_us"] = percentile(latencies_us, 99)
    if closed is not None and current.opened is not None:
        # The coordinator's ledger transaction that opens the round is part of the round.
        starts = [p.start_us for p in current.phases if p.t_us <= current.opened.t_us]
        start_us = min([current.opened.t_us, *starts])
        values["duration_us"] = closed.t_us - start_us
        durations = phase_durations(current.phases, start_us, closed.t_us)
        values |= {f"{name}_us": value for name, value in durations.items()}
    return values


def _verdicts(current: _Round) -> list[tuple[str, Mapping[str, float]]]:
    """For each sender of an update, how many nodes accepted and how many refused it."""
    counts: dict[int, dict[str, float]] = {}
    for check in current.checks:
        mine = counts.setdefault(check.hospital, {"accepted_by": 0, "refused_by": 0})
        mine["accepted_by" if check.accepted else "refused_by"] += 1
    return [(hospital_name(hospital), counts[hospital]) for hospital in sorted(counts)]


def _row(number: int, scope: str, metric: str, value: float, t_us: int) -> Row:
    return {"round": number, "scope": scope, "metric": metric, "value": float(value), "t_us": t_us}
