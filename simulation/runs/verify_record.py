"""The fourth layer of the audit: what a run says about itself, against the ledger and itself.

The trace has the digest that the manifest names, the metrics are those that follow from the trace,
the trace's blocks and results are the ledger's, the manifest's ledger and final model are the
ledger's, and every receipt proves what it says. So an edit has to be made in all of these places at
once, and those on the ledger cannot be made without the hospitals' keys.

What only the observer has seen (scores of a model, virtual times) is on no ledger; of that, the
trace's digest in the manifest is the only witness.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from simulation.base.digest import short
from simulation.base.encoding import EncodingError
from simulation.contracts import task
from simulation.ledger.block import Header
from simulation.ledger.genesis import Genesis
from simulation.ledger.proof import ProofError
from simulation.ledger.receipt import verify_receipt
from simulation.runs.artifacts import METRICS, TRACE, read_metrics
from simulation.runs.seal import MANIFEST
from simulation.runs.verify_ledger import Finding
from simulation.runs.verify_rows import Copy
from simulation.trace.events import EVENTS, Event
from simulation.trace.metrics import metric_rows

RECEIPTS = "receipts"
MEASURED = "round_closed"
"""A trace with such events is of a run that learns; a workload's metrics follow other rules."""


@dataclass
class RecordAudit:
    """Checks trace, metrics, manifest and receipts, and counts what it looks at.

    ``genesis`` and ``copies`` are what the second layer found sound; none without a ledger.
    """

    run_dir: Path
    genesis: Genesis | None
    copies: Sequence[Copy]
    events: int = 0
    rows: int = 0
    """Of the metrics."""
    receipts: int = 0
    _events: list[Event] = field(default_factory=list[Event])

    def findings(self) -> Iterator[Finding]:
        """All disagreements."""
        manifest = self._manifest()
        yield from self._trace(manifest)
        yield from self._metrics()
        best = max(self.copies, key=lambda copy: copy.state.version, default=None)
        if self.genesis is None or best is None:
            return
        yield from self._blocks(self.genesis)
        yield from self._rounds(best)
        yield from _summary(manifest, self.genesis, best)
        yield from self._receipts(self.genesis, best)

    def _manifest(self) -> Mapping[str, Any]:
        try:
            manifest: object = json.loads((self.run_dir / MANIFEST).read_bytes())
        except (OSError, ValueError):
            return {}  # the first layer has complained
        return cast("Mapping[str, Any]", manifest) if isinstance(manifest, dict) else {}

    # ---- trace and metrics ----------------------------------------------------------------------

    def _trace(self, manifest: Mapping[str, Any]) -> Iterator[Finding]:
        path = self.run_dir / TRACE
        if not path.is_file():
            return
        try:
            text = gzip.decompress(path.read_bytes())
            self._events = [_event(line) for line in text.splitlines()]
        except (OSError, EOFError, zlib.error, ValueError, TypeError, KeyError) as error:
            yield Finding(None, None, TRACE, f"cannot be read: {error}")
            return
        self.events = len(self._events)
        named = manifest.get("trace_digest")
        if named is not None and hashlib.sha256(text).hexdigest() != named:
            yield Finding(None, None, TRACE, "does not have the digest that the manifest names")

    def _metrics(self) -> Iterator[Finding]:
        path = self.run_dir / METRICS
        if not any(event.event == MEASURED for event in self._events) or not path.is_file():
            return
        try:
            rows = read_metrics(self.run_dir)
        except Exception as error:  # the library raises several unrelated types for bad bytes
            yield Finding(None, None, METRICS, f"cannot be read: {error}")
            return
        self.rows = len(rows)
        expected = metric_rows(self._events)
        if len(rows) != len(expected):
            message = f"{len(rows)} rows, and {len(expected)} follow from the trace"
            yield Finding(None, None, METRICS, message)
        for row, true in zip(rows, expected, strict=False):
            if row != true:
                where = f"round {true['round']}, {true['scope']}, {true['metric']}"
                message = f"{where}: {row['value']!r}, the trace says {true['value']!r}"
                scope = str(true["scope"])
                owner = scope if scope.startswith("hospital-") else None
                yield Finding(None, owner, METRICS, message)
                return

    # ---- the trace against the ledger -----------------------------------------------------------

    def _blocks(self, genesis: Genesis) -> Iterator[Finding]:
        """Blocks that a node is said to have appended, against its own copy; first of each."""
        by_name = {copy.name: copy for copy in self.copies if copy.is_sound}
        told: set[str] = set()
        for event in self._events:
            if event.event != "block_appended":
                continue
            row = cast("Any", event)
            name = genesis.name_of(row.node)
            copy = by_name.get(name)
            if copy is None or name in told or row.height > len(copy.blocks):
                continue
            header = Header.decode(cast(bytes, copy.blocks[row.height - 1].header))
            told_of = (row.header, row.state_root, row.transactions)
            count = len(copy.blocks[row.height - 1].payloads)
            if told_of != (short(header.digest), short(header.state_root), count):
                told.add(name)
                message = f"{TRACE}: names another block than the copy has"
                yield Finding(row.height, name, "trace", message)

    def _rounds(self, best: Copy) -> Iterator[Finding]:
        for event in self._events:
            if event.event != MEASURED:
                continue
            row = cast("Any", event)
            found = task.round(best.state, row.round)
            end = None if found is None else found.aggregate
            if end is not None and short(end.out_root) != row.out_root:
                message = f"{TRACE}: round {row.round} ends with {row.out_root} there"
                yield Finding(end.height, "coordinator", "out_root", message)

    # ---- receipts -------------------------------------------------------------------------------

    def _receipts(self, genesis: Genesis, best: Copy) -> Iterator[Finding]:
        folder = self.run_dir / RECEIPTS
        if not folder.is_dir():
            return
        headers = {i: block.header for i, block in enumerate(best.blocks, start=1)}
        for path in sorted(folder.rglob("*.receipt")):
            name = path.relative_to(self.run_dir).as_posix()
            self.receipts += 1
            try:
                receipt = verify_receipt(path.read_bytes(), genesis.voters.root)
            except (ProofError, EncodingError) as error:
                yield Finding(None, path.parent.name, name, f"proves nothing: {error}")
                continue
            height = receipt.header.height
            if headers.get(height) != receipt.header.encoded:
                message = "is of another block than the ledger's"
                yield Finding(height, path.parent.name, name, message)


def _event(line: bytes) -> Event:
    row = json.loads(line)
    return EVENTS[row.pop("event")](**row)


def _summary(manifest: Mapping[str, Any], genesis: Genesis, best: Copy) -> Iterator[Finding]:
    """What the manifest says of ledger and model, against the ledger."""
    summary = manifest.get("summary")
    told = cast("Mapping[str, Any]", summary) if isinstance(summary, Mapping) else {}
    ledger = told.get("ledger")
    if not isinstance(ledger, Mapping) or best.tip is None:
        return
    ledger = cast("Mapping[str, Any]", ledger)
    known = {
        "chain": genesis.chain_id.hex(),
        "height": best.tip.height,
        "head": best.tip.digest.hex(),
        "state_root": best.tip.state_root.hex(),
    }
    for name, value in known.items():
        if name in ledger and ledger[name] != value:
            message = f"{MANIFEST}: says {ledger[name]}, the ledger {value}"
            yield Finding(None, None, f"summary.ledger.{name}", message)
    root = task.status(best.state).root
    if "model" in told and root is not None and told["model"] != root.hex():
        message = f"{MANIFEST}: says {told['model']}, the ledger {root.hex()}"
        yield Finding(None, None, "summary.model", message)
