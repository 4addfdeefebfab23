"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Config = Annotated[Path, typer.Argument(help="Configuration file (YAML).", show_default=False)]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="PATH=VALUE",
        help="Change one parameter, e.g. privacy.epsilon=1. Repeatable.",
        show_default=False,
    ),
]
Seed = Annotated[
    list[int] | None,
    typer.Option("--seed", help="Run this seed instead of the file's. Repeatable."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
Run = Annotated[Path, typer.Argument(help="Run directory (…/seed-<n>).", show_default=False)]
