"""``wardchain verify``: audit a finished run from its files alone."""

from __future__ import annotations

from simulation.cli.exits import DIFFERENCE, DONE, emit
from simulation.cli.options import Json, Run


def verify(run: Run, json: Json = False) -> int:
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
    if json:
        emit({**report.row(), "exit_code": code})
        return code
    print(
        f"{report.run}: {report.files} files, {report.copies} ledger copies, "
        f"{report.blocks} blocks, {report.certificates} certificates, "
        f"{report.transactions} transactions, "
        f"{report.rounds} rounds, {report.openings} openings, "
        f"{report.aggregates} aggregates computed again, {report.objects} vault objects"
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
