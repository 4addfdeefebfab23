"""``wardchain soak`` and ``validate``: the same report whatever the number of processes."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Iterator

import pytest

from simulation.cli import app
from simulation.cli.exits import guarded
from simulation.nodes import validate as comparison
from simulation.nodes.validate import Row
from simulation.runs.soak import groups, soak


@pytest.fixture
def wardchain(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Runs the command in this process: exit code, standard output, standard error."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["wardchain", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            guarded(app)
        return int(str(ended.value.code)), *capsys.readouterr()

    return run


def test_the_reports_are_the_same_whatever_the_number_of_processes() -> None:
    alone, together = (list(soak("pbft", None, range(20), jobs)) for jobs in (1, 2))

    assert alone == together
    assert [report.seed for report in alone] == list(range(20))
    assert sum(group.seeds for group in groups(alone)) == 20


def test_a_soak_that_holds_ends_well(wardchain) -> None:
    code, out, _ = wardchain("soak", "--first", "0", "--count", "12")
    assert code == 0
    assert "12 seeds, no violation" in out


def test_a_violation_is_named_with_a_command_that_replays_it(wardchain) -> None:
    """A failing seed prints one command that replays it, and a second that shrinks it."""
    code, out, _ = wardchain("soak", "--broken", "weak-checkpoint", "--count", "2000")
    assert code == 3
    said = re.search(r"^seed (\d+), n = \d+: (.*)$", out, re.MULTILINE)
    assert said is not None
    replay = shlex.split(re.search(r"replay +wardchain (.*)", out)[1])

    code, again, _ = wardchain(*replay)

    assert code == 3
    assert said[0] in again
    assert "schedule:" in again


def test_a_schedule_is_shrunk_to_one_that_violates_the_same(wardchain) -> None:
    arguments = ("soak", "--broken", "weak-checkpoint", "--count", "2000")
    report = json.loads(wardchain(*arguments, "--json")[1])
    found = report["violations"][0]

    _, whole, _ = wardchain(*shlex.split(found["replay"])[1:])
    code, out, _ = wardchain(*shlex.split(found["replay"])[1:], "--shrink")

    assert code == 3
    smaller = out.split("shrunk: ")[1]
    assert smaller.startswith(found["property"])
    assert len(smaller.splitlines()) < len(whole.split("schedule:")[1].splitlines())


def test_what_cannot_be_soaked_is_refused_with_what_can(wardchain) -> None:
    code, _, err = wardchain("soak", "--protocol", "paxos")
    assert (code, "--protocol: paxos has no soak; choose from pbft" in err) == (2, True)
    code, _, err = wardchain("soak", "--broken", "nothing")
    assert (code, "choose one of" in err) == (2, True)


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch):
    """Replaces the comparison, which takes a minute, by given rows."""

    def replace(*given: Row) -> None:
        def compare() -> Iterator[Row]:
            yield from given

        monkeypatch.setattr(comparison, "validate", compare)

    return replace


GOOD = Row("latency", "ms", 30.0, 30.0, None, 0, 0)
NEAR = Row("throughput", "kop/s", 292.0, 290.0, 293.0, 0.03, 0.05)
WRONG = Row("messages", "", 31.0, 24.0, None, 0, 0)


def test_validation_holds_when_all_rows_do(wardchain, rows) -> None:
    rows(GOOD, NEAR)
    code, out, _ = wardchain("validate")
    assert code == 0
    assert "2 of 2 hold" in out
    assert re.search(
        r"throughput +292\.00 kop/s +290\.00 kop/s +\+0\.69% +293\.00 +-0\.34% +yes", out
    )


def test_validation_fails_when_a_row_does_not_hold(wardchain, rows) -> None:
    rows(GOOD, WRONG)
    code, out, err = wardchain("validate")
    assert (code, "1 of 2 hold" in out, "does not hold: messages" in err) == (3, True, True)

    code, out, _ = wardchain("validate", "--json")
    report = json.loads(out)
    assert (code, report["ok"], report["exit_code"]) == (3, False, 3)
    assert [row["holds"] for row in report["rows"]] == [True, False]
