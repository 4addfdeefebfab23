"""The second layer of the audit: every ledger copy against the rules, and against the others.

Each copy is executed again from the genesis, height by height and all copies side by side. At each
height a copy's certificate says whether its header is the one that a quorum signed. If it is, the
transactions, outcomes and roots must fit it; if it is not, the header that somebody else's
certificate proves, or the one that execution gives, shows which field was changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from simulation.base.encoding import EncodingError
from simulation.contracts import default_contracts
from simulation.ledger.block import (
    HEADER_FIELDS,
    HEADER_VERSION,
    Certificate,
    Header,
    genesis_header,
)
from simulation.ledger.genesis import Genesis
from simulation.ledger.runtime import Execution, Runtime
from simulation.ledger.voters import VOTERS_KEY, Voters, epoch_of
from simulation.runs.verify_rows import Copy, StoredBlock


@dataclass(frozen=True, slots=True)
class Finding:
    """One disagreement: where it is, and what it is."""

    height: int | None
    """Of the block concerned; 0 for the genesis, None when no block is concerned."""
    hospital: str | None
    """Name of the node whose copy or whose model is concerned, if it is one node's."""
    field: str
    """What disagrees: a header field, ``transactions``, ``certificate``, a file name, …"""
    message: str


def audit(genesis: Genesis, copies: Sequence[Copy]) -> Iterator[Finding]:
    """All disagreements of the copies, in order of height; at most one height per copy.

    A copy that has failed is not followed further: what comes after rests on what failed.
    """
    runtime = Runtime(default_contracts())
    for copy in copies:
        copy.state = runtime.initial_state(genesis)
        copy.tip = genesis_header(genesis, copy.state.root)
    for height in range(1, max((len(copy.blocks) for copy in copies), default=0) + 1):
        current = [copy for copy in copies if copy.is_sound and len(copy.blocks) >= height]
        for copy in current:
            yield from _decode(copy, height)
        proven = _proven(genesis, [copy for copy in current if copy.header])
        for copy in current:
            if copy.is_sound:
                yield from _audit_block(runtime, genesis, copy, height, proven)
        yield from _compare(height, [copy for copy in current if copy.is_sound])


def _decode(copy: Copy, height: int) -> Iterator[Finding]:
    block = copy.blocks[height - 1]
    copy.header = copy.certificate = None
    try:
        copy.header = Header.decode(_bytes(block.header))
    except EncodingError as error:
        copy.is_sound = False
        yield Finding(height, copy.name, "header", str(error))
    try:
        if block.certificate is not None:
            copy.certificate = Certificate.decode(_bytes(block.certificate))
    except EncodingError as error:
        copy.is_sound = False
        yield Finding(height, copy.name, "certificate", str(error))


def _proven(genesis: Genesis, copies: Sequence[Copy]) -> list[Header]:
    """The distinct headers at this height that some copy's certificate certifies."""
    headers: dict[bytes, Header] = {}
    for copy in copies:
        if copy.header is not None:
            headers.setdefault(copy.header.encoded, copy.header)
    # Sound copies have the same state, so they agree on who certifies this height.
    voters = [_voters(genesis, copy) for copy in copies[:1]]
    certificates = [copy.certificate for copy in copies if copy.certificate is not None]
    return [
        header
        for header in headers.values()
        for known in voters
        if any(certificate.fault(header, known) is None for certificate in certificates)
    ]


def _voters(genesis: Genesis, copy: Copy) -> Voters:
    """Who certifies the next block, by the state before it."""
    return epoch_of(genesis.chain_id, copy.state.get(VOTERS_KEY)).voters


def _audit_block(
    runtime: Runtime, genesis: Genesis, copy: Copy, height: int, proven: Sequence[Header]
) -> Iterator[Finding]:
    assert copy.header is not None  # copies without one were dropped by the caller
    assert copy.tip is not None
    block, header = copy.blocks[height - 1], copy.header
    findings: list[Finding] = []
    if proven and header not in proven:
        fields = [n for n in HEADER_FIELDS if getattr(header, n) != getattr(proven[0], n)]
        findings += [
            Finding(height, copy.name, name, "differs from the header that a quorum signed")
            for name in fields
        ]
    elif copy.certificate is not None:
        problem = copy.certificate.fault(header, _voters(genesis, copy))
        if problem is not None and not proven:
            # Nobody proves a header: execution may still tell which field is wrong.
            findings += _header_faults(runtime, genesis, copy, height)
        if problem is not None and not findings:
            findings.append(Finding(height, copy.name, "certificate", problem))
    if not findings:
        findings += _header_faults(runtime, genesis, copy, height)
    if findings:
        copy.is_sound = False
        yield from findings
        return
    payloads = _payloads(block)
    assert payloads is not None  # `_header_faults` has looked
    execution = _run(runtime, genesis, copy, payloads, header)
    copy.state.commit(execution.staged)
    copy.tip = header


def _header_faults(runtime: Runtime, genesis: Genesis, copy: Copy, height: int) -> list[Finding]:
    """What does not fit between header, parent, transactions, outcomes and state."""
    assert copy.header is not None
    assert copy.tip is not None
    block, header, tip = copy.blocks[height - 1], copy.header, copy.tip
    payloads = _payloads(block)
    if payloads is None:
        return [Finding(height, copy.name, "transactions", "a row holds no bytes")]
    linked = {
        "version": HEADER_VERSION,
        "chain": genesis.chain_id,
        "height": height,
        "parent": tip.digest,
    }
    for name, value in linked.items():
        if getattr(header, name) != value:
            return [Finding(height, copy.name, name, "does not continue the chain")]
    if header.time_us <= tip.time_us:
        return [Finding(height, copy.name, "time_us", "is not after the parent's")]
    execution = _run(runtime, genesis, copy, payloads, header)
    if execution.transaction_root != header.transaction_root:
        return [Finding(height, copy.name, "transactions", "do not have the header's root")]
    outcomes = tuple((int(o.accepted), o.code) for o in execution.outcomes)
    if outcomes != block.outcomes:
        where = _first_difference(outcomes, block.outcomes)
        message = f"execution gives another outcome at position {where}"
        return [Finding(height, copy.name, "outcomes", message)]
    if execution.receipts_root != header.receipts_root:
        return [Finding(height, copy.name, "receipts_root", "execution gives another root")]
    if execution.staged.root != header.state_root:
        return [Finding(height, copy.name, "state_root", "execution gives another root")]
    return []


def _compare(height: int, copies: Sequence[Copy]) -> Iterator[Finding]:
    """Sound copies that still differ: a fork, signed by two quorums or by none."""
    if not copies:
        return
    first = copies[0]
    for copy in copies[1:]:
        if copy.tip != first.tip:
            fields = [n for n in HEADER_FIELDS if getattr(copy.tip, n) != getattr(first.tip, n)]
            message = f"differs from {first.name}'s block: {', '.join(fields)}"
            yield Finding(height, copy.name, "copies", message)
            copy.is_sound = False


def _run(
    runtime: Runtime, genesis: Genesis, copy: Copy, payloads: tuple[bytes, ...], header: Header
) -> Execution:
    return runtime.execute(
        copy.state,
        payloads,
        chain=genesis.chain_id,
        height=header.height,
        time_us=header.time_us,
    )


def _payloads(block: StoredBlock) -> tuple[bytes, ...] | None:
    payloads = tuple(item for item in block.payloads if isinstance(item, bytes))
    return payloads if len(payloads) == len(block.payloads) else None


def _bytes(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise EncodingError(f"the row holds {type(value).__name__}, not bytes")
    return value


def _first_difference(left: Sequence[object], right: Sequence[object]) -> int:
    pairs = zip(left, right, strict=False)
    return next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(left), len(right)))
