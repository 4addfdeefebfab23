"""All stems share one crew: each comes with its last run, failed runs are its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from experiments import byzantine_grid, runs
from experiments.runs import Work, run_missing, survey
from simulation.config.sweep import Size
from simulation.runs.sweep.work import Ended

Say = Callable[[str], None]


@pytest.fixture
def works(tmp_path: Path) -> list[Work]:
    """Two stems with runs, cut down to two each, and one without."""
    found = [survey(stem, Size.SMOKE, tmp_path) for stem in ("byzantine_grid", "free_riders")]
    cut = [replace(w, jobs=w.jobs[:2], missing=w.missing[:2]) for w in found]
    return [*cut, survey("parameters", Size.SMOKE, tmp_path)]


def ended(work: Work, number: int, failure: str | None = None) -> Ended:
    """A run's end; one that failed leaves its message behind."""
    directory = work.missing[number].directory
    if failure is not None:
        directory.mkdir(parents=True)
        (directory / "FAILED").write_text(failure)
        manifest = {"failure": {"message": failure}}
        (directory / "manifest.json").write_text(json.dumps(manifest))
    return Ended(directory, failure, 1.0)


def test_a_stem_comes_with_its_last_run_and_its_own_failures(
    works: list[Work], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failed run stops no other; a broken property is none where the stem asks for it."""
    grid, riders, listed = works
    assert byzantine_grid.BREAKS
    events = [
        ended(riders, 0),
        ended(grid, 0, "PropertyViolation: agreement at replica 4; and more"),
        ended(riders, 1, "PropertyViolation: agreement"),
        ended(grid, 1),
    ]
    monkeypatch.setattr(runs, "on_processes", lambda jobs, workers: iter(events))
    said: list[str] = []

    found = list(run_missing(works, said.append, 2))

    assert [work.stem for work, _ in found] == [riders.stem, grid.stem, listed.stem]
    lost = riders.missing[1].directory
    assert [failures for _, failures in found] == [
        {lost: "PropertyViolation: agreement"}, {}, {}
    ]  # fmt: skip
    assert "byzantine_grid: 2 runs, 0 done before" in said
    assert any("[1/2]" in line and line.endswith(": agreement at replica 4") for line in said)
    assert any("[2/2]" in line and "FAILED: PropertyViolation" in line for line in said)


def test_a_run_that_broke_is_not_missing_again(works: list[Work], tmp_path: Path) -> None:
    """It is a result like one that is done."""
    grid = works[0]
    ended(grid, 0, "InvariantError: liveness: it waits")
    again = survey("byzantine_grid", Size.SMOKE, tmp_path)
    assert grid.missing[0].directory not in [job.directory for job in again.missing]
    assert len(again.jobs) == len(again.missing) + 1
