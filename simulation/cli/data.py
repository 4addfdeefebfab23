"""``wardchain data``: which records there are, where they lie, and how to fetch them."""

from __future__ import annotations

from typing import Annotated

import typer

from simulation.cli.exits import DONE, emit
from simulation.cli.options import Json

data_app = typer.Typer(
    help="Sources of records: list them, fetch their files, show where they lie.",
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
        }
        for source in SOURCES.values()
    ]
    if json:
        emit({"folder": str(root), "sources": rows})
        return DONE
    for row in rows:
        if not row["files"]:
            place = "comes with the program"
        elif row["present"]:
            place = f"in {root}"
        else:
            place = f"not here; wardchain data fetch {row['kind']}"
        print(f"{row['kind']}: {row['title']}")
        print(f"    hospitals: {row['hospitals']}")
        print(f"    licence: {row['licence']}")
        print(f"    files: {place}")
    return DONE


@data_app.command()
def fetch(kind: Kind, json: Json = False) -> int:
    """Download a source from its original home and check that it is unaltered."""
    from simulation.records.fetch import fetch as download

    paths = [str(path) for path in download(kind)]
    if json:
        emit({"kind": kind, "files": paths})
    else:
        print("\n".join(paths) or f"{kind} comes with the program; there is nothing to fetch")
    return DONE


@data_app.command()
def path(
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
