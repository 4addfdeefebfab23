"""Private records stay in their hospital: nothing but update, digest and counts is on the wire."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from simulation.base.encoding import decode
from simulation.base.rng import Streams
from simulation.learning.params import DpSgdParams
from simulation.ledger.transaction import SignedTransaction
from simulation.network.network import Network
from simulation.nodes.conduct import Conduct
from simulation.nodes.messages import Order, SealedUpdate, Submit
from simulation.records.load import load
from simulation.runs.provenance import is_compiled
from simulation.vault.params import VaultParams
from simulation.world import simulate

COMMIT_FIELDS = {"round", "commitment", "base_root", "nbytes", "examples", "dp", "cid"}
CLAIM_FIELDS = {
    "epsilon_e6", "delta_e12", "sigma_e6", "clip_e6", "sampling_e6", "steps", "sampler",
    "neighbours", "unit", "accountant", "accountant_version",
}  # fmt: skip


@pytest.fixture
def experiment(experiment):
    """The small task without encryption, which could hide anything from these searches."""
    return dataclasses.replace(experiment, vault=VaultParams(encryption="none"))


@pytest.fixture
def wire(monkeypatch):
    """Everything that enters the network, by its sender."""
    if is_compiled():
        pytest.skip("a compiled network cannot be tapped")
    sent = []
    broadcast = Network.broadcast

    def tapped(self, src, dsts, message, *rest, **named):
        sent.append((src, message))
        return broadcast(self, src, dsts, message, *rest, **named)

    monkeypatch.setattr(Network, "broadcast", tapped)
    return sent


def content(message) -> bytes:
    """All bytes a message carries, however deep, one after the other."""
    match message:
        case bytes():
            return message
        case str():
            return message.encode()
        case int() | float() | None:
            return repr(message).encode()
        case tuple() | list():
            return b"|".join(content(item) for item in message)
        case dict():
            return content(list(message.items()))
        case _ if dataclasses.is_dataclass(message):
            return content([getattr(message, f.name) for f in dataclasses.fields(message)])
        case _ if hasattr(message, "__slots__"):
            return content([getattr(message, name) for name in message.__slots__])
    if type(message) is object:
        return b""  # the token of a modelled signature: identity and nothing else
    raise AssertionError(f"cannot look into {type(message).__name__}")


def traces_of(shard) -> list[bytes]:
    """Byte strings that would give records away: every row, labels and patients, in each form."""
    found = []
    for rows, labels in ((shard.train_x, shard.train_y), (shard.test_x, shard.test_y)):
        for kind in ("<f4", "<f8", ">f4", ">f8"):
            # Four neighbouring values of a row identify it; no honest message repeats them.
            found += [row[:4].astype(kind).tobytes() for row in rows]
        found += [labels.astype(kind).tobytes() for kind in ("u1", "<i4", "<i8", "<f4")]
    found += [shard.train_patient.astype(kind).tobytes() for kind in ("<i4", "<i8")]
    return found


def leaks(sent, federation) -> list[str]:
    bodies = [(src, type(message).__name__, content(message)) for src, message in sent]
    return [
        f"{name} of node {src} holds records of hospital {shard.hospital}"
        for src, name, body in bodies
        for shard in federation
        if any(trace in body for trace in traces_of(shard))
    ]


@pytest.fixture
def federation(experiment):
    return load(experiment.data, experiment.partition, experiment.hospitals, Streams(1))


def test_no_record_reaches_the_network(experiment, federation, wire):
    """The model's private data never leaves its hospital's process objects."""
    simulate(experiment, 1)
    assert len(wire) > 100
    assert leaks(wire, federation) == []


def test_the_search_finds_a_leak(experiment, federation, wire):
    """The check of the check: one row hidden in the report is found."""
    row = np.asarray(federation[1].train_x[3]).tobytes()

    class Leaky(Conduct):
        def reply(self, reply):
            return dataclasses.replace(reply, report=reply.report + row)

    simulate(experiment, 1, conducts={1: Leaky()})
    assert leaks(wire, federation)


def test_a_hospital_sends_the_update_its_digest_and_its_counts(experiment, federation, wire):
    """Nothing but the update, its key, its digest and its declared counts reach the network."""
    private = dataclasses.replace(experiment, privacy=DpSgdParams(noise_multiplier=1.0))
    simulate(private, 1)
    replies = [message for _, message in wire if isinstance(message, SealedUpdate)]
    rows = [len(shard.train_y) for shard in federation]
    for reply in replies:
        report = decode(reply.report)
        assert report["arrays"] == [["arrays", ["output.weight", "output.bias"]]]
        assert [names for _, names in report["metrics"]] == [
            [["num-examples", ["v", rows[reply.hospital]]]]
        ]
        ((key, claim),) = report["configs"]
        assert key == "privacy"
        assert {name for name, _ in claim} == CLAIM_FIELDS
        assert reply.key == b"", "nothing is encrypted here"
    assert len(replies) == 2 * 4 * 4, "to three replicas and the coordinator, in two rounds"


def test_a_commitment_holds_its_digest_and_its_counts(experiment, wire):
    private = dataclasses.replace(experiment, privacy=DpSgdParams(noise_multiplier=1.0))
    outcome = simulate(private, 1)
    payloads = {message.request.payload for _, message in wire if hasattr(message, "request")}
    commits = [
        signed.transaction.body
        for signed in map(SignedTransaction.decode, payloads)
        if signed.transaction.kind == "task.commit"
    ]
    assert commits, "hospitals other than the primary send their requests to it"
    for body in commits:
        assert set(body) == COMMIT_FIELDS
        assert body["cid"] is None, "an address is an unsalted digest"
        assert set(body["dp"]) == CLAIM_FIELDS
    assert outcome.summary["ledger"]["height"] > 0


def test_measuring_sends_nothing(experiment, wire):
    """Metrics are taken by the observer, outside the modelled world: no order asks for them."""
    simulate(experiment, 1)
    orders = [message for _, message in wire if isinstance(message, Order)]
    assert {order.category for order in orders} == {"train"}
    assert not [message for _, message in wire if isinstance(message, Submit) and not message]
