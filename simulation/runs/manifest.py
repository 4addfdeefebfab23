"""What a run was, what it depends on, and how it ended."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simulation.config.concerns import concerns
from simulation.config.dump import config_hash
from simulation.config.experiment import Experiment
from simulation.runs.provenance import host, is_compiled, revision, versions
from simulation.runs.seal import MANIFEST

FORMAT = 1


@dataclass(kw_only=True)
class Manifest:
    """The content of ``manifest.json``, the only file that knows the time of day."""

    name: str
    config_hash: str
    seed: int
    status: str
    """``done`` or ``failed``."""
    exit_status: int
    started: str
    """When, in UTC."""
    wall_s: float
    """How long the run took on this machine, in seconds."""
    processor_s: float
    """Processor time of the run's process, in seconds: what a busy machine does not lengthen."""
    virtual_us: int
    """How long it took on the simulation's clock, in microseconds."""
    trace_digest: str
    """SHA-256 of the trace: equal for equal runs, in any process."""
    warnings: list[str] = field(default_factory=list[str])
    """What was known before the run not to be promised, an unsafe quorum say, and what is to be
    said of the records: leakage, scaling that is not private, rows that were left out."""
    invariants: list[str] = field(default_factory=list[str])
    """Properties that were checked and hold."""
    summary: dict[str, Any] = field(default_factory=dict[str, Any])
    """The world's own summary: messages, ledger, privacy."""
    failure: dict[str, Any] | None = None
    """What went wrong: message, hospital, round, virtual time."""

    def data(self) -> dict[str, Any]:
        """The manifest as written, with code, libraries and machine."""
        return {
            "format": FORMAT,
            **{name: getattr(self, name) for name in self.__dataclass_fields__},
            "git": revision(),
            "compiled": is_compiled(),
            "versions": versions(),
            "host": host(),
        }


def manifest_of(experiment: Experiment, seed: int, **rest: Any) -> Manifest:
    """A manifest of one run of an experiment."""
    return Manifest(
        name=experiment.name,
        config_hash=config_hash(experiment),
        seed=seed,
        warnings=concerns(experiment),
        **rest,
    )


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a finished run."""
    return json.loads((folder / MANIFEST).read_text(encoding="utf-8"))


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest of a run that is not sealed, because it failed."""
    text = json.dumps(manifest.data(), indent=2, sort_keys=True, ensure_ascii=False)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")
