"""What is named of what was altered: on a made-up audit, and on a tapped cable."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from experiments import tamper_detection
from experiments.stem import Table
from experiments.tamper_detection import LEDGER, RECORD, VAULT, WIRE
from simulation.nodes.messages import SealedUpdate


class Cable:
    """A network that keeps what is sent."""

    def __init__(self) -> None:
        self.kept: list[tuple[int, Any]] = []

    def broadcast(self, _src: int, dsts: list[int], message: Any, _at_us: int) -> None:
        self.kept += [(dst, message) for dst in dsts]


def test_a_tap_turns_one_bit_for_some_receivers_and_says_which() -> None:
    """ "For each receiver by itself"; all else goes through as it is."""
    cable: Any = Cable()
    tap = tamper_detection._Tap(cable, 50, np.random.default_rng(3))
    update = SealedUpdate(1, 2, 0, bytes(40), bytes(20), b"", b"", 0)
    tap.broadcast(0, range(1, 30), update, 0)
    tap.broadcast(0, [1], "vote", 0)
    assert cable.kept.pop() == (1, "vote")
    assert tap.sent == {(2, 0, dst) for dst in range(1, 30)}
    flipped = {(2, 0, dst) for dst, m in cable.kept if m != update}
    assert flipped == tap.altered
    assert 0 < len(flipped) < 29
    assert {sum(m.sealed + m.key).bit_count() for _, m in cable.kept} == {0, 1}
    assert all(len(m.sealed) == 40 and len(m.key) == 20 for _, m in cable.kept)
    assert any(sum(m.key) for _, m in cable.kept), "the key is part of what is altered"


def rows(**changed: float) -> Table:
    """A table as the claim says; one cell of all places, sealed again, may differ."""
    table: Table = []
    for place in (LEDGER, VAULT, RECORD, WIRE):
        for resealed in (0, 1):
            found = 0.8 if place == RECORD and resealed else 1.0
            row = {"place": place, "resealed": resealed, "percent": 20, "altered": 10, "seeds": 5}
            table.append({**row, "detected": found, "false_alarms": 0.0})
            if resealed and place in changed:
                table[-1]["detected"] = changed[place]
    return table


def test_each_part_of_the_claim_can_fail() -> None:
    """All named in three places; of the rest all by the seal, and not all without it."""
    assert tamper_detection.verdict(rows()).holds
    for place in (LEDGER, VAULT, WIRE):
        assert not tamper_detection.verdict(rows(**{place: 0.9})).holds
    assert not tamper_detection.verdict(rows(**{RECORD: 1.0})).holds
    blamed = [{**row, "false_alarms": 0.01} for row in rows()]
    assert not tamper_detection.verdict(blamed).holds


def test_files_belong_to_one_place_and_the_seal_to_none(tmp_path: Path) -> None:
    """ "The seal's own two files are left alone"."""
    for name in ("ledger/a.sqlite", "vault/a/cid", "trace.jsonl.gz", "DONE", "manifest.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    found = {place: list(tamper_detection._files(tmp_path, place)) for place in (
        LEDGER, VAULT, RECORD)}  # fmt: skip
    assert found == {
        LEDGER: ["ledger/a.sqlite"], VAULT: ["vault/a/cid"], RECORD: ["trace.jsonl.gz"]
    }  # fmt: skip
