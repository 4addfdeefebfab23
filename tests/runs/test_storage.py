"""Bytes on the chain: what is counted, and that the closed form gives the same."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from simulation.base.encoding import encode, head_bytes
from simulation.config.experiment import Experiment
from simulation.federation.params import FederationParams
from simulation.learning.params import LogisticParams, TrainingParams
from simulation.ledger.block import Certificate, Header
from simulation.ledger.genesis import Genesis
from simulation.nodes.params import CommitRevealLedger
from simulation.records.params import BreastCancerParams, IidParams
from simulation.runs.storage import (
    CERTIFICATE,
    HEADER,
    Stored,
    by_kind,
    chain_bytes,
    chain_items,
    run_bytes,
    vault_bytes,
)
from simulation.runs.storage_form import certificate_size, header_size, round_size
from simulation.runs.verify_rows import read_copy
from simulation.world import simulate

ROUNDS = 2


def run(n: int, out: Path) -> None:
    task = Experiment(
        name="storage",
        hospitals=n,
        data=BreastCancerParams(),
        partition=IidParams(),
        model=LogisticParams(),
        training=TrainingParams(learning_rate=0.1, batch_size=32),
        federation=FederationParams(rounds=ROUNDS),
        ledger=CommitRevealLedger(store="sqlite"),
    )
    simulate(task, 1, out)


@pytest.mark.parametrize("number", [0, 23, 24, 255, 256, 65535, 65536, 2**32 - 1, 2**32, 2**63])
def test_heads_are_as_wide_as_the_encoding_makes_them(number: int) -> None:
    """RFC 8949 §3: a number takes as few bytes as it can."""
    assert head_bytes(number) == len(encode(number))


def check(n: int, out: Path) -> None:
    """Hold every byte on the chain of an undisturbed run against the closed form."""
    run(n, out)
    copy = read_copy(out / "ledger" / "coordinator.sqlite")
    items = list(chain_items(copy))
    sizes = by_kind(chain_bytes(copy))
    expected: dict[str, int] = {}
    for number in range(1, ROUNDS + 1):
        bodies = {
            (item.kind, item.transaction.transaction.sender): item.transaction.transaction.body
            for item in items
            if item.transaction is not None and item.transaction.transaction.body["round"] == number
        }
        commits = [bodies["task.commit", hospital] for hospital in range(n)]
        holders = [
            [row[0] for row in bodies["task.reveal", hospital]["holdings"]] for hospital in range(n)
        ]
        assert {len(row) for row in holders} == {(n - 1) // 3 + 1}, "f + 1 signatures each"
        assert len({body["nbytes"] for body in commits}) == 1
        examples = [body["examples"] for body in commits]
        form = round_size(n, number, holders, commits[0]["nbytes"], examples)
        for kind, size in form.items():
            expected[kind] = expected.get(kind, 0) + size
    assert {k: v for k, v in sizes.items() if k not in (HEADER, CERTIFICATE)} == expected
    for item in items:
        if item.kind == CERTIFICATE:
            signers = len(Certificate.decode(item.data).signatures)
            assert len(item.data) == certificate_size(n, signers)
        elif item.kind == HEADER:
            header = Header.decode(item.data)
            numbers = (header.height, header.view, header.proposer, header.time_us)
            assert len(item.data) == header_size(*numbers)


@pytest.mark.parametrize("n", [4, 7])
def test_the_closed_form_gives_the_bytes_on_the_chain(n: int, tmp_path: Path) -> None:
    """On-chain bytes per round and per kind against n, with the formula beside it: exactly."""
    check(n, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("n", [10, 16, 31, 64])
def test_the_closed_form_gives_the_bytes_of_larger_federations(n: int, tmp_path: Path) -> None:
    """The same up to n = 64, where ids and bitmaps are wider."""
    check(n, tmp_path)


def test_reveals_are_the_kind_that_grows_with_the_square() -> None:
    """f + 1 signatures in each of n reveals; everything else is linear."""

    def sizes(n: int) -> dict[str, int]:
        f = (n - 1) // 3
        return round_size(n, 1, [range(f + 1)] * n, 1000, [100] * n)

    small, large = sizes(16), sizes(64)
    ratio = {kind: large[kind] / small[kind] for kind in small}
    assert ratio["task.reveal"] > 8
    assert all(3.9 < ratio[kind] < 4.2 for kind in ("task.commit", "task.confirm"))
    assert ratio["task.open"] < 2


def test_bytes_belong_to_the_round_that_was_open(finished: Path) -> None:
    """Every stored byte is counted once, in a round and under a kind."""
    stored = run_bytes(finished)
    copy = read_copy(finished / "ledger" / "hospital-00.sqlite")

    assert stored == sorted(stored, key=lambda entry: (entry.round, entry.kind))
    assert {entry.round for entry in stored} == {1, 2}
    counts = {(e.round, e.kind): e.count for e in stored}
    for number in (1, 2):
        assert counts[number, "task.commit"] == counts[number, "task.reveal"] == 4
        assert counts[number, "task.open"] == counts[number, "task.aggregate"] == 1
    total = sum(
        len(block.header) + len(block.certificate) + sum(len(p) for p in block.payloads)
        for block in copy.blocks
    )
    assert sum(entry.size_bytes for entry in stored) == total


def test_vaults_are_weighed_one_by_one(finished: Path) -> None:
    """Off the chain: each member's own objects."""
    sizes = vault_bytes(finished)

    assert sorted(sizes) == ["coordinator", *(f"hospital-0{i}" for i in range(4))]
    assert sizes["hospital-01"] == sum(
        path.stat().st_size for path in (finished / "vault" / "hospital-01").iterdir()
    )


def test_what_is_no_transaction_is_weighed_as_rubbish(finished: Path) -> None:
    """Some of what gets ordered is rubbish; it takes room all the same."""
    copy = read_copy(finished / "ledger" / "hospital-00.sqlite")
    first = copy.blocks[0]
    copy.blocks[0] = dataclasses.replace(first, payloads=(b"rubbish", *first.payloads))

    assert Stored(1, "rubbish", 1, 7) in chain_bytes(copy)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a run of four hospitals and two rounds."""
    folder = tmp_path_factory.mktemp("storage")
    run(4, folder)
    genesis = Genesis.decode((folder / "genesis.cbor").read_bytes())
    assert genesis.hospitals == 4
    return folder
