"""``wardchain privacy``: what a configuration will spend, before anything is spent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from simulation.base.ids import hospital_name
from simulation.cli.exits import DONE, emit
from simulation.cli.options import Config, Json, Seed, Set
from simulation.cli.privacy_attack import attack

if TYPE_CHECKING:
    from simulation.runs.privacy import HospitalPrivacy, PrivacyReport

privacy_app = typer.Typer(
    help="Privacy of a configuration: what it spends, and what attacks see of it.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

privacy_app.command()(attack)

_COLUMNS = (
    "hospital", "records", "patients", "sigma", "sampling", "steps", "in all",
    "epsilon", "PRV", "RDP", "one round", "one more",
)  # fmt: skip


@privacy_app.callback()
def _privacy() -> None:
    """Privacy of a configuration: noise and budget of every hospital."""


@privacy_app.command()
def plan(config: Config, set_: Set = None, seed: Seed = None, json: Json = False) -> int:
    """Print noise, steps and epsilon of every hospital before any run, and what is not covered.

    Columns: steps of a round and in all; epsilon after all rounds by privacy loss distributions
    (the number of record), by PRV and by Rényi accounting; after one round; after one more.
    """
    from simulation.config.dump import config_hash
    from simulation.config.errors import ConfigError
    from simulation.config.load import load
    from simulation.runs.preflight import preflight
    from simulation.runs.privacy import privacy_report

    experiment = load(config, set_ or (), seed)
    if not experiment.learns:
        raise ConfigError(f"{config}: workload: nothing is trained, so nothing is spent")
    first = experiment.seeds[0]
    report = privacy_report(experiment, preflight(experiment, [first])[first])
    if json:
        emit({"config_hash": config_hash(experiment), "seed": first, **report.data()})
        return DONE
    for line in _lines(report):
        print(line)
    return DONE


def _lines(report: PrivacyReport) -> list[str]:
    lines: list[str] = []
    if report.private:
        further = "refused" if report.enforced else "not refused: no epsilon target is given"
        lines += [
            f"unit: one {report.unit}, added or removed; delta {report.delta:g}",
            f"federation: epsilon {report.epsilon:.3f} after {report.rounds} rounds, its largest",
            f"one round more than planned is {further}",
            "",
            *_table([_COLUMNS, *(_cells(row) for row in report.hospitals)]),
            "",
        ]
    return [*lines, *(f"warning: {text}" for text in report.warnings)]


def _cells(row: HospitalPrivacy) -> tuple[str, ...]:
    return (
        hospital_name(row.hospital),
        str(row.records),
        str(row.patients),
        f"{row.sigma:.4f}",
        f"{row.sampling_rate:.4f}",
        str(row.steps_per_round),
        str(row.steps),
        f"{row.epsilon:.3f}",
        "-" if row.epsilon_prv is None else f"{row.epsilon_prv:.3f}",
        f"{row.epsilon_rdp:.3f}",
        f"{row.epsilon_one_round:.3f}",
        f"{row.epsilon_one_more:.3f}",
    )


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]
