"""A sweep: planned first, the same whoever carries it out, and nothing in it is lost."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from multiprocessing import active_children
from pathlib import Path

import pytest

from simulation.config.study import load_study
from simulation.runs.directory import State, state
from simulation.runs.sweep.cluster import on_ray
from simulation.runs.sweep.local import on_processes
from simulation.runs.sweep.plan import Plan, meet_data, plan
from simulation.runs.sweep.rows import rows_of, table_text
from simulation.runs.sweep.work import Ended, Progress, carry_out

TEXT = """\
name: tiny
seeds: [1, 2]
hospitals: 4
ledger: none
consensus: sequencer
workload: {kind: closed, clients: 1, warmup_s: 0.1, measure_s: 0.5}
sweep:
  axes:
    hospitals: [4, 5]
"""
Events = Iterator[Progress | Ended]


@pytest.fixture
def planned(tmp_path: Path) -> Callable[..., Plan]:
    """The plan of the small sweep, or of other text, below a folder of this name."""

    def build(folder: str, text: str = TEXT) -> Plan:
        path = tmp_path / "tiny.yaml"
        path.write_text(text)
        return plan(load_study(path), tmp_path / folder)

    return build


def here(made: Plan) -> Events:
    """Carries the jobs out in this process."""
    return (carry_out(job, lambda _: None) for job in made.missing)


def test_a_plan_has_one_job_for_each_point_and_seed(planned: Callable[..., Plan]) -> None:
    """In the order of points and seeds; points that mean the same share their runs."""
    assert [str(job) for job in planned("a").jobs] == [
        "hospitals 4, seed 1",
        "hospitals 4, seed 2",
        "hospitals 5, seed 1",
        "hospitals 5, seed 2",
    ]
    same = TEXT.replace(
        "hospitals: [4, 5]", "system: {one: {}, other: {consensus.kind: sequencer}}"
    )
    made = planned("a", same)
    assert len(made.study.points) == 2
    assert len(made.jobs) == 2


def test_what_is_done_is_left_out_and_tells_how_long_the_rest_takes(
    planned: Callable[..., Plan],
) -> None:
    """Interrupt and resume: the next plan has what is missing, with an estimate."""
    first = planned("a")
    assert first.estimate_s(1) is None
    carry_out(first.jobs[1], lambda _: None)
    second = planned("a")
    assert second.missing == (first.jobs[0], *first.jobs[2:])
    assert second.known_s is not None
    assert second.estimate_s(2) == pytest.approx(2 * second.known_s)


def test_a_failed_run_is_a_row_and_stops_no_other(
    planned: Callable[..., Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failed run is a row, never a silent gap; it is run again next time."""
    from simulation.runs import execute

    whole = execute._world

    def world(experiment, seed, *rest):
        if seed == 2 and experiment.hospitals == 4:
            raise ArithmeticError("boom\nand more")
        return whole(experiment, seed, *rest)

    monkeypatch.setattr(execute, "_world", world)
    made = planned("a")
    ended = list(here(made))
    assert [event.failure for event in ended if isinstance(event, Ended)] == [
        None, "ArithmeticError: boom\nand more", None, None
    ]  # fmt: skip
    rows = rows_of(made)
    assert [row["status"] for row in rows] == ["done", "failed", "done", "done"]
    assert rows[1]["error"] == "ArithmeticError: boom and more"
    assert rows[0]["workload.completed"] > 0
    assert [job.seed for job in planned("a").missing] == [2]


def test_the_table_has_a_row_for_what_was_not_run(planned: Callable[..., Plan]) -> None:
    """Pending is a state like the others."""
    text = table_text(rows_of(planned("nothing")))
    assert text.splitlines()[0] == "hospitals,seed,status,config"
    assert text.count("pending") == 4


def test_tables_are_byte_equal_whoever_works_and_a_killed_worker_loses_nothing(
    planned: Callable[..., Plan],
) -> None:
    """``--jobs 1`` and ``--jobs 2`` give the same table, though a worker is killed in between."""
    alone, pair = planned("one"), planned("two")
    for _ in here(alone):
        pass
    killed, ended = 0, []
    for event in on_processes(pair.missing, 2):
        if isinstance(event, Progress) and not killed:
            killed = active_children()[0].pid or 0
            os.kill(killed, signal.SIGKILL)
        elif isinstance(event, Ended):
            ended.append(event)
    assert killed
    assert sorted(event.directory for event in ended) == sorted(job.directory for job in pair.jobs)
    assert all(event.failure is None for event in ended)
    assert table_text(rows_of(pair)) == table_text(rows_of(alone))
    assert active_children() == []


def test_whoever_stops_early_leaves_no_worker_and_nothing_half_written(
    planned: Callable[..., Plan],
) -> None:
    """Interrupt at any moment: what is done is done, the rest is absent."""
    made = planned("a", TEXT.replace("measure_s: 0.5", "measure_s: 600"))
    events = on_processes(made.missing, 1)
    next(events)
    events.close()
    assert active_children() == []
    assert {state(job.directory) for job in made.jobs} == {State.ABSENT}


@pytest.mark.slow
@pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed (extra: ray)")
def test_a_ray_cluster_gives_the_same_table(planned: Callable[..., Plan]) -> None:
    """The same results whatever the executor."""
    alone, cluster = planned("one"), planned("ray")
    for _ in here(alone):
        pass
    ended = [event for event in on_ray(cluster.missing, None) if isinstance(event, Ended)]
    assert [event.failure for event in ended] == [None] * 4
    assert table_text(rows_of(cluster)) == table_text(rows_of(alone))


def test_absent_data_are_found_before_anything_runs(
    planned: Callable[..., Plan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first job of every source is asked, and no directory is made."""
    from simulation.records.errors import AbsentDataError

    monkeypatch.setenv("WARDCHAIN_DATA", str(tmp_path / "empty"))
    made = planned("a", "name: tiny\nhospitals: 4\ndata: heart_disease\nmodel: logistic\n")
    with pytest.raises(AbsentDataError, match="wardchain data fetch heart_disease"):
        meet_data(made.missing)
    assert not (tmp_path / "a").exists()
