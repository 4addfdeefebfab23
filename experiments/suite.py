"""From a stem whose runs are there to its verdict: tabulate, write, draw, compare.

What a stem knows is its claim, how runs become a table, how a table becomes a figure, and what
the table says; everything else is here, once.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from experiments import stem as stem_parts
from experiments import style
from experiments.runs import Failures, Work, gather
from experiments.statistics import Mismatch, compare
from experiments.stem import ROOT, Run, Table, Verdict, stem_module, stems
from experiments.tables import altered, digests, read_table, write_table
from simulation.config.dump import config_hash
from simulation.config.study import Study, written_digest
from simulation.config.sweep import Size, ToleranceParams
from simulation.records.errors import AbsentDataError
from simulation.runs.manifest import read_manifest
from simulation.runs.provenance import host, revision, revision_said, versions

KINDS = ("csv", "manifest.json", "svg")
"""What a reference consists of."""


@dataclass(frozen=True)
class Outcome:
    """What became of one stem."""

    stem: str
    claim: str
    verdict: Verdict | None = None
    """None when there is no table."""
    figure: Path | None = None
    skipped: str | None = None
    """Why nothing was done, and what to do about it."""
    failed: str | None = None
    """Which runs failed."""
    differences: Sequence[str] = field(default_factory=list[str])
    """Where it departs from the reference."""


def tolerances_of(stem: str, study: Study | None) -> ToleranceParams:
    """How far a stem's table may be from its reference."""
    if study is not None:
        return study.tolerances
    return getattr(stem_module(stem), "TOLERANCES", ToleranceParams())


def complete(work: Work, failures: Failures) -> tuple[Outcome, Table | None]:
    """Bring one stem whose runs have ended to its figure and verdict: ``<out>/figures``."""
    stem, size, study = work.stem, work.size, work.study
    module = stem_module(stem)
    outcome = Outcome(stem, module.CLAIM, skipped=work.skipped)
    if work.skipped is not None:
        return outcome, None
    if failures:
        lines = [f"{directory}/FAILED: {why}" for directory, why in failures.items()]
        return replace(outcome, failed="\n".join(lines)), None
    started, runs = time.monotonic(), gather(work)
    try:
        table = module.compute(size) if study is None else module.table(runs)
    except AbsentDataError as error:
        return replace(outcome, skipped=str(error)), None
    wall_s = sum(run.manifest["wall_s"] for run in runs) if runs else time.monotonic() - started
    made = Made(stem, size, study, runs, wall_s)
    paths = write_results(made, table, work.out / "figures")
    # As written: the file has six decimals, so everything that is said must hold of those.
    written = read_table(paths[0])
    done = replace(outcome, verdict=module.verdict(written), figure=paths[2])
    return replace(
        done, differences=_differences(stem, size, study, written, runs, work.other_seeds)
    ), written


# ---- files --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Made:
    """What a table was made from."""

    stem: str
    size: Size
    study: Study | None
    runs: Sequence[Run]
    wall_s: float
    """Of all runs, one after the other."""


def write_results(made: Made, table: Table, folder: Path) -> list[Path]:
    """Table, manifest and figure of a stem: ``<folder>/<stem>`` as CSV, manifest, SVG, others."""
    csv_path = folder / f"{made.stem}.csv"
    write_table(csv_path, table)
    manifest = folder / f"{made.stem}.manifest.json"
    text = json.dumps(manifest_of(made, csv_path), indent=2, ensure_ascii=False)
    manifest.write_text(text + "\n", encoding="utf-8")
    return [csv_path, manifest, *draw(made.stem, folder, folder)]


def draw(
    stem: str, place: Path, folder: Path, formats: Sequence[str] = ("svg", "png", "pdf")
) -> list[Path]:
    """The figure of the table in ``place``, of that and of the manifest beside it alone."""
    # Drawn from what the files hold, as everybody else will draw it.
    table = read_table(place / f"{stem}.csv")
    manifest = json.loads((place / f"{stem}.manifest.json").read_text(encoding="utf-8"))
    with style.figure_style():
        figure = stem_module(stem).figure(table)
    return style.save(figure, folder, stem, formats, source_of(manifest))


def redraw() -> list[Path]:
    """Draw the figures of all committed references again, from their tables."""
    place = stem_parts.REFERENCE
    made = [stem for stem in stems() if (place / f"{stem}.csv").is_file()]
    return [path for stem in made for path in draw(stem, place, place, ("svg",))]


def source_of(manifest: Mapping[str, Any]) -> str:
    """What a figure says of where it comes from: configuration, table and revision."""
    config = f"experiments/{manifest['stem']}.py"
    if "config" in manifest:
        config = f"{manifest['config']}, SHA-256 {manifest['config_digest']}"
    return f"{config}; table, SHA-256 {manifest['csv_sha256']}; {revision_said(manifest['git'])}"


def manifest_of(made: Made, csv_path: Path) -> dict[str, Any]:
    """What a table was made from: configurations, seeds, trace digests, versions, machine."""
    return {
        "stem": made.stem,
        "size": made.size.value,
        "minutes": round(made.wall_s / 60, 1),
        **digests(csv_path),
        **({} if made.study is None else _study_data(made.study, made.runs)),
        "git": revision(),
        "host": host(),
        "versions": {**versions(), "matplotlib": _matplotlib()},
    }


def _study_data(study: Study, runs: Sequence[Run]) -> dict[str, Any]:
    return {
        "config": f"configs/{study.name}.yaml",
        "config_digest": written_digest(ROOT / "configs" / f"{study.name}.yaml"),
        "seeds": list(study.seeds),
        "points": [
            {
                "labels": dict(point.labels),
                "config_hash": config_hash(point.experiment),
                "trace_digests": {
                    str(run.seed): read_manifest(run.directory)["trace_digest"][:16]
                    for run in runs
                    if run.labels == point.labels
                },
            }
            for point in study.points
        ],
    }


def _matplotlib() -> str:
    import matplotlib as mpl

    return mpl.__version__


def keep_reference(stem: str, folder: Path) -> None:
    """Make the results in a folder the committed reference."""
    stem_parts.REFERENCE.mkdir(parents=True, exist_ok=True)
    for kind in KINDS:
        name = f"{stem}.{kind}"
        (stem_parts.REFERENCE / name).write_bytes((folder / name).read_bytes())


def read_reference_manifest(stem: str) -> dict[str, Any]:
    """What the committed reference of a stem was made from."""
    path = stem_parts.REFERENCE / f"{stem}.manifest.json"
    return json.loads(path.read_text(encoding="utf-8"))


# ---- comparison ---------------------------------------------------------------------------------


def _differences(
    stem: str,
    size: Size,
    study: Study | None,
    table: Table,
    runs: Sequence[Run],
    other_seeds: int,
) -> list[str]:
    """Where a table departs from the committed reference, in words.

    In the size of the reference the numbers are compared; in another one, what the columns are, and
    that nobody has altered the reference since it was written.
    """
    path = stem_parts.REFERENCE / f"{stem}.csv"
    if not path.is_file():
        if size is not Size.QUICK:
            return []  # a new stem is tried before it has a reference
        return [str(Mismatch(str(path), "a reference table", "no file", "none"))]
    keys = stem_module(stem).KEYS
    if size is not Size.QUICK:
        found = altered(path, read_reference_manifest(stem), keys)
        reference = list(read_table(path)[0])
        if list(table[0]) != reference:
            found.append(f"columns: expected {', '.join(reference)}, got {', '.join(table[0])}")
        return found
    tolerances, reference = tolerances_of(stem, study), read_table(path)
    chosen = tolerances.other_seeds if other_seeds else tolerances.same_seeds
    mismatches = compare(reference, table, keys, chosen, means_only=other_seeds > 0)
    if other_seeds:
        said = [stem_module(stem).verdict(one).holds for one in (reference, table)]
        if said[0] != said[1]:
            mismatches.append(Mismatch("verdict", *(_HOLDS[holds] for holds in said), "none"))
    return [f"{mismatch}{_see(mismatch, runs)}" for mismatch in mismatches]


_HOLDS = {True: "holds", False: "does not hold"}


def _see(mismatch: Mismatch, runs: Sequence[Run]) -> str:
    """Which run to look at: the first of those that the row was made from."""
    named: Mapping[str, Any] = dict(mismatch.keys)

    def agrees(run: Run) -> bool:
        labels = {name.rpartition(".")[2]: label for name, label in run.labels.items()}
        shared = (labels | dict(run.labels)).items()
        return all(str(named[name]) == str(label) for name, label in shared if name in named)

    found = [run for run in runs if agrees(run)]
    if not found:
        return ""
    more = f" and {len(found) - 1} more" if len(found) > 1 else ""
    return f"; see {found[0].directory}{more}"
