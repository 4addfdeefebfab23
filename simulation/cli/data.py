"""``wardchain data``: which records there are, where they lie, and how to fetch them."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import click
import typer

from simulation.cli.exits import DONE, emit
from simulation.cli.options import Json

if TYPE_CHECKING:
    from simulation.records.source import Source

data_app = typer.Typer(
    help="Sources of records: list and fetch them, show where they lie and what they hold.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Kind = Annotated[
    str, typer.Argument(help="Source, as in data.kind of a configuration.", show_default=False)
]


@data_app.command("list")
def list_(json: Json = False) -> int:
    """List the sources, and whether their files are here."""
    from simulation.records.files import data_root
    from simulation.records.registry import SOURCES

    root = data_root()
    rows = [
        {
            "kind": source.kind,
            "title": source.title,
            "hospitals": source.hospitals,
            "licence": source.licence,
            "provenance": source.provenance,
            "present": all(file.find(root) is not None for file in source.files),
            "files": [str(root / file.path) for file in source.files],
            "obtain": _obtain(source, root),
        }
        for source in SOURCES.values()
    ]
    if json:
        emit({"folder": str(root), "sources": rows})
        return DONE
    for row in rows:
        print(f"{row['kind']}: {row['title']}")
        print(f"    hospitals: {row['hospitals']}")
        print(f"    licence: {row['licence']}")
        print(f"    files: {row['obtain']}")
    return DONE


def _obtain_of(kind: str) -> str:
    from simulation.records.files import data_root
    from simulation.records.registry import source_of

    return _obtain(source_of(kind), data_root())


def _obtain(source: Source, root: Path) -> str:
    """Where the files of a source are, or what to do to get them there."""
    if not source.files:
        if any(field.name == "path" for field in fields(source.params)):
            return "your own; name them with data.path in a configuration"
        return "comes with the program"
    if all(file.find(root) is not None for file in source.files):
        return f"in {root}"
    if source.download is not None:
        return f"not here; wardchain data fetch {source.kind}"
    wanted = ", ".join(f"{root / file.path} (SHA-256 {file.sha256})" for file in source.files)
    return f"not here, and nothing to fetch: put the original there by hand: {wanted}"


@data_app.command()
def fetch(kind: Kind, json: Json = False) -> int:
    """Download a source from its original home and check that it is unaltered.

    A download that was interrupted is gone on with where the home allows it.
    """
    from simulation.cli.transfer import transfer
    from simulation.records.fetch import fetch as download
    from simulation.records.fetch import unfinished

    try:
        with transfer(kind) as report:
            paths = [str(path) for path in download(kind, report=report)]
    except KeyboardInterrupt:
        part = unfinished(kind)
        how = f"goes on from {part}" if part else "starts it over"
        raise click.ClickException(f"interrupted; 'wardchain data fetch {kind}' {how}") from None
    if json:
        emit({"kind": kind, "files": paths})
    else:
        print("\n".join(paths) or f"{kind}: nothing to fetch; files: {_obtain_of(kind)}")
    return DONE


@data_app.command()
def describe(
    what: Annotated[
        str, typer.Argument(help="Source, or configuration file (.yaml).", show_default=False)
    ],
    path: Annotated[
        str | None, typer.Option("--path", help="Files of a source that reads one's own.")
    ] = None,
    hospitals: Annotated[
        int | None, typer.Option("--hospitals", help="Hospitals of a cohort that is made.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", help="Seed; the file's first, or 42.", min=0)
    ] = None,
    figures: Annotated[
        Path | None, typer.Option("--figures", help="Folder to draw it into as well.")
    ] = None,
    json: Json = False,
) -> int:
    """Hospitals, their sizes, label rates, gaps and drift, before anything is trained."""
    from simulation.cli.data_describe import describe_data

    return describe_data(what, path, hospitals, seed, figures, json=json)


@data_app.command()
def export(
    what: Annotated[
        str, typer.Argument(help="Source, or configuration file (.yaml).", show_default=False)
    ],
    out: Annotated[
        Path, typer.Option("--out", help="Folder that is to be made.", show_default=False)
    ],
    hospital: Annotated[int, typer.Option("--hospital", help="Its number, from 0.")] = 0,
    path: Annotated[
        str | None, typer.Option("--path", help="Files of a source that reads one's own.")
    ] = None,
    hospitals: Annotated[
        int | None, typer.Option("--hospitals", help="Hospitals of a cohort that is made.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", help="Seed; the file's first, or 42.", min=0)
    ] = None,
    json: Json = False,
) -> int:
    """Write a hospital's records as FHIR R4 (NDJSON), and say what survives the way back."""
    from simulation.cli.data_export import export_data

    return export_data(what, out, hospital, path, hospitals, seed, json=json)


@data_app.command("path")
def path_(
    kind: Annotated[str, typer.Argument(help="Source; the folder of all when left out.")] = "",
    json: Json = False,
) -> int:
    """Print the data folder (WARDCHAIN_DATA overrides it), or the files of a source."""
    from simulation.records.files import data_root
    from simulation.records.registry import source_of

    root = data_root()
    files = [str(root / file.path) for file in source_of(kind).files] if kind else []
    if json:
        emit({"folder": str(root), "files": files})
    else:
        print("\n".join(files) if kind else root)
    return DONE
