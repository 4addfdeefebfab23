"""Each hospital's vault in a run: who holds what, and what happens when one fails."""

from __future__ import annotations

import dataclasses

import pytest

from simulation.base.tensors import decode_model, model_root
from simulation.config.checks import contradictions
from simulation.learning.params import DpSgdParams
from simulation.nodes.conduct import Conduct
from simulation.nodes.params import HashOnlyLedger
from simulation.nodes.sealing import Sealing
from simulation.trace.events import (
    ObjectFetched,
    ObjectLost,
    ObjectRefused,
    RoundClosed,
    UpdateChecked,
)
from simulation.vault.params import VaultParams
from simulation.vault.store import MISSING, VaultError
from simulation.world import simulate


def only(outcome, kind):
    return [event for event in outcome.events if isinstance(event, kind)]


class Behind:
    """A vault in front of another."""

    def __init__(self, vault) -> None:
        self.vault = vault

    def __getattr__(self, name):
        return getattr(self.vault, name)


class Forgetful(Behind):
    def get(self, cid):
        raise VaultError(cid, MISSING)


class Rotten(Behind):
    """Its disk turns a bit over in all that is written."""

    def put(self, data):
        cid = self.vault.put(data)
        self.vault._objects[cid] = data[:-1] + bytes([data[-1] ^ 1])
        return cid


class Keeps(Conduct):
    """Honest, with a bad vault."""

    def __init__(self, kind) -> None:
        self.kind = kind

    def vault(self, vault):
        return self.kind(vault)


@pytest.mark.parametrize(("kind", "problem"), [(Forgetful, "missing"), (Rotten, "altered")])
@pytest.mark.parametrize("strategy", ["FixedFedAvg", "FedAvg"])
def test_what_a_vault_loses_or_alters_is_fetched_from_another_holder(vary, kind, problem, strategy):
    """CID check, refetch from other holders: an event for each, and the same model."""
    task = vary(strategy=strategy)
    sound = simulate(task, 1)

    outcome = simulate(task, 1, conducts={2: Keeps(kind)})

    lost, fetched = only(outcome, ObjectLost), only(outcome, ObjectFetched)
    assert lost
    assert {(e.node, e.problem) for e in lost} == {(2, problem)}
    back = [(e.round, e.hospital) for e in fetched if e.node == 2]
    assert sorted(back) == sorted((e.round, e.hospital) for e in lost)
    assert all(e.restored and e.holder != 2 for e in fetched)
    assert all(after.t_us > before.t_us for before, after in zip(lost, fetched, strict=True))
    assert [e.accepted for e in only(outcome, RoundClosed)] == [4, 4]
    assert model_root(outcome.arrays) == model_root(sound.arrays)
    assert only(sound, ObjectLost) == only(sound, ObjectFetched) == []


def test_who_was_given_no_key_gets_it_from_a_holder(experiment, monkeypatch):
    """A holder that has opened an object hands its key on; nobody can exclude selectively."""
    seal = Sealing.seal

    def seal_for_others(self, number, model, readers=()):
        sealed = yield from seal(self, number, model, readers)
        if self._node.id != 0:
            return sealed
        return dataclasses.replace(sealed, wrapped={**sealed.wrapped, 3: bytes(80)})

    monkeypatch.setattr(Sealing, "seal", seal_for_others)
    outcome = simulate(experiment, 1)

    refused = [e for e in only(outcome, UpdateChecked) if not e.accepted]
    assert {(e.hospital, e.by, e.reason) for e in refused} == {(0, 3, "unopened")}
    fetched = only(outcome, ObjectFetched)
    assert [(e.hospital, e.node, e.restored) for e in fetched] == [(0, 3, False)] * 2
    assert [e.accepted for e in only(outcome, RoundClosed)] == [4, 4]


def test_a_holder_that_hands_out_something_else_is_refused_and_the_next_one_asked(
    experiment, monkeypatch
):
    """A vault alters an object: whoever fetches recomputes the address."""
    from simulation.nodes.messages import Fetched
    from simulation.nodes.node import Node

    send, lied = Node.send, []

    def lie(self, dst, message):
        if isinstance(message, Fetched) and not lied:
            lied.append(self.id)
            update = dataclasses.replace(message.update, sealed=message.update.sealed + b"x")
            message = dataclasses.replace(message, update=update)
        send(self, dst, message)

    monkeypatch.setattr(Node, "send", lie)
    outcome = simulate(experiment, 1, conducts={2: Keeps(Forgetful)})

    (refused,) = only(outcome, ObjectRefused)
    assert (refused.node, refused.holder, refused.reason) == (2, lied[0], "wrong-object")
    assert [e.accepted for e in only(outcome, RoundClosed)] == [4, 4]


@pytest.mark.parametrize("copies", [2, 4])
def test_each_update_lies_in_so_many_vaults(experiment, tmp_path, copies):
    """Replication factor: the owner's vault and the next ones', no others."""
    task = dataclasses.replace(experiment, vault=VaultParams(replication=copies))

    simulate(task, 1, tmp_path)

    folders = {path.name: path for path in (tmp_path / "vault").iterdir()}
    held = [{f.name for f in folders[f"hospital-0{i}"].iterdir()} for i in range(4)]
    updates = set().union(*held)
    assert len(updates) == 2 * 4
    assert all(sum(cid in vault for vault in held) == copies for cid in updates)
    assert len(list(folders["coordinator"].iterdir())) == 2


def test_encryption_changes_what_lies_in_the_vaults_and_not_what_is_learned(experiment, tmp_path):
    """The committed root stays that of the update; what is stored is ciphertext, or is not."""
    roots, readable = set(), []
    for encryption in ("aes_256_gcm", "none"):
        out = tmp_path / encryption
        out.mkdir()
        task = dataclasses.replace(experiment, vault=VaultParams(encryption=encryption))
        roots.add(model_root(simulate(task, 1, out).arrays))
        objects = [path.read_bytes() for path in (out / "vault").glob("*/*")]
        readable.append(sum(_is_model(data) for data in objects))
        assert (out / "auditor.pem").exists() == (encryption != "none")
    assert len(roots) == 1
    assert readable == [0, len(objects)]


def _is_model(data: bytes) -> bool:
    try:
        decode_model(data)
    except ValueError:
        return False
    return True


def test_sealing_takes_virtual_time(experiment):
    """Encryption and wrapping are charged to the processor that does them."""
    plain = dataclasses.replace(experiment, vault=VaultParams(encryption="none"))
    dear = dataclasses.replace(
        experiment, crypto=dataclasses.replace(experiment.crypto, agree_us=50_000)
    )

    times = [simulate(task, 1).virtual_us for task in (plain, experiment, dear)]

    assert times == sorted(times)
    # Two rounds; two operations for each receiver of an update (three replicas, coordinator and
    # auditor) and of the aggregate (the auditor).
    assert times[2] - times[1] > 2 * 2 * (5 + 1) * 49_000


def test_the_bare_ledger_keeps_objects_too(experiment, tmp_path):
    """hash_only goes through the same vaults."""
    task = dataclasses.replace(experiment, ledger=HashOnlyLedger(store="memory"))

    outcome = simulate(task, 1, tmp_path)

    assert [e.accepted for e in only(outcome, RoundClosed)] == [4, 4]
    assert len({path.name for path in (tmp_path / "vault").glob("hospital-*/*")}) == 8


def test_keys_repeat_with_the_seed_unless_they_shall_not(experiment):
    """All randomness from the run's named streams unless privacy.secure_rng."""

    def chain(secure: bool) -> str:
        privacy = DpSgdParams(noise_multiplier=1.0, secure_rng=secure)
        task = dataclasses.replace(experiment, privacy=privacy)
        return simulate(task, 1).summary["ledger"]["chain"]

    assert chain(False) == chain(False)
    assert chain(True) != chain(True)


@pytest.mark.parametrize(("copies", "good"), [(1, False), (2, True), (4, True), (5, False)])
def test_fewer_copies_than_signers_are_refused(experiment, copies, good):
    """f + 1 replicas have to sign; more vaults than replicas there are not."""
    task = dataclasses.replace(experiment, vault=VaultParams(replication=copies))

    found = [(problem.path, problem.message[:28]) for problem in contradictions(task)]

    assert found == ([] if good else [(("vault", "replication"), "must be between f + 1 = 2, b")])
