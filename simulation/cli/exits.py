"""How a command ends: four exit codes, one clear message, no traceback for wrong input."""

from __future__ import annotations

import json
import os
import sys
from typing import Any, NoReturn

import click
import typer

from simulation.config.errors import ConfigError
from simulation.records.errors import DataError

DONE = 0
RUN_FAILED = 1
WRONG_INPUT = 2
DIFFERENCE = 3


def guarded(app: typer.Typer) -> NoReturn:
    """Run the command line and exit with its code.

    Wrong input is what raises `ConfigError` or `DataError`. Whatever a run raises is caught where
    the run is written down; any other exception is a fault of the program and shows its traceback.
    """
    try:
        code = app(standalone_mode=False)
    except click.ClickException as error:
        _fail(error.format_message(), error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        _fail("interrupted; nothing was written for the run that was under way", RUN_FAILED)
    except BrokenPipeError:
        # Whoever read our output has gone; Python must not complain about it while it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = DONE
    except (ConfigError, DataError) as error:
        _fail(str(error), WRONG_INPUT)
    sys.exit(code if isinstance(code, int) else DONE)


def _fail(message: str, code: int) -> NoReturn:
    for line in message.splitlines() or [""]:
        print(f"error: {line}", file=sys.stderr)
    if "--json" in sys.argv:
        emit({"error": message, "exit_code": code})
    sys.exit(code)


def emit(report: dict[str, Any]) -> None:
    """Print a report as one JSON object."""
    print(json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False))


def note(message: str) -> None:
    """Say something that is no part of a report."""
    print(message, file=sys.stderr)
