"""What a hospital sends is what it committed, or everybody honest refuses it."""

from __future__ import annotations

import dataclasses

import pytest

from simulation.base.encoding import encode
from simulation.base.tensors import decode_model, encode_model
from simulation.federation.codec import pack, unpack
from simulation.nodes.conduct import Conduct
from simulation.nodes.params import HashOnlyLedger
from simulation.trace.events import RoundClosed, UpdateChecked
from simulation.world import simulate


def scaled(reply):
    """Other bytes than were committed: every weight doubled."""
    arrays = {name: array * 2 for name, array in decode_model(reply.model).items()}
    return dataclasses.replace(reply, model=encode_model(arrays))


def one_bit(reply):
    data = bytearray(reply.model)
    data[-1] ^= 1
    return dataclasses.replace(reply, model=bytes(data))


def resalted(reply):
    return dataclasses.replace(reply, salt=bytes(32))


def short_salt(reply):
    return dataclasses.replace(reply, salt=b"no")


def heavier(reply):
    content = unpack(reply.model, reply.report)
    content["metrics"]["num-examples"] *= 100
    return dataclasses.replace(reply, report=pack(content)[1])


def senseless(reply):
    return dataclasses.replace(reply, report=encode({"no": "report"}))


def garbage(reply):
    return dataclasses.replace(reply, model=b"\x00not a model")


class Sends(Conduct):
    """Sends something else than it has committed."""

    def __init__(self, change) -> None:
        self.reply = change


@pytest.fixture(params=["commit_reveal", "hash_only"])
def either(request, experiment):
    """The task under each of the protocols that have a ledger."""
    if request.param == "hash_only":
        return dataclasses.replace(experiment, ledger=HashOnlyLedger(store="memory"))
    ledger = dataclasses.replace(experiment.ledger, reveal_deadline_s=1.0)
    return dataclasses.replace(experiment, ledger=ledger)


@pytest.mark.parametrize(
    "dishonest", [scaled, one_bit, resalted, short_salt, heavier, senseless, garbage]
)
def test_other_bytes_than_committed_are_refused_by_every_honest_node(either, dishonest):
    """A hospital that sends other bytes than it committed is rejected by every honest hospital."""
    if dishonest is resalted and either.ledger.kind == "hash_only":
        pytest.skip("there is no salt under hash_only")
    outcome = simulate(either, 1, conducts={2: Sends(dishonest)})
    checks = [e for e in outcome.events if isinstance(e, UpdateChecked)]
    about_it = [e for e in checks if e.hospital == 2]
    assert {e.by for e in about_it} == {0, 1, 3, 4}
    assert not any(e.accepted for e in about_it)
    assert all(e.accepted for e in checks if e.hospital != 2)
    closed = [e for e in outcome.events if isinstance(e, RoundClosed)]
    assert [(e.accepted, e.rejected) for e in closed] == [(3, 1)] * either.federation.rounds


def test_a_refused_update_is_not_in_the_model(either):
    """The model is that of the others alone, whatever the refused update held."""
    doubled = simulate(either, 1, conducts={2: Sends(scaled)})
    broken = simulate(either, 1, conducts={2: Sends(garbage)})
    assert encode_model(doubled.arrays) == encode_model(broken.arrays)
