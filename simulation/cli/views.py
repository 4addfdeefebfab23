"""What a run looks like while it runs: a live table in a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import IO

from rich.console import Console
from rich.live import Live
from rich.table import Table

from simulation.cli.progress import COLUMNS, Progress
from simulation.trace.events import Event, RoundClosed, RoundOpened
from simulation.trace.recorder import Listener

WIDTHS = (5, 8, 8, 9, 13, 10, 14)


@contextmanager
def watching(
    progress: Progress, title: str, stream: IO[str] | None = None
) -> Generator[Listener, None, None]:
    """A listener that shows the rows of ``progress`` as they fill."""
    console = Console(file=stream or sys.stdout, highlight=False)
    if console.is_terminal:
        table = _Table(progress, title)
        with Live(table, console=console, refresh_per_second=8):
            yield progress.listen
    else:
        lines = PlainLines(progress, title, console.file)
        yield lines.listen
        lines.finish()


class _Table:
    """Draws itself afresh whenever the terminal asks."""

    def __init__(self, progress: Progress, title: str) -> None:
        self._progress = progress
        self._title = title

    def __rich__(self) -> Table:
        table = Table(title=self._title, title_justify="left")
        for name in COLUMNS:
            table.add_column(name, justify="right", no_wrap=True)
        # The listener adds rows while the refreshing thread reads them.
        for row in list(self._progress.rows.values()):
            table.add_row(*row.cells())
        return table


class PlainLines:
    """One line for each round once it is complete."""

    def __init__(self, progress: Progress, title: str, stream: IO[str]) -> None:
        self._progress = progress
        self._stream = stream
        self._closed: int | None = None
        self._write(title)
        self._write(_aligned(COLUMNS))

    def listen(self, event: Event) -> None:
        """Take one event; a round is complete when the next one opens, for it is measured last."""
        if isinstance(event, RoundOpened):
            self.finish()
        self._progress.listen(event)
        if isinstance(event, RoundClosed):
            self._closed = event.round

    def finish(self) -> None:
        """Print the round that has closed and is not printed yet."""
        if self._closed is not None:
            self._write(_aligned(self._progress.rows[self._closed].cells()))
            self._closed = None

    def _write(self, line: str) -> None:
        print(line, file=self._stream, flush=True)


def _aligned(cells: tuple[str, ...]) -> str:
    return "  ".join(cell.rjust(width) for cell, width in zip(cells, WIDTHS, strict=True))
