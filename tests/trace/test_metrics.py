"""Tidy rows: every number of a run, computed by hand here."""

from __future__ import annotations

import math
import random
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulation.trace.events import (
    Decided,
    Event,
    Measured,
    PhaseEnded,
    PrivacySpent,
    RoundClosed,
    RoundOpened,
    TransactionExecuted,
    UpdateChecked,
)
from simulation.trace.metrics import PHASES, Row, metric_rows, percentile, phase_durations

COORDINATOR = 2


def opened(t_us: int, number: int = 1) -> RoundOpened:
    """Two hospitals get the base model."""
    return RoundOpened(t_us, number, 2, "00", -1)


def closed(t_us: int, number: int = 1, outcome: str = "aggregated") -> RoundClosed:
    """A round with two updates used, one refused, one late."""
    return RoundClosed(t_us, number, 2, 1, 1, outcome, "00")


def phase(node: int, name: str, start_us: int, end_us: int, number: int = 1) -> PhaseEnded:
    """One phase of a node."""
    return PhaseEnded(end_us, number, node, name, start_us)


def executed(t_us: int, latency_us: int) -> TransactionExecuted:
    """A transaction whose submitter has executed it."""
    return TransactionExecuted(t_us, 0, "task.commit", "ab", 1, True, "ok", latency_us)


def spent(t_us: int, hospital: int, epsilon: float, number: int = 1) -> PrivacySpent:
    """A hospital's accountant after a round."""
    return PrivacySpent(t_us, number, hospital, epsilon, 1e-4, 1.0, 0.1, 10)


def table(rows: list[Row]) -> dict[tuple[int, str, str], float]:
    """Values by round, scope and metric; fails on a number that is there twice."""
    found = {(row["round"], row["scope"], row["metric"]): row["value"] for row in rows}
    assert len(found) == len(rows)
    return found


# Hospitals 0 and 1 and the coordinator, 2. Hospital 1 is slow; the round lasts from 100 to 1000.
ONE_ROUND: list[Event] = [
    phase(COORDINATOR, "consensus", 100, 150),
    opened(150),
    phase(0, "download", 150, 170),
    phase(1, "download", 150, 250),
    phase(0, "consensus", 170, 180),
    phase(1, "consensus", 250, 260),
    phase(0, "train", 180, 380),
    phase(0, "consensus", 380, 400),
    phase(0, "upload", 400, 440),
    phase(1, "train", 260, 660),
    phase(1, "consensus", 660, 700),
    phase(1, "upload", 700, 800),
    phase(COORDINATOR, "aggregate", 800, 1000),
    closed(1000),
]


def test_the_phases_of_a_round_by_hand() -> None:
    """Means over hospitals, the coordinator's own phases added; the phases tile the round."""
    values = table(metric_rows(ONE_ROUND))
    expected = {
        "download_us": (20 + 100) / 2,
        "train_us": (200 + 400) / 2,
        "consensus_us": (10 + 20 + 10 + 40) / 2 + 50,
        "upload_us": (40 + 100) / 2,
        "aggregate_us": 200,
        "wait_us": 360 / 2,  # hospital 0 is done at 440 and waits until 800
        "duration_us": 900,
    }
    assert {name: values[1, "round", name] for name in expected} == expected
    assert sum(v for name, v in expected.items() if name != "duration_us") == 900


def test_work_after_the_deadline_is_not_part_of_the_round() -> None:
    """What a hospital did after the coordinator had stopped collecting is not counted."""
    late = [
        opened(0),
        phase(0, "download", 0, 10),
        phase(1, "download", 0, 10),
        phase(0, "train", 10, 60),
        phase(0, "upload", 60, 80),
        phase(COORDINATOR, "aggregate", 100, 120),
        closed(120),
        phase(1, "train", 10, 500),
        phase(1, "upload", 500, 520),
    ]
    values = table(metric_rows(late))
    assert values[1, "round", "train_us"] == (50 + 90) / 2
    assert values[1, "round", "upload_us"] == 20 / 2
    assert values[1, "round", "wait_us"] == 20 / 2
    assert values[1, "round", "aggregate_us"] == 20


def test_work_before_the_round_is_not_part_of_it() -> None:
    """Only the part of a phase that lies between start and end is counted."""
    durations = phase_durations([phase(0, "download", 50, 130)], start_us=100, end_us=200)
    assert durations == {"download": 30, "wait": 70}


@given(st.data())
def test_phases_always_add_up_to_the_duration(data: st.DataObject) -> None:
    """The phases of a round add up to its duration, whatever the hospitals did and when."""
    start, end = 1_000, 1_000 + data.draw(st.integers(1, 5_000))
    phases: list[PhaseEnded] = []
    for hospital in range(data.draw(st.integers(1, 4))):
        now = start
        for name in ("download", "consensus", "train", "consensus", "upload"):
            then = now + data.draw(st.integers(0, 2_000))
            phases.append(phase(hospital, name, now, then))
            now = then
    aggregate_us = data.draw(st.integers(start, end))
    phases.append(phase(9, "aggregate", aggregate_us, end))
    durations = phase_durations(phases, start, end)
    assert math.isclose(sum(durations.values()), end - start, rel_tol=1e-12)
    assert all(value >= 0 for value in durations.values())
    assert list(durations) == [name for name in PHASES if name in durations]


def test_a_round_without_a_ledger_has_no_ledger_phases() -> None:
    """``ledger: none``: download, train, upload and waiting are all there is."""
    events = [
        opened(0),
        phase(0, "download", 0, 10),
        phase(0, "train", 10, 30),
        phase(0, "upload", 30, 50),
        closed(50),
    ]
    names = {name for _, scope, name in table(metric_rows(events)) if scope == "round"}
    assert {n for n in names if n.endswith("_us")} == {
        "duration_us", "download_us", "train_us", "upload_us", "wait_us",
    }  # fmt: skip


def test_updates_of_a_round() -> None:
    """Accepted, rejected and late updates, and whether the round was void."""
    values = table(metric_rows([opened(0), closed(9), opened(10, 2), closed(19, 2, "void")]))
    assert values[1, "round", "updates_accepted"] == 2
    assert values[1, "round", "updates_rejected"] == 1
    assert values[1, "round", "updates_late"] == 1
    assert (values[1, "round", "void"], values[2, "round", "void"]) == (0, 1)


def test_latency_counts_for_the_round_in_which_it_ended() -> None:
    """A transaction after a round's close belongs to the next; after the last, to the last."""
    events = [
        executed(5, 500),
        opened(6),
        *(executed(7, latency) for latency in range(1, 100)),
        closed(8),
        executed(9, 40),
        opened(10, 2),
        executed(11, 10),
        executed(11, 30),
        closed(12, 2),
        executed(13, 20),
    ]
    values = table(metric_rows(events))
    assert values[1, "round", "transactions"] == 100
    assert values[1, "round", "consensus_p50_us"] == 50
    assert values[1, "round", "consensus_p99_us"] == 99
    assert values[2, "round", "transactions"] == 4
    assert values[2, "round", "consensus_p50_us"] == 20
    assert values[2, "round", "consensus_p99_us"] == 40


def test_the_largest_epsilon_includes_those_who_sat_out() -> None:
    """ε is spent for the whole run: a hospital that is absent from a round still counts."""
    events = [
        opened(0), spent(1, 0, 0.5), spent(2, 1, 0.9), closed(5),
        opened(6, 2), spent(7, 0, 0.7, 2), closed(9, 2),
    ]  # fmt: skip
    rows = metric_rows(events)
    values = table(rows)
    assert values[1, "hospital-01", "epsilon"] == 0.9
    assert values[2, "hospital-00", "epsilon"] == 0.7
    assert (2, "hospital-01", "epsilon") not in values
    assert (values[1, "max", "epsilon"], values[2, "max", "epsilon"]) == (0.9, 0.9)
    assert [row["t_us"] for row in rows if row["scope"] == "max"] == [5, 9]


def test_measurements_come_through_unchanged() -> None:
    """Round, scope, metric, value and virtual time are those of the event."""
    value = 0.1 + 0.2
    (row,) = metric_rows([Measured(77, 3, "pooled", "auroc", value)])
    assert row == {"round": 3, "scope": "pooled", "metric": "auroc", "value": value, "t_us": 77}


def test_a_refused_update_is_visible_with_the_number_of_those_who_refused() -> None:
    """A mismatch is rejected, recorded and visible in the metrics."""
    checks = [
        UpdateChecked(5, 1, hospital=1, by=by, accepted=by == 0, reason="x") for by in (0, 2, 3)
    ]
    values = table(metric_rows([opened(0), *checks, closed(9)]))
    assert values[1, "hospital-01", "refused_by"] == 2
    assert values[1, "hospital-01", "accepted_by"] == 1


def test_an_unfinished_run_has_the_rows_that_it_got_to() -> None:
    """Without a close there is no count of updates, and nothing fails."""
    events = [opened(0), spent(3, 0, 0.5), executed(4, 7)]
    values = table(metric_rows(events))
    assert values == {
        (1, "hospital-00", "epsilon"): 0.5,
        (1, "max", "epsilon"): 0.5,
        (1, "round", "transactions"): 1,
        (1, "round", "consensus_p50_us"): 7,
        (1, "round", "consensus_p99_us"): 7,
    }
    assert metric_rows([]) == []
    assert metric_rows([executed(4, 7)]) == []


def test_other_events_change_nothing() -> None:
    """Rows are made of the events that they are documented to be made of."""
    noise = Decided(3, 0, 1, 0, "ab", 1, 0)
    mixed = [event for one in ONE_ROUND for event in (noise, one, noise)]
    assert metric_rows(mixed) == metric_rows(ONE_ROUND)


def test_rows_are_plain_and_sorted_by_round() -> None:
    """Columns round, scope, metric, value, t_us, of types that any table takes."""
    rows = metric_rows([*ONE_ROUND, Measured(1, 0, "pooled", "auroc", 0.5)])
    assert [row["round"] for row in rows] == sorted(row["round"] for row in rows)
    for row in rows:
        assert list(row) == ["round", "scope", "metric", "value", "t_us"]
        assert [type(value) for value in row.values()] == [int, str, str, float, int]


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=200), st.sampled_from([1, 50, 95, 99]))
def test_percentile_is_the_nearest_rank(values: list[int], percent: int) -> None:
    """The smallest observed value that at least p per cent of the values do not exceed."""
    random.Random(1).shuffle(values)
    result = percentile(values, percent)
    reached = [
        v for v in values if Fraction(sum(w <= v for w in values), len(values)) * 100 >= percent
    ]
    assert result == min(reached)
    assert result == np.percentile(values, percent, method="inverted_cdf")


@pytest.mark.parametrize(("values", "percent"), [([], 50), ([1], 0), ([1], 101)])
def test_there_is_no_percentile_of_nothing(values: list[int], percent: float) -> None:
    """ValueError for no values, or a percentage outside (0, 100]."""
    with pytest.raises(ValueError, match="no percentile"):
        percentile(values, percent)
