"""The audit of a finished run from its files alone.

Four layers, each sound without the others:

1. the seal: every file against ``manifest.json``, and ``manifest.json`` against ``DONE``;
2. the ledger: every copy executed again from the genesis, its roots and certificates, and all
   copies against one another;
3. the models: every object of the vaults against its address, opened with the auditor's key and
   against the root on the ledger; every opening against its commitment; every aggregate against the
   bytes that it names;
4. the record: trace, metrics, manifest and receipts against one another and against the ledger.

Somebody who changes a file and seals the run again gets past the first layer; without the
hospitals' keys he does not get past the next two. A run that was replaced as a whole, keys and
all, is another chain: compare the chain id that is reported with the one that you know.

Source: the project's protocol, section 5.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from simulation.contracts import privacy, task
from simulation.contracts.evidence import evidence
from simulation.ledger.genesis import Genesis
from simulation.runs.seal import DONE, MANIFEST, broken_seals, file_digests
from simulation.runs.storage import Stored, by_kind, chain_bytes, vault_bytes
from simulation.runs.verify_ledger import Finding, audit
from simulation.runs.verify_models import ModelAudit, auditor_of, stray_objects
from simulation.runs.verify_record import RecordAudit
from simulation.runs.verify_rows import Copy, DamagedFile, read_copy

GENESIS_FILE = "genesis.cbor"
LEDGER_DIR = "ledger"
VAULT_DIR = "vault"


class NoRunError(ValueError):
    """The path is no directory of a finished run, so there is nothing to audit."""


@dataclass(frozen=True, slots=True)
class Budget:
    """A hospital's account of privacy as the ledger has it, in millionths of ε."""

    hospital: str
    spent_e6: int
    cap_e6: int | None
    exhausted: bool
    """Whether a claim was refused at the cap."""


@dataclass(frozen=True)
class VerifyReport:
    """What an audit found, and how much it looked at."""

    run: Path
    chain_id: str | None
    """Hexadecimal; None for a run without a ledger."""
    findings: tuple[Finding, ...]
    """Those at a height first, lowest height first; then those about files."""
    files: int
    copies: int
    blocks: int
    """Over all copies."""
    transactions: int
    """Of the longest copy."""
    certificates: int
    """Over all copies."""
    rounds: int
    openings: int
    aggregates: int
    """Computed again from the updates in the vault."""
    objects: int
    evidence: tuple[str, ...] = ()
    """What the ledger itself holds against its members, in order."""
    events: int = 0
    """Of the trace."""
    metrics: int = 0
    """Rows that were computed again from the trace."""
    receipts: int = 0
    budgets: tuple[Budget, ...] = ()
    """Each hospital's account of privacy on the ledger, where there is one."""
    stored: tuple[Stored, ...] = ()
    """Bytes on the chain by round and kind."""
    vaults: Mapping[str, int] = field(default_factory=dict[str, int])
    """Bytes off the chain, by vault."""

    @property
    def ok(self) -> bool:
        """Whether nothing disagrees."""
        return not self.findings

    def row(self) -> dict[str, object]:
        """The report as plain data, for one JSON object."""
        return {
            "run": str(self.run),
            "ok": self.ok,
            "chain_id": self.chain_id,
            "files": self.files,
            "copies": self.copies,
            "blocks": self.blocks,
            "transactions": self.transactions,
            "certificates": self.certificates,
            "rounds": self.rounds,
            "openings": self.openings,
            "aggregates": self.aggregates,
            "evidence": list(self.evidence),
            "objects": self.objects,
            "events": self.events,
            "metrics": self.metrics,
            "receipts": self.receipts,
            "budgets": [asdict(budget) for budget in self.budgets],
            "chain_bytes": by_kind(self.stored),
            "vault_bytes": dict(self.vaults),
            "findings": [
                {
                    "height": finding.height,
                    "hospital": finding.hospital,
                    "field": finding.field,
                    "message": finding.message,
                }
                for finding in self.findings
            ],
        }


def verify_run(run_dir: Path) -> VerifyReport:
    """Audit a finished run.

    Raises:
        NoRunError: when ``run_dir`` is no directory, or holds neither manifest nor `DONE`.
    """
    if not run_dir.is_dir():
        raise NoRunError(f"{run_dir}: no such directory")
    if not (run_dir / MANIFEST).exists() and not (run_dir / DONE).exists():
        raise NoRunError(f"{run_dir}: holds no finished run ({MANIFEST} and {DONE} are missing)")
    findings: list[Finding] = []
    copies: list[Copy] = []
    for path in sorted((run_dir / LEDGER_DIR).glob("*.sqlite")):
        try:
            copies.append(read_copy(path))
        except DamagedFile as damage:
            findings.append(Finding(damage.height, path.stem, damage.field, str(damage)))
    genesis = _genesis(run_dir / GENESIS_FILE, copies, findings)
    models: ModelAudit | None = None
    if genesis is not None:
        findings += _missing_copies(genesis, run_dir / LEDGER_DIR)
        findings += audit(genesis, copies)
        best = max(copies, key=lambda copy: copy.state.version, default=None)
        if best is not None:
            auditor, problems = auditor_of(genesis, run_dir)
            models = ModelAudit(genesis, best.state, run_dir / VAULT_DIR, auditor)
            findings += [*problems, *models.findings()]
    record = RecordAudit(run_dir, genesis, copies)
    findings += record.findings()
    findings += _files(run_dir, models)
    vault = run_dir / VAULT_DIR
    longest = max(copies, key=lambda copy: len(copy.blocks), default=None)
    return VerifyReport(
        run=run_dir,
        chain_id=None if genesis is None else genesis.chain_id.hex(),
        findings=tuple(sorted(findings, key=_order)),
        files=len(file_digests(run_dir)),
        copies=len(copies),
        blocks=sum(len(copy.blocks) for copy in copies),
        transactions=sum(len(block.payloads) for block in longest.blocks) if longest else 0,
        certificates=sum(block.certificate is not None for copy in copies for block in copy.blocks),
        rounds=models.rounds if models else 0,
        openings=models.openings if models else 0,
        aggregates=models.aggregates if models else 0,
        evidence=_evidence(models),
        objects=sum(path.is_file() for path in vault.rglob("*")) if vault.is_dir() else 0,
        events=record.events,
        metrics=record.rows,
        receipts=record.receipts,
        budgets=() if models is None else _budgets(models),
        stored=() if longest is None else tuple(chain_bytes(longest)),
        vaults=vault_bytes(run_dir),
    )


def _budgets(models: ModelAudit) -> tuple[Budget, ...]:
    """Every hospital's account, when any has spent anything.

    A claim above the cap is no finding, because the ledger has refused it.
    """
    genesis, (_, cap) = models.genesis, privacy.policy(models.state)
    found: list[Budget] = []
    for hospital in range(genesis.hospitals):
        account = privacy.account(models.state, hospital)
        spent = account.earlier_e6 + account.spent_e6
        found.append(Budget(genesis.name_of(hospital), spent, cap, account.exhausted))
    return tuple(found) if any(budget.spent_e6 for budget in found) else ()


def _evidence(models: ModelAudit | None) -> tuple[str, ...]:
    """What the ledger holds against its members, one line each. No finding: the ledger is sound."""
    if models is None:
        return ()
    return tuple(
        f"height {e.height}: round {e.round}: {models.genesis.name_of(e.node)}: {e.kind}"
        for e in evidence(models.state)
    )


def _order(finding: Finding) -> tuple[bool, int]:
    # The sort is stable: at one height, the order in which the layers found things stays.
    return finding.height is None, finding.height or 0


def _genesis(path: Path, copies: list[Copy], findings: list[Finding]) -> Genesis | None:
    """The chain that the run is about: what most of the files say.

    Copies of another chain are reported and dropped from ``copies``.
    """
    data = path.read_bytes() if path.is_file() else None
    if data is None and not copies:
        return None
    votes = Counter(copy.genesis for copy in copies)
    if data is not None:
        votes[data] += 1
    # Ties go to the file, which is written first.
    chosen = max(votes, key=lambda candidate: (votes[candidate], candidate == data))
    if data != chosen:
        word = "is missing" if data is None else "differs from the genesis in the ledger files"
        findings.append(Finding(0, None, GENESIS_FILE, word))
    for copy in copies:
        if copy.genesis != chosen:
            message = "the file belongs to another chain than the others"
            findings.append(Finding(0, copy.name, "genesis", message))
    copies[:] = [copy for copy in copies if copy.genesis == chosen]
    try:
        genesis = Genesis.decode(chosen)
        task.require_parameters(genesis)
    except ValueError as error:  # EncodingError is one
        findings.append(Finding(0, None, GENESIS_FILE, str(error)))
        return None
    return genesis


def _missing_copies(genesis: Genesis, folder: Path) -> Iterator[Finding]:
    """Every member keeps a copy, or (when the run kept them in memory) nobody does."""
    names = [genesis.name_of(member.id) for member in genesis.members]
    present = [name for name in names if (folder / f"{name}.sqlite").is_file()]
    if present:
        for name in names:
            if name not in present:
                yield Finding(0, name, f"{LEDGER_DIR}/{name}.sqlite", "is missing")


def _files(run_dir: Path, models: ModelAudit | None) -> Sequence[Finding]:
    """Findings about files: stray objects, then broken seals."""
    reported = models.reported if models else frozenset[str]()
    findings = list(stray_objects(run_dir / VAULT_DIR, reported))
    for name, message in broken_seals(run_dir):
        findings.append(Finding(None, _owner_of(name), name, message))
    return findings


def _owner_of(name: str) -> str | None:
    """Whose file this is, for those in a member's own folder or named after it."""
    match name.split("/"):
        case ["ledger", file]:
            return file.removesuffix(".sqlite")
        case ["vault" | "receipts", owner, _]:
            return owner
        case _:
            return None
