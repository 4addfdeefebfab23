"""``wardchain verify``: audit a finished run from its files alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from simulation.cli.exits import DIFFERENCE, DONE, emit
from simulation.cli.options import Json, Run

if TYPE_CHECKING:
    from simulation.runs.verify import VerifyReport


Report = Annotated[
    Path | None,
    typer.Option("--report", metavar="FILE.html", help="Write the audit as one HTML page, too."),
]


def verify(run: Run, json: Json = False, report_file: Report = None) -> int:
    """Audit a finished run from its files; exit code 3 and the places where they disagree."""
    from simulation.config.errors import ConfigError
    from simulation.runs.directory import FAILED
    from simulation.runs.verify import NoRunError, verify_run

    if (run / FAILED).is_file():
        raise ConfigError(
            f"{run}: the run failed, so there is nothing to audit; see {run}/{FAILED}"
        )
    try:
        report = verify_run(run)
    except NoRunError as error:
        raise ConfigError(f"{error}; run directories end in seed-<n>") from error
    code = DONE if report.ok else DIFFERENCE
    if report_file is not None:
        _write(report_file, report)
    if json:
        emit({**report.row(), "exit_code": code})
        return code
    print(
        f"{report.run}: {report.files} files, {report.copies} ledger copies, "
        f"{report.blocks} blocks, {report.certificates} certificates, "
        f"{report.transactions} transactions, "
        f"{report.rounds} rounds, {report.openings} openings, "
        f"{report.aggregates} aggregates computed again, {report.objects} vault objects, "
        f"{report.receipts} receipts, {report.events} events, {report.metrics} metrics"
    )
    if report.chain_id is not None:
        print(f"chain {report.chain_id}")
    for entry in report.evidence:
        print(f"evidence on the ledger: {entry}")
    for finding in report.findings:
        where = [] if finding.height is None else [f"height {finding.height}"]
        where += [] if finding.hospital is None else [finding.hospital]
        print(": ".join([", ".join(where) or "files", finding.field, finding.message]))
    print("everything agrees" if report.ok else f"{len(report.findings)} disagreements")
    return code


def _write(file: Path, report: VerifyReport) -> None:
    from simulation.config.errors import ConfigError
    from simulation.runs.verify_report import verify_page

    if file.resolve().is_relative_to(report.run.resolve()):
        raise ConfigError(
            f"--report: {file} lies in the run that is audited, and would break its seal; "
            "choose another place"
        )
    try:
        file.write_text(verify_page(report), encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"--report: cannot write {file} ({error.strerror}); choose another"
        ) from error
