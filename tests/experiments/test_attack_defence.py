"""How attacks are counted, checked on rows that are made up, and the verdict on broken tables."""

from __future__ import annotations

import sqlite3

import numpy as np
import pytest

from experiments import attack_defence
from simulation.ledger.chain import SqliteStore


def opened(number):
    return {"event": "round_opened", "round": number}


def executed(kind, node, accepted=True):
    return {"event": "transaction_executed", "kind": kind, "node": node, "accepted": accepted}


def attacked(kind, number, node, detail=""):
    row = {"event": "attacked", "kind": kind, "round": number, "node": node}
    return {**row, "detail": detail}


def test_an_update_counts_in_the_round_in_which_the_ledger_took_its_reveal():
    trace = [opened(1), executed("task.reveal", 2, False), opened(2), executed("task.reveal", 2)]
    first, second = (attacked("copycat", number, 2) for number in (1, 2))
    assert attack_defence._stopped(trace, first)
    assert not attack_defence._stopped(trace, second)


def test_a_replay_is_stopped_by_the_code_that_it_gets():
    assert attack_defence._stopped([], attacked("replay", 2, 1, "own: bad-sequence"))
    assert not attack_defence._stopped([], attacked("replay", 2, 1, "own: accepted"))


def test_a_tampered_aggregate_is_stopped_in_the_round_of_its_refusal():
    trace = [{"event": "aggregate_refused", "round": 1}]
    assert attack_defence._stopped(trace, attacked("tamper", 1, 4))
    assert not attack_defence._stopped(trace, attacked("tamper", 2, 4))


def test_who_commits_and_does_not_reveal_is_named():
    trace = [opened(1), executed("task.commit", 0), executed("task.commit", 3)]
    trace.append(executed("task.reveal", 0))
    assert attack_defence._alarms(trace) == {("withheld", "hospital-03")}


def test_an_edit_changes_one_bit(tmp_path):
    """The damaged file is a ledger file like any other, but for one bit of one row."""
    file = tmp_path / "hospital-02.sqlite"
    SqliteStore(file).close()
    with sqlite3.connect(file) as database:
        database.execute("INSERT INTO blocks VALUES (1, ?)", (bytes(8),))
        database.execute("INSERT INTO transactions VALUES (1, 0, ?)", (bytes(8),))
        database.execute("INSERT INTO certificates VALUES (1, ?)", (bytes(8),))
    database.close()

    attack_defence._edit(file, np.random.default_rng(1))

    with sqlite3.connect(file) as database:
        values = [
            value
            for read, _ in attack_defence.EDITABLE
            for _, value in database.execute(read).fetchall()
        ]
    database.close()
    assert sum(int.from_bytes(value).bit_count() for value in values) == 1


def row(case, **found):
    numbers = {"stopped": 1.0, "detected": 1.0, "accused": 0.0, "false_alarms": 0.0}
    claimed = int(case in attack_defence.CLAIMED)
    return {"case": case, "claimed": claimed, "attempts": 50, **numbers, **found}


@pytest.mark.parametrize(
    ("column", "value"), [("stopped", 0.98), ("accused", 0.02), ("false_alarms", 0.02)]
)
def test_one_attempt_that_gets_through_is_enough_for_the_claim_to_fall(column, value):
    table = [row("tamper"), row("copycat"), row("idle_noise", stopped=0.0)]
    assert attack_defence.verdict(table).holds
    assert not attack_defence.verdict([{**table[0], column: value}, *table[1:]]).holds


def test_the_claim_falls_too_when_it_stops_more_than_it_says():
    assert not attack_defence.verdict([row("tamper"), row("idle_noise", stopped=0.5)]).holds
