"""Drills: every kind of damage is found behind a fresh seal, and named where it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulation.runs.seal import broken_seals
from simulation.runs.tamper import KINDS, tamper
from simulation.runs.tampering import CannotTamper, Scene
from simulation.runs.verify import verify_run

SEEDS = 3


def contents(run: Path) -> dict[str, bytes]:
    files = (path for path in run.rglob("*") if path.is_file())
    return {path.relative_to(run).as_posix(): path.read_bytes() for path in files}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_damage_is_named(pristine: Path, tmp_path: Path, kind: str) -> None:
    """`verify` names height, hospital and field, although the copy was sealed again."""
    before = contents(pristine)
    for seed in range(SEEDS):
        done = tamper(pristine, kind, seed, tmp_path / str(seed))

        findings = verify_run(done.run).findings
        damage = done.damage
        named = [f for f in findings if f.hospital == damage.hospital and f.field in damage.fields]
        assert named, (damage, findings)
        assert list(broken_seals(done.run)) == []
        if damage.height is not None:
            assert (named[0], named[0].height) == (findings[0], damage.height)
    assert contents(pristine) == before


def test_damage_is_chosen_by_the_seed(pristine: Path, tmp_path: Path) -> None:
    """The same seed makes the same copy, another one another."""
    made = [
        contents(tamper(pristine, "object-altered", seed, tmp_path / name).run)
        for name, seed in (("one", 1), ("same", 1), ("other", 2))
    ]
    assert made[0] == made[1] != made[2]


def test_with_the_seal_left_as_it_was_the_file_is_named(pristine: Path, tmp_path: Path) -> None:
    """The first layer alone finds any change, whoever made it."""
    done = tamper(pristine, "metric-edited", 0, tmp_path / "copy", hide=False)

    assert [name for name, _ in broken_seals(done.run)] == ["metrics.parquet"]


def test_a_drill_that_does_nothing_would_be_noticed(
    pristine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: an undamaged copy has no findings."""
    real = KINDS["ledger-bit"]

    def nothing(scene: Scene):
        before = contents(scene.run)
        damage = real(scene)
        for name, data in before.items():
            (scene.run / name).write_bytes(data)
        return damage

    monkeypatch.setitem(KINDS, "ledger-bit", nothing)
    assert verify_run(tamper(pristine, "ledger-bit", 0, tmp_path / "copy").run).ok


def test_what_cannot_be_done_leaves_nothing(pristine: Path, tmp_path: Path) -> None:
    """A clear error, and no half-made copy."""
    (tmp_path / "there").mkdir()
    for kind, run, out, told in (
        ("moon", pristine, tmp_path / "new", "'moon' is none of ledger-bit"),
        ("ledger-bit", tmp_path, tmp_path / "new", "is no finished run"),
        ("ledger-bit", pristine, tmp_path / "there", "exists; choose a new folder"),
        ("ledger-bit", pristine, pristine / "copy", "lies in the run itself"),
    ):
        with pytest.raises(CannotTamper, match=told):
            tamper(run, kind, 0, out)
    bare = tamper(pristine, "copy-deleted", 0, tmp_path / "bare").run
    for path in (bare / "ledger").iterdir():
        path.unlink()
    with pytest.raises(CannotTamper, match="the run has no ledger file to damage"):
        tamper(bare, "ledger-bit", 0, tmp_path / "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bare", "there"]
