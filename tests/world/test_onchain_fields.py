"""What may be on the ledger: no field about a patient, no digest without salt, no float.

The list is closed on purpose: who puts a new field on the ledger adds it here, and says what it is.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import cbor2
import numpy as np
import pytest

from simulation.base.digest import DIGEST_BYTES, Digest
from simulation.base.rng import Streams
from simulation.base.tensors import encode_model, model_root
from simulation.config.experiment import Experiment
from simulation.federation.params import FederationParams
from simulation.learning.params import DpSgdParams, LogisticParams, TrainingParams
from simulation.ledger.genesis import Genesis
from simulation.nodes.conduct import Conduct
from simulation.nodes.params import NoLedger
from simulation.records.load import load
from simulation.records.params import BreastCancerParams, IidParams
from simulation.runs.storage import chain_items
from simulation.runs.verify_rows import read_copy
from simulation.vault.store import cid_of
from simulation.world import simulate

# Every field of a transaction's body: what it is about, and why it tells nothing about a patient.
FIELDS = {
    "task.open": {"round": "number", "base_root": "model digest", "eligible": "members"},
    "task.commit": {
        "round": "number",
        "commitment": "salted digest",
        "base_root": "model digest",
        "nbytes": "size of a model",
        "examples": "training records of a hospital, ten where they are fewer: its weight",
        "dp": "privacy claim",
        "cid": "address of a sealed object, under hash_only",
    },
    "task.reveal": {
        "round": "number",
        "update_root": "digest of an update that is revealed, and protected by its noise",
        "salt": "random",
        "cid": "address of a sealed object",
        "holdings": "signatures",
    },
    "task.confirm": {"round": "number", "out_root": "model digest"},
    "task.aggregate": {
        "round": "number",
        "hospitals": "members",
        "inputs_root": "digest of digests",
        "out_root": "model digest",
        "out_cid": "address of a sealed object",
    },
}
CLAIM = {
    "epsilon_e6", "delta_e12", "sigma_e6", "clip_e6", "sampling_e6", "steps", "sampler",
    "neighbours", "unit", "accountant", "accountant_version",
}  # fmt: skip
WORDS = {
    "poisson", "pld", "add-or-remove-one", "record", f"dp-accounting {version('dp-accounting')}",
}  # fmt: skip
"""Of a privacy claim: how records were drawn, what is protected, and whose arithmetic it is."""
CID = re.compile(r"b[a-z2-7]{58}")


class Watches(Conduct):
    """Honest; notes what a commitment must not give away."""

    def __init__(self) -> None:
        self.updates: list[bytes] = []

    def prepare(self, ledger, order, product):
        self.updates.append(product.model)
        yield from ()
        return product


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory):
    """A private run on disk: the transactions of its ledger, its genesis, its updates."""
    folder = tmp_path_factory.mktemp("chain")
    task = Experiment(
        name="small",
        hospitals=4,
        data=BreastCancerParams(),
        partition=IidParams(),
        model=LogisticParams(),
        training=TrainingParams(learning_rate=0.1, batch_size=32),
        privacy=DpSgdParams(noise_multiplier=1.0),
        federation=FederationParams(rounds=2),
    )
    watching = {h: Watches() for h in range(task.hospitals)}
    simulate(task, 1, folder, conducts=watching)
    copy = read_copy(folder / "ledger" / "coordinator.sqlite")
    updates = [model for conduct in watching.values() for model in conduct.updates]
    genesis = Genesis.decode((folder / "genesis.cbor").read_bytes())
    return task, list(chain_items(copy)), genesis, updates


def weights_on(folder: Path) -> dict[int, int]:
    """The weight in each hospital's commitments."""
    copy = read_copy(folder / "ledger" / "coordinator.sqlite")
    return {
        item.transaction.transaction.sender: item.transaction.transaction.body["examples"]
        for item in chain_items(copy)
        if item.kind == "task.commit" and item.transaction is not None
    }


@pytest.mark.parametrize(("cap", "told"), [(9, 10), (13, 10), (14, 11)])
def test_the_size_of_a_small_cohort_is_not_told(tmp_path: Path, cap: int, told: int) -> None:
    """Never on the ledger: exact small cohort sizes. The plain federation weighs them alike."""
    task = Experiment(
        name="tiny",
        hospitals=4,
        data=BreastCancerParams(),
        partition=IidParams(cap=cap),
        model=LogisticParams(),
        training=TrainingParams(learning_rate=0.1, batch_size=4),
        federation=FederationParams(rounds=1),
    )
    records = load(task.data, task.partition, task.hospitals, Streams(1))
    trained = {hospital: len(records[hospital].train_x) for hospital in range(task.hospitals)}
    assert set(trained.values()) == {cap * 4 // 5}

    made = simulate(task, 1, tmp_path)

    assert weights_on(tmp_path) == dict.fromkeys(trained, told)
    plain = simulate(dataclasses.replace(task, ledger=NoLedger()), 1)
    assert model_root(made.arrays) == model_root(plain.arrays)


def leaves(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    """All that a value holds, with where it is."""
    match value:
        case Mapping():
            for key, item in value.items():
                yield from leaves(item, f"{path}.{key}")
        case list() | tuple():
            for item in value:
                yield from leaves(item, f"{path}[]")
        case _:
            yield path, value


def test_every_field_is_one_that_is_known(chain) -> None:
    """on-chain fields: no patient-level field."""
    _, items, _, _ = chain
    seen: set[str] = set()
    for item in items:
        if item.transaction is None:
            continue
        body = item.transaction.transaction.body
        assert set(body) <= set(FIELDS[item.kind]), item.kind
        seen.add(item.kind)
        if body.get("dp") is not None:
            assert set(body["dp"]) <= CLAIM
    assert seen == set(FIELDS)


def test_nothing_on_the_chain_is_a_float(chain) -> None:
    """on-chain fields: no float; ε and noise are whole numbers in millionths."""
    _, items, genesis, _ = chain
    for item in items:
        for _, leaf in leaves(_nested(cbor2.loads(item.data))):
            assert leaf is None or isinstance(leaf, (bool, int, str, bytes)), leaf
    assert not any(isinstance(leaf, float) for _, leaf in leaves(genesis.task))


def _nested(value: object) -> object:
    """A value with the encoded values in it decoded: what was signed, what was hashed."""
    if isinstance(value, bytes) and len(value) not in (DIGEST_BYTES, 64):
        try:
            return _nested(cbor2.loads(value))
        except ValueError:
            return value
    if isinstance(value, list):
        return [_nested(item) for item in value]
    return value


def test_text_is_a_word_of_the_protocol_or_an_address(chain) -> None:
    """Never on the ledger: names, record numbers, dates of birth, codes, note text."""
    _, items, _, _ = chain
    for item in items:
        if item.transaction is None:
            continue
        for path, leaf in leaves(item.transaction.transaction.body):
            if isinstance(leaf, str):
                assert leaf in WORDS or CID.fullmatch(leaf), (item.kind, path, leaf)


def test_before_the_seal_no_digest_of_an_update_is_there(chain) -> None:
    """No unsalted digest: a commitment is not the digest, nor the address, of any update."""
    _, items, _, updates = chain
    plain = set(_digests(updates))
    assert len(updates) == 8
    for item in items:
        if item.kind != "task.commit":
            continue
        body = item.transaction.transaction.body
        assert body["cid"] is None
        assert body["commitment"] not in plain
        assert not any(digest in item.data for digest in plain)
    # The check sees what it looks for: after the seal, the same digests are there.
    revealed = b"".join(item.data for item in items if item.kind == "task.reveal")
    assert sum(digest in revealed for digest in plain) == len(updates)
    assert not any(cid_of(model).encode() in revealed for model in updates)


def _digests(updates: Sequence[bytes]) -> Iterator[Digest]:
    from simulation.nodes.update_check import root_of

    return (root_of(model) for model in updates)


def test_no_record_of_a_patient_has_a_digest_on_the_chain(chain) -> None:
    """No patient-level field: no row, no column and no single value's bytes, hashed or not."""
    task, items, _, _ = chain
    data = b"".join(item.data for item in items)
    federation = load(task.data, task.partition, task.hospitals, Streams(1))
    for hospital in range(task.hospitals):
        rows = np.asarray(federation[hospital].train_x, dtype=np.float32)
        for row in rows[:50]:
            assert row.tobytes() not in data
            assert encode_model({"row": row}) not in data
            assert model_root({"row": row}) not in data
