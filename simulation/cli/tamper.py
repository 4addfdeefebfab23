"""``wardchain tamper``: a damaged copy of a run, to see whether ``wardchain verify`` finds it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from simulation.cli.exits import DONE, emit
from simulation.cli.options import Json, Run

Kind = Annotated[
    str,
    typer.Option("--kind", help="What is damaged; 'list' prints what there is."),
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Which of the possible places.")]
Out = Annotated[
    Path | None,
    typer.Option("--out", metavar="COPY", help="New folder for the copy.", show_default=False),
]
Seal = Annotated[
    bool,
    typer.Option(
        "--reseal/--leave-seal",
        help="Seal the copy again, as somebody would who wants to hide the change.",
    ),
]


def tamper(
    run: Run, kind: Kind, seed: Seed = 0, out: Out = None, reseal: Seal = True, json: Json = False
) -> int:
    """Copy a finished run and damage the copy in one place; the original is not touched."""
    from simulation.config.errors import ConfigError
    from simulation.runs.tamper import KINDS
    from simulation.runs.tamper import tamper as damage
    from simulation.runs.tampering import CannotTamper

    if kind == "list":
        for name, function in KINDS.items():
            print(f"{name:20} {(function.__doc__ or '').strip()}")
        return DONE
    if out is None:
        raise ConfigError("--out: is missing; name a new folder for the copy")
    try:
        done = damage(run, kind, seed, out, hide=reseal)
    except CannotTamper as error:
        raise ConfigError(str(error)) from error
    if json:
        emit(
            {
                "run": str(done.run),
                "kind": done.kind,
                "damage": done.damage.told,
                "height": done.damage.height,
                "hospital": done.damage.hospital,
                "fields": list(done.damage.fields),
                "resealed": done.resealed,
                "exit_code": DONE,
            }
        )
        return DONE
    print(f"{done.run}: {done.damage.told}{', sealed again' if done.resealed else ''}")
    print(f"Try next\n  wardchain verify {done.run}")
    return DONE
