"""One seed of one experiment: run it unless it is done, and write down how it ended."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from simulation.config.experiment import Experiment
from simulation.config.load import load
from simulation.runs.artifacts import read_metrics, read_trace
from simulation.runs.directory import State, run_directory, state
from simulation.runs.execute import execute
from simulation.runs.manifest import read_manifest
from simulation.runs.provenance import is_compiled
from simulation.runs.seal import broken_seals
from simulation.trace.events import Event

MakeWorld = Callable[..., Callable[..., object]]


class HospitalFault(RuntimeError):
    """Carries what the world's own exception carries."""

    hospital, round, t_us = 3, 2, 1_500_000


def test_a_run_leaves_all_its_files(
    experiment: Experiment, make_world: MakeWorld, tmp_path: Path
) -> None:
    """Configuration, metrics, trace, what the world wrote, manifest, and ``DONE`` last."""
    seen: list[Event] = []

    result = execute(experiment, 5, tmp_path, [seen.append], simulate=make_world())

    place = run_directory(tmp_path, experiment, 5)
    assert result.directory == place
    assert result.failure is None
    assert sorted(p.relative_to(place).as_posix() for p in place.rglob("*") if p.is_file()) == [
        "DONE",
        "config.yaml",
        "ledger/hospital-00.sqlite",
        "manifest.json",
        "metrics.parquet",
        "trace.jsonl.gz",
    ]
    assert load(place / "config.yaml") == experiment
    assert read_metrics(place)[0]["value"] == 0.75
    assert [row["event"] for row in read_trace(place)] == ["round_opened", "round_closed"]
    assert len(seen) == 2
    assert list(broken_seals(place)) == []


def test_the_manifest_says_what_the_run_depends_on(
    experiment: Experiment, make_world: MakeWorld, tmp_path: Path
) -> None:
    """Hash, seed, git revision, versions, host, wall time, digest, invariants, exit status."""
    result = execute(experiment, 5, tmp_path, simulate=make_world())

    manifest = read_manifest(result.directory)
    assert manifest["config_hash"].startswith(result.directory.parent.name)
    assert (manifest["seed"], manifest["status"], manifest["exit_status"]) == (5, "done", 0)
    assert (manifest["virtual_us"], manifest["invariants"]) == (250, ["agreement"])
    assert manifest["versions"]["flwr"] == "1.41.0"
    assert manifest["compiled"] == is_compiled()
    assert set(manifest["host"]) == {"system", "release", "machine", "cores"}
    assert len(manifest["trace_digest"]) == 64
    assert manifest["warnings"] == ["data: two hospitals have one label"]
    assert manifest["wall_s"] >= 0
    assert manifest["git"] is None or len(manifest["git"]["revision"]) == 40


def test_equal_runs_are_equal_bytes(
    experiment: Experiment, make_world: MakeWorld, tmp_path: Path
) -> None:
    """Nothing but the manifest, and the seal of it, knows when and where a run was made."""
    one = execute(experiment, 5, tmp_path / "one", simulate=make_world()).directory
    two = execute(experiment, 5, tmp_path / "two", simulate=make_world()).directory

    # Bytes 4 to 7 of a gzip file are a time of day; two runs within a second would hide it.
    assert (one / "trace.jsonl.gz").read_bytes()[3:8] == bytes(5)
    for path in one.rglob("*"):
        if path.is_file() and path.name not in ("manifest.json", "DONE"):
            assert path.read_bytes() == (two / path.relative_to(one)).read_bytes(), path.name


def test_done_is_skipped(experiment: Experiment, make_world: MakeWorld, tmp_path: Path) -> None:
    """A second call touches nothing and runs nothing."""
    execute(experiment, 5, tmp_path, simulate=make_world())

    again = execute(experiment, 5, tmp_path, simulate=make_world(AssertionError("ran again")))

    assert again.skipped
    assert again.failure is None


def test_a_failure_is_written_down_and_tried_again(
    experiment: Experiment, make_world: MakeWorld, tmp_path: Path
) -> None:
    """``FAILED`` has message, hospital, round, virtual time and traceback; the trace stays."""
    failed = execute(experiment, 5, tmp_path, simulate=make_world(HospitalFault("no records")))

    text = (failed.directory / "FAILED").read_text()
    assert "error: HospitalFault: no records" in text
    assert "hospital: 3 (hospital-03)" in text
    assert "round: 2" in text
    assert "virtual time: 1500000 µs (1.5 s)" in text
    assert "Traceback (most recent call last):" in text
    assert "test_execute.py" in text or "conftest.py" in text
    assert state(failed.directory) is State.FAILED
    assert not (failed.directory / "DONE").exists()
    assert len(list(read_trace(failed.directory))) == 2
    manifest = read_manifest(failed.directory)
    assert (manifest["status"], manifest["exit_status"]) == ("failed", 1)
    assert manifest["failure"]["hospital"] == 3

    again = execute(experiment, 5, tmp_path, simulate=make_world())

    assert again.failure is None
    assert state(again.directory) is State.DONE
    assert not (again.directory / "FAILED").exists()


def test_a_cause_that_knows_the_hospital_is_asked(
    experiment: Experiment, make_world: MakeWorld, tmp_path: Path
) -> None:
    """Somebody may wrap the world's exception; without a time, that of the last event counts."""
    error = RuntimeError("wrapped")
    error.__cause__ = ValueError("plain")

    result = execute(experiment, 5, tmp_path, simulate=make_world(error))

    assert result.failure is not None
    assert (result.failure.hospital, result.failure.t_us) == (None, 250)
    wrapped = RuntimeError("wrapped")
    wrapped.__cause__ = HospitalFault("inside")
    result = execute(experiment, 6, tmp_path, simulate=make_world(wrapped))
    assert result.failure is not None
    assert (result.failure.hospital, result.failure.round) == (3, 2)


def test_an_interruption_leaves_nothing(
    experiment: Experiment, make_world: MakeWorld, tmp_path: Path
) -> None:
    """Ctrl-C is no failed run: no directory, half-written or not."""
    with pytest.raises(KeyboardInterrupt):
        execute(experiment, 5, tmp_path, simulate=make_world(KeyboardInterrupt()))

    assert list(tmp_path.iterdir()) == []


def test_figures_are_sealed_with_the_run(
    experiment: Experiment, make_world: MakeWorld, tmp_path: Path
) -> None:
    """They are drawn before the seal; one that cannot be drawn does not cost the run."""

    def draw(folder: Path) -> None:
        assert read_metrics(folder)
        (folder / "figure.svg").write_text("<svg/>")

    def broken(folder: Path) -> None:
        raise RuntimeError("no ink")

    drawn = execute(experiment, 1, tmp_path, draw=draw, simulate=make_world())
    blank = execute(experiment, 2, tmp_path, draw=broken, simulate=make_world())

    sealed = json.loads((drawn.directory / "manifest.json").read_text())["files"]
    assert "figure.svg" in sealed
    assert blank.figure_problem == "RuntimeError: no ink"
    assert state(blank.directory) is State.DONE
