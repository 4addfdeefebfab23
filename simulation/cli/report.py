"""``wardchain report``: a run or a sweep as one HTML page."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from simulation.cli.exits import DONE, emit
from simulation.cli.options import Json

Place = Annotated[
    Path,
    typer.Argument(
        help="Run directory (…/seed-<n>), or the folder of a sweep.", show_default=False
    ),
]
To = Annotated[
    Path | None, typer.Option("--to", help="The file to write; else report.html beside the runs.")
]


Crate = Annotated[
    Path | None,
    typer.Option("--crate", help="Export the run as an RO-Crate into this new folder."),
]


def report(place: Place, to: To = None, crate: Crate = None, json: Json = False) -> int:
    """Write one HTML page about a run or a sweep; it holds all it needs and works offline."""
    from simulation.config.errors import ConfigError
    from simulation.runs.directory import finished
    from simulation.runs.seal import DONE as SEALED

    pages = _pages()
    page_of_sweep = any(place.glob("sweep-*.csv"))
    if page_of_sweep:
        page, beside = pages["sweep"].sweep_page(place), place / "report.html"
    else:
        page = pages["run"].run_page(finished(place))
        # A sealed directory is what `wardchain verify` audits: nothing is added to it.
        sealed = (place / SEALED).is_file()
        beside = place.with_name(f"{place.name}.html") if sealed else place / "report.html"
    path = to or beside
    if path.is_dir():
        raise ConfigError(f"--to: {path} is a folder; name a file, e.g. {path / 'report.html'}")
    if crate is not None and page_of_sweep:
        raise ConfigError("--crate: exports one run; name a run directory")
    pages["page"].write(page, path)
    if crate is not None:
        pages["crate"].run_crate(place, crate)
    written = {"report": str(path), "crate": None if crate is None else str(crate)}
    if json:
        emit(written)
    else:
        print("\n".join(name for name in written.values() if name is not None))
    return DONE


def _pages() -> dict[str, Any]:
    """What writes reports. It lives beside the package, with the experiments.

    Raises:
        ConfigError: when the experiments or their libraries are not installed.
    """
    from simulation.config.errors import ConfigError

    try:
        found = {n: import_module(f"experiments.report.{n}") for n in ("page", "run", "sweep")}
        return {**found, "crate": import_module("experiments.crate")}
    except ImportError as error:
        raise ConfigError(
            f"reports need the folder experiments/ of a clone and its libraries ({error}); "
            "install with: pip install -e '.[figures]'"
        ) from error
