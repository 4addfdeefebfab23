"""Exports as RO-Crate: files with a machine-readable account of how they came to be.

RO-Crate (Soiland-Reyes et al., Data Science 5, 2022), written by the community's own library.
A crate of the same files is the same crate: its date is that of the run, not of the export.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rocrate.model.contextentity import ContextEntity
from rocrate.rocrate import ROCrate

from experiments import stem as stem_parts
from experiments.stem import config_of, stem_module
from simulation.config.errors import ConfigError
from simulation.runs.manifest import read_manifest

LICENCE = "https://www.apache.org/licenses/LICENSE-2.0"
FORMATS = {
    ".csv": "text/csv", ".json": "application/json", ".svg": "image/svg+xml", ".png": "image/png",
    ".pdf": "application/pdf", ".yaml": "application/yaml", ".html": "text/html",
    ".gz": "application/gzip", ".sqlite": "application/vnd.sqlite3",
    ".parquet": "application/vnd.apache.parquet",
}  # fmt: skip


def run_crate(run: Path, target: Path) -> Path:
    """Export one finished run, every file of it, into a new folder.

    Raises:
        ConfigError: when the folder is there already.
    """
    manifest = read_manifest(run)
    crate = _crate(
        f"Wardchain run {manifest['name']}, seed {manifest['seed']}",
        "One simulated federation of hospitals on one virtual clock: configuration, metrics, "
        "trace, ledgers and models.",
        manifest,
    )
    files = [_add(crate, path, path.relative_to(run)) for path in sorted(run.rglob("*"))
             if path.is_file()]  # fmt: skip
    _action(crate, manifest, f"wardchain run config.yaml --seed {manifest['seed']}", files)
    return _write(crate, target)


def suite_crate(names: Iterable[str], figures: Path, target: Path) -> Path:
    """Export tables, figures, manifests, configurations and code of stems into a new folder.

    Args:
        names: The stems.
        figures: Where their newest results lie; a stem without any is left out.
        target: The folder to make.

    Raises:
        ConfigError: when the folder is there already.
    """
    done = [name for name in names if (figures / f"{name}.manifest.json").is_file()]
    if not done:
        raise ConfigError(f"--crate: {figures} holds no results; run the experiments first")
    manifests = [json.loads((figures / f"{n}.manifest.json").read_text("utf-8")) for n in done]
    crate = _crate(
        "Wardchain experiments", "Claims with the tables and figures that test them.", manifests[0]
    )
    for name, manifest in zip(done, manifests, strict=True):
        made = [_add(crate, p, Path("figures") / p.name) for p in sorted(figures.glob(f"{name}.*"))]
        code = stem_parts.ROOT / "experiments" / f"{name}.py"
        _add(crate, code, Path("experiments") / code.name)
        config = config_of(name)
        if config is not None:
            _add(crate, config, Path("configs") / config.name)
        action = _action(crate, manifest, f"python -m experiments {name}", made)
        action["description"] = stem_module(name).CLAIM
    return _write(crate, target)


def _crate(name: str, description: str, manifest: Mapping[str, Any]) -> ROCrate:
    crate = ROCrate()
    crate.name, crate.description, crate.license = name, description, LICENCE
    # The library would write today's date; a crate says when its content was made.
    crate.root_dataset["datePublished"] = manifest.get("started", "2026-01-01")
    version = manifest["versions"]["wardchain"]
    kind = {"@type": "SoftwareApplication", "name": "Wardchain", "softwareVersion": version}
    crate.add(ContextEntity(crate, "#wardchain", properties=kind))
    return crate


def _add(crate: ROCrate, path: Path, place: Path) -> Any:
    properties: dict[str, Any] = {"name": place.as_posix(), "contentSize": str(path.stat().st_size)}
    if path.suffix in FORMATS:
        properties["encodingFormat"] = FORMATS[path.suffix]
    return crate.add_file(str(path), dest_path=place.as_posix(), properties=properties)


def _action(
    crate: ROCrate, manifest: Mapping[str, Any], command: str, results: Iterable[Any]
) -> ContextEntity:
    """How the files came to be: the command, the revision, the machine, the versions."""
    git = manifest.get("git") or {}
    properties = {
        "@type": "CreateAction",
        "name": command,
        "instrument": {"@id": "#wardchain"},
        "agent": json.dumps(manifest["host"], sort_keys=True),
        "softwareRequirements": [f"{k}=={v}" for k, v in manifest["versions"].items()],
        "identifier": git.get("revision", "outside a clone"),
    }
    action = ContextEntity(crate, f"#{command.replace(' ', '-')}", properties=properties)
    crate.add(action)
    action["result"] = list(results)
    crate.root_dataset.append_to("mentions", action)
    return action


def _write(crate: ROCrate, target: Path) -> Path:
    if target.exists():
        raise ConfigError(f"--crate: {target} is there already; name a new folder")
    crate.write(target)
    return target
