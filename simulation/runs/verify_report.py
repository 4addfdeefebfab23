"""An audit as one HTML page: verdict, disagreements, what was looked at, what the ledger says."""

from __future__ import annotations

from simulation.base.units import format_bytes
from simulation.runs.page import Markup, code, page, paragraph, section, table, verdict
from simulation.runs.storage import by_kind
from simulation.runs.verify import VerifyReport

MILLION = 1_000_000


def verify_page(report: VerifyReport) -> str:
    """The page of an audit."""
    count = len(report.findings)
    parts = [
        verdict(
            report.ok,
            "Everything agrees" if report.ok else f"{count} disagreement{'s' * (count > 1)}",
            "Every file is as it was sealed, and every layer below follows from the ones before."
            if report.ok
            else "The first one is the most telling: what comes later may only follow from it.",
        )
    ]
    if report.findings:
        rows = [
            ("" if f.height is None else f.height, f.hospital or "", code(f.field), f.message)
            for f in report.findings
        ]
        parts.append(section("What disagrees", table(_WHERE, rows, numbers=(0,))))
    parts.append(section("What was looked at", _layers(report)))
    if report.chain_id is not None:
        parts += [_evidence(report), _budgets(report), _storage(report), _trust(report)]
    return page("Audit of a run", code(report.run), *parts)


_WHERE = ("height", "whose", "field", "what is wrong")


def _layers(report: VerifyReport) -> Markup:
    rows: list[tuple[str, str, str]] = [
        ("files", f"{report.files}", "SHA-256 against the manifest, and that against DONE")
    ]
    if report.chain_id is not None:
        rows += [
            ("ledger copies", f"{report.copies}", "executed again from the genesis, and equal"),
            ("blocks", f"{report.blocks}", "parent, transaction, receipt and state roots"),
            ("certificates", f"{report.certificates}", "Ed25519 signatures of a quorum"),
            ("transactions", f"{report.transactions}", "signature, sequence, expiry, outcome"),
            ("openings", f"{report.openings}", "the salted commitment on the ledger"),
            ("vault objects", f"{report.objects}", "content address; opened, and the model's root"),
            ("aggregates", f"{report.aggregates}", "computed again from the updates, in integers"),
            ("receipts", f"{report.receipts}", "inclusion proofs under the membership root"),
        ]
    rows += [
        ("trace events", f"{report.events}", "digest in the manifest; blocks and results"),
        ("metrics", f"{report.metrics}", "computed again from the trace"),
    ]
    return table(("what", "how many", "held against"), rows, numbers=(1,))


def _evidence(report: VerifyReport) -> Markup:
    if not report.evidence:
        return section("Evidence on the ledger", paragraph("None: nobody was caught straying."))
    return section("Evidence on the ledger", *(paragraph(entry) for entry in report.evidence))


def _budgets(report: VerifyReport) -> Markup:
    if not report.budgets:
        return section("Privacy budgets", paragraph("No hospital has declared a privacy claim."))
    rows = [
        (
            b.hospital,
            f"{b.spent_e6 / MILLION:.6f}",
            "none" if b.cap_e6 is None else f"{b.cap_e6 / MILLION:.6f}",
            "refused at the cap" if b.exhausted else "",
        )
        for b in report.budgets
    ]
    note = "As claimed; a ledger cannot see how much noise was added (wardchain audit can)."
    return section(
        "Privacy budgets",
        table(("hospital", "ε spent", "cap", ""), rows, numbers=(1, 2)),
        paragraph(note, soft=True),
    )


def _storage(report: VerifyReport) -> Markup:
    sizes = by_kind(report.stored)
    counts = {kind: sum(s.count for s in report.stored if s.kind == kind) for kind in sizes}
    total = sum(sizes.values())
    rows = [
        (kind, counts[kind], format_bytes(size), f"{100 * size / total:.1f} %")
        for kind, size in sorted(sizes.items(), key=lambda item: -item[1])
    ]
    off = sum(report.vaults.values())
    told = (
        f"One ledger copy holds {format_bytes(total)} over {report.rounds} rounds; the "
        f"{len(report.vaults)} vaults together hold {format_bytes(off)}."
    )
    return section(
        "Bytes on the chain",
        table(("kind", "how many", "bytes", "share"), rows, numbers=(1, 2, 3)),
        paragraph(told),
    )


def _trust(report: VerifyReport) -> Markup:
    return section(
        "What this rests on",
        paragraph("Chain ", code(report.chain_id), "."),
        paragraph(
            "A run that was replaced as a whole, keys and all, is another chain: compare this id "
            "with the one that you know. Scores of models and virtual times are on no ledger; the "
            "trace's digest in the manifest is their only witness."
        ),
        paragraph("Check again: ", code(f"wardchain verify {report.run}")),
    )
