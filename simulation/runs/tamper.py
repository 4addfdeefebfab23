"""Damage for drills: a copy of a finished run with one thing changed, and where that is.

The original is never touched. Unless told otherwise the copy is sealed again afterwards, as
somebody would who wants to hide the change, so that a drill tries the deeper layers of the audit
and not the seal alone. `KINDS` has one small function for each kind of damage.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from simulation.base.rng import Streams
from simulation.runs import tamper_ledger, tamper_record, tamper_vault
from simulation.runs.seal import DONE, MANIFEST, reseal
from simulation.runs.tampering import CannotTamper, Damage, Scene

KINDS: dict[str, Callable[[Scene], Damage]] = {
    **tamper_ledger.KINDS,
    **tamper_vault.KINDS,
    **tamper_record.KINDS,
}
"""What can be done to a run, by name."""


@dataclass(frozen=True, slots=True)
class Tampered:
    """A damaged copy."""

    run: Path
    kind: str
    damage: Damage
    resealed: bool


def tamper(run_dir: Path, kind: str, seed: int, out: Path, *, hide: bool = True) -> Tampered:
    """Copy a finished run to ``out`` and damage the copy.

    Args:
        run_dir: a finished run.
        kind: one of `KINDS`.
        seed: which of the possible places is chosen.
        out: where the copy goes; must not exist.
        hide: whether to seal the copy again.

    Raises:
        CannotTamper: when ``kind`` is unknown, the run has nothing of that kind or is not finished,
            or ``out`` cannot be written; nothing is left behind.
    """
    if kind not in KINDS:
        raise CannotTamper(f"--kind: {kind!r} is none of {', '.join(KINDS)}")
    if not (run_dir / DONE).is_file() or not (run_dir / MANIFEST).is_file():
        raise CannotTamper(f"{run_dir}: is no finished run; run directories end in seed-<n>")
    if out.exists():
        raise CannotTamper(f"--out: {out} exists; choose a new folder")
    if out.resolve().is_relative_to(run_dir.resolve()):
        raise CannotTamper(f"--out: {out} lies in the run itself; choose another folder")
    build = out.with_name(f".{out.name}.copying")
    try:
        shutil.rmtree(build, ignore_errors=True)
        shutil.copytree(run_dir, build)
        damage = KINDS[kind](Scene(build, Streams(seed).stream("tamper", kind)))
        if hide:
            reseal(build)
        build.rename(out)
    except OSError as error:
        raise CannotTamper(
            f"--out: cannot write {out} ({error.strerror}); choose another"
        ) from error
    finally:
        shutil.rmtree(build, ignore_errors=True)
    return Tampered(out, kind, damage, hide)
