"""The command ``wardchain``: one module per subcommand, nothing heavy before it is needed.

Exit codes: 0 done, 1 the run failed, 2 wrong input, 3 a check found a difference. Reports go to
standard output, messages to standard error; with ``--json`` a report is exactly one JSON object.
"""

from __future__ import annotations

import typer

from simulation.cli.audit import audit
from simulation.cli.check import check
from simulation.cli.compare import compare
from simulation.cli.data import data_app
from simulation.cli.exits import guarded
from simulation.cli.explain import explain
from simulation.cli.figures import figures
from simulation.cli.privacy import privacy_app
from simulation.cli.prove import prove
from simulation.cli.report import report
from simulation.cli.run import run
from simulation.cli.soak import soak
from simulation.cli.sweep import sweep
from simulation.cli.tamper import tamper
from simulation.cli.trace import trace
from simulation.cli.validate import validate
from simulation.cli.verify import verify
from simulation.cli.verify_receipt import verify_receipt

app = typer.Typer(
    name="wardchain",
    help="Hospitals that train a model together, privately, on a ledger they all agree on.",
    epilog="Start with: wardchain run configs/quickstart.yaml",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command(short_help="Run an experiment.")(run)
app.command(short_help="Run every point and seed of a sweep.")(sweep)
app.command(short_help="Check a configuration; print it resolved, estimate.")(check)
app.command(short_help="Audit a finished run from its files.")(verify)
app.command(short_help="Damage a copy of a run, as a drill.")(tamper)
app.command(short_help="Check one receipt or state proof offline.")(verify_receipt)
app.command(short_help="Prove what a run's ledger held at a key.")(prove)
app.command(short_help="Explain a section or a parameter.")(explain)
app.command(short_help="Print the events of a run.")(trace)
app.command(short_help="Draw a run's figures again.")(figures)
app.command(short_help="Show how two runs differ.")(compare)
app.command(short_help="Write a page about a run or a sweep.")(report)
app.command(short_help="Compare with closed forms and published numbers.")(validate)
app.command(short_help="Run random fault schedules against a protocol.")(soak)
app.command(short_help="Audit a privacy claim by training with canaries.")(audit)
app.add_typer(privacy_app, name="privacy", short_help="Plan noise and budget; attack models.")
app.add_typer(data_app, name="data", short_help="List, fetch and locate records.")


def _version(asked: bool) -> None:
    if asked:
        from simulation import __version__

        typer.echo(f"wardchain {__version__}")
        raise typer.Exit


@app.callback()
def wardchain(
    version: bool = typer.Option(
        False, "--version", help="Print the version and exit.", callback=_version, is_eager=True
    ),
) -> None:
    """Hospitals that train a model together, privately, on a ledger they all agree on."""


def main() -> None:
    """The entry point of the command."""
    guarded(app)
