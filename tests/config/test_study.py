"""Sweeps: one file, many experiments, in three sizes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from simulation.config.dump import config_hash
from simulation.config.errors import ConfigError
from simulation.config.load import load
from simulation.config.study import load_study, written_digest
from simulation.config.sweep import Size, SweepParams, Tolerance

BASE = """\
name: small
seeds: [1, 2]
hospitals: 4
workload: open
"""
SWEEP = """\
sweep:
  axes:
    hospitals: [4, 7]
    protocol:
      pbft: {}
      raft with loss: {consensus: raft, network.loss: 0.01}
  without:
    - {hospitals: 7, protocol: pbft}
  smoke:
    seeds: [9]
    set: {workload.measure_s: 1}
    axes: {hospitals: [4], protocol: [pbft]}
tolerances:
  same_seeds: {auroc: 0.01, wall_s: any}
  other_seeds: {latency_ms: 5%}
"""
Write = Callable[[str], Path]


def test_every_combination_is_a_point(write: Write) -> None:
    """The last axis varies fastest; what ``without`` names is left out; seeds are shared."""
    study = load_study(write(BASE + SWEEP))
    labels = [tuple(point.labels.values()) for point in study.points]
    assert labels == [(4, "pbft"), (4, "raft with loss"), (7, "raft with loss")]
    assert study.seeds == (1, 2)
    last = study.points[-1].experiment
    assert (last.hospitals, last.consensus.kind, last.network.loss) == (7, "raft", 0.01)
    assert {point.experiment.seeds for point in study.points} == {(1, 2)}


def test_a_size_changes_what_it_names_and_nothing_else(write: Write) -> None:
    """Smoke: its own seeds, parameters and part of the axes; full: the file as it stands."""
    smoke = load_study(write(BASE + SWEEP), size=Size.SMOKE)
    assert [point.labels for point in smoke.points] == [{"hospitals": 4, "protocol": "pbft"}]
    assert smoke.seeds == (9,)
    workload: Any = smoke.points[0].experiment.workload
    assert workload.measure_s == 1
    quick, full = (load_study(write(BASE + SWEEP), size=size) for size in (Size.QUICK, Size.FULL))
    assert quick.points == full.points


def test_a_point_has_the_hash_of_the_same_experiment_in_a_file_of_its_own(write: Write) -> None:
    """The sweep is no part of an experiment, so runs are shared with `wardchain run`."""
    study = load_study(write(BASE + SWEEP))
    alone = load(write(BASE.replace("hospitals: 4", "hospitals: 7")), ["consensus=raft"])
    assert config_hash(study.points[0].experiment) == config_hash(load(write(BASE + SWEEP)))
    hashes = {config_hash(p.experiment) for p in study.points}
    lossy = load(
        write(BASE.replace("hospitals: 4", "hospitals: 7")), ["consensus=raft", "network.loss=0.01"]
    )
    assert config_hash(lossy) in hashes
    assert config_hash(alone) not in hashes


def test_a_file_without_a_sweep_is_one_point(write: Write) -> None:
    """So that every command that takes a sweep takes any configuration."""
    study = load_study(write(BASE), seeds=[5])
    (point,) = study.points
    assert point.labels == {}
    assert study.seeds == point.experiment.seeds == (5,)


def test_overrides_hold_at_every_point_but_not_on_an_axis(write: Write) -> None:
    """``--set`` reaches all points; on what an axis varies it would change nothing: refused."""
    study = load_study(write(BASE + SWEEP), ["workload.measure_s=2"])
    assert all(getattr(p.experiment.workload, "measure_s", 0) == 2 for p in study.points)
    with pytest.raises(ConfigError, match="is varied by the sweep"):
        load_study(write(BASE + SWEEP), ["network.loss=0.5"])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[4, 7]", "7", "sweep.axes: hospitals must be a list of values"),
        ("[4, 7]", "[4, 4]", "sweep.axes: hospitals lists a value twice"),
        ("[4, 7]", "[4, -7]", "sweep, hospitals = -7.*hospitals: must be between 1 and"),
        ("hospitals: [4, 7]", "no path!: [1]", "sweep.axes: 'no path!' is no parameter"),
        ("hospitals: [4, 7]", "hospital: [4, 7]", "no axis is called 'hospitals'; did you mean"),
        ("pbft: {}", "pbft: 3", "protocol: pbft must be 'path.to.field: value' lines"),
        ("network.loss: 0.01", "network.los: 1", "network.los: unknown; did you mean loss"),
        ("protocol: [pbft]", "protocol: [raft]", "axis protocol has no variant 'raft'"),
        ("axes: {hospitals: [4]", "axes: {hospitals: []", "axes: hospitals is empty"),
        ("auroc: 0.01", "auroc: -1", "tolerances.same_seeds: auroc must not be negative"),
        ("latency_ms: 5%", "latency_ms: five", "tolerances.other_seeds: latency_ms must be a"),
        ("smoke:", "smok:", "sweep.smok: unknown; did you mean smoke"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(
    write: Write, old: str, new: str, message: str
) -> None:
    """Strict: what, where, and what to do, before anything runs."""
    assert old in SWEEP
    with pytest.raises(ConfigError, match=message):
        load_study(write(BASE + SWEEP.replace(old, new, 1)))


def test_a_sweep_of_nothing_is_refused(write: Write) -> None:
    """A sweep that leaves every point out would end well and have shown nothing."""
    text = SWEEP.replace("hospitals: 7, protocol: pbft", "hospitals: [4, 7]")
    with pytest.raises(ConfigError, match="leaves no point"):
        load_study(write(BASE + text))


def test_labels_of_an_axis_follow_the_size() -> None:
    """A size that names no axis keeps all values."""
    sweep = SweepParams(axes={"hospitals": [4, 7]})
    assert list(sweep.labels("hospitals", None)) == [4, 7]


@pytest.mark.parametrize(
    ("text", "expected", "got", "allowed"),
    [
        (0.02, 0.70, 0.72, True),
        (0.02, 0.70, 0.73, False),
        ("5%", 100.0, 105.0, True),
        ("5%", -100.0, -106.0, False),
        ("any", 1.0, 1e9, True),
        (0, 1.0, 1.0, True),
        (0, 1.0, 1.000001, False),
    ],
)
def test_a_tolerance_is_a_number_a_share_or_any(
    text: float | str, expected: float, got: float, allowed: bool
) -> None:
    """A number is absolute, ``5%`` a share of the reference, ``any`` is never compared."""
    assert Tolerance.parse(text).allows(expected, got) == allowed


def test_the_digest_of_a_file_is_of_what_its_quick_size_says(write: Write) -> None:
    """Comments, tolerances and other sizes may change; a parameter, an axis or a seed may not."""
    same = written_digest(write(BASE + SWEEP))
    assert (
        written_digest(write("# why\n" + BASE + SWEEP.replace("0.01, wall", "0.5, wall"))) == same
    )
    assert written_digest(write(BASE + SWEEP.replace("seeds: [9]", "seeds: [8]"))) == same
    for old, new in (("[1, 2]", "[1, 3]"), ("[4, 7]", "[4, 10]"), ("open", "closed")):
        assert written_digest(write((BASE + SWEEP).replace(old, new))) != same
