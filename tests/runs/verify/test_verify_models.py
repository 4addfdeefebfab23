"""The model layer by itself: what it says about a ledger that lies, or a vault that does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from simulation.base.encoding import Value
from simulation.base.tensors import encode_model, model_root
from simulation.contracts import default_contracts, task
from simulation.contracts.round_keys import (
    STATUS_KEY,
    aggregate_key,
    commit_key,
    reveal_key,
    round_key,
)
from simulation.ledger.genesis import Genesis, Member
from simulation.ledger.runtime import Runtime
from simulation.ledger.state import Journal, State
from simulation.runs.verify_models import ModelAudit
from simulation.vault.store import DirectoryVault, cid_of

SALT = b"s" * 32


def model(number: int) -> dict[str, np.ndarray]:
    return {"w": np.full(3, number, dtype=np.float32)}


class Story:
    """Two rounds of one hospital, written into a state by hand: no contract has looked."""

    def __init__(self, vault: Path, keys, **more: Value) -> None:
        members = tuple(
            Member(i, "hospital" if i < 2 else "coordinator", keys[i].public.encoded)
            for i in range(3)
        )
        parameters: dict[str, Value] = {"name": "s", "initial_root": model_root(model(0)), **more}
        self.genesis = Genesis("s", members, 1, 1, parameters)
        self.vaults = [
            DirectoryVault(vault / name) for name in ("hospital-00", "hospital-01", "coordinator")
        ]
        self.path = vault
        self.writes: dict[str, dict[str, Value]] = {}
        self.put(STATUS_KEY, {"round": 2, "open": False, "root": model_root(model(20))})
        self.round(1, base=0, update=1, out=10, height=3)
        self.round(2, base=10, update=2, out=20, height=6)

    def put(self, key: str, value: dict[str, Value]) -> None:
        self.writes[key] = value

    def round(self, number: int, base: int, update: int, out: int, height: int) -> None:
        base_root, root = model_root(model(base)), model_root(model(update))
        chain = self.genesis.chain_id
        digest = task.commitment(chain, "s", number, base_root, 1, root, SALT)
        self.put(
            round_key(number),
            {
                "status": "closed",
                "base_root": base_root,
                "eligible": [1],
                "height": height,
                "time_us": height,
                "commits_root": bytes(32),
            },
        )
        self.put(
            commit_key(number, 1),
            {
                "commitment": digest,
                "nbytes": 1,
                "examples": 1,
                "dp": None,
                "cid": None,
                "height": height - 1,
                "transaction": bytes(32),
            },
        )
        cid = self.update(update)
        self.put(
            reveal_key(number, 1),
            {"update_root": root, "salt": SALT, "cid": cid, "holders": [0], "height": height},
        )
        self.put(
            aggregate_key(number),
            {
                "hospitals": [1],
                "inputs_root": bytes(32),
                "out_root": model_root(model(out)),
                "out_cid": self.vaults[2].put(encode_model(model(out))),
                "height": height,
                "proposer": 2,
            },
        )

    def update(self, number: int) -> str:
        """Hospital 1's object, held by itself and by replica 0."""
        cids = {self.vaults[holder].put(encode_model(model(number))) for holder in (0, 1)}
        return cids.pop()

    def findings(self) -> list[tuple[int | None, str | None, str]]:
        state: State = Runtime(default_contracts()).initial_state(self.genesis)
        journal = Journal(state)
        for key, value in self.writes.items():
            journal.put(key, value)
        state.commit(state.stage(journal.entries))
        found = ModelAudit(self.genesis, state, self.path).findings()
        return [(finding.height, finding.hospital, finding.field) for finding in found]


@pytest.fixture
def story(tmp_path: Path, keys) -> Story:
    return Story(tmp_path / "vault", keys)


def test_a_true_story_has_no_findings(story) -> None:
    """Every opening and every aggregate fits the bytes."""
    assert story.findings() == []


def test_an_aggregate_that_is_no_aggregate_is_named(tmp_path: Path, keys) -> None:
    """Every aggregate is recomputed from the vault's bytes, where the task has a rule."""
    story = Story(tmp_path / "vault", keys, rule={"kind": "fedavg"})

    assert story.findings() == [(3, "coordinator", "aggregate"), (6, "coordinator", "aggregate")]


def test_an_address_of_another_model_is_named(story) -> None:
    """The bytes at an opening's address must have the root that was opened."""
    story.writes[reveal_key(2, 1)]["cid"] = story.update(99)

    assert story.findings() == [(6, "hospital-01", "update_root")]


def test_an_aggregate_at_a_wrong_address_is_named(story) -> None:
    """The aggregate's object has the root that the next round starts from."""
    story.writes[aggregate_key(1)]["out_cid"] = story.vaults[2].put(encode_model(model(99)))

    assert story.findings() == [(3, "coordinator", "out_root")]


def test_bytes_that_are_no_model_are_named(story) -> None:
    """Every object that the ledger speaks of decodes."""
    story.writes[aggregate_key(1)]["out_cid"] = story.vaults[2].put(b"no model")

    assert story.findings() == [(3, "coordinator", "out_root")]


def test_a_lost_object_is_named(story) -> None:
    """Every object that the ledger speaks of is present."""
    cid = cid_of(encode_model(model(1)))
    (story.path / "hospital-00" / cid).unlink()

    assert story.findings() == [(3, "hospital-00", f"vault/hospital-00/{cid}")]


@pytest.mark.parametrize("what", ["salt", "commitment"])
def test_an_opening_that_opens_nothing_is_named(story, what: str) -> None:
    """The commitment is recomputed from the opening, again."""
    if what == "salt":
        story.writes[reveal_key(2, 1)]["salt"] = bytes(32)
    else:
        story.writes[commit_key(2, 1)]["commitment"] = bytes(32)

    assert story.findings() == [(6, "hospital-01", "commitment")]


def test_a_round_that_starts_elsewhere_is_named(story) -> None:
    """A round starts from the model that the last one ended with."""
    story.round(2, base=11, update=2, out=20, height=6)

    assert story.findings() == [(6, "coordinator", "base_root")]


def test_a_first_round_that_starts_elsewhere_is_named(story) -> None:
    """The first round starts from the genesis's model."""
    story.round(1, base=5, update=1, out=10, height=3)

    assert story.findings() == [(3, "coordinator", "base_root")]
