"""What a download looks like while it runs: a bar in a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from simulation.base.units import format_bytes
from simulation.cli.exits import note
from simulation.records.download import Report

PLAIN_STEP_PERCENT = 10
"""How often a plain line is written where the size is known."""
PLAIN_STEP_BYTES = 1_000_000
"""How often where it is not."""


@contextmanager
def transfer(name: str) -> Generator[Report, None, None]:
    """A report that shows on standard error how far the download of ``name`` is."""
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield PlainTransfer(name).report
        return
    with Progress(
        TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(),
        TimeRemainingColumn(), console=console,
    ) as bars:  # fmt: skip
        # The bar appears with the first bytes: nothing may have to be downloaded.
        bar = bars.add_task(name, total=None, visible=False)
        yield lambda here, total: bars.update(bar, completed=here, total=total, visible=True)


class PlainTransfer:
    """One line at the beginning, one for each step, one at the end."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._step: int | None = None

    def report(self, here: int, total: int | None) -> None:
        """Take the bytes that are here, and how many it will be."""
        if total:
            step = 100 * here // total // PLAIN_STEP_PERCENT
            share = f"of {format_bytes(total)} ({100 * here // total} %)"
        else:
            step = here // PLAIN_STEP_BYTES
            share = "of an unknown number"
        if step != self._step:
            self._step = step
            note(f"{self._name}: {format_bytes(here)} {share}")
