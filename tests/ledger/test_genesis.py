"""The genesis: complete, canonical, and without members that cannot be members."""

from __future__ import annotations

from dataclasses import replace

import pytest

from simulation.base.encoding import EncodingError, decode, encode
from simulation.ledger.genesis import Genesis, Member


def test_a_genesis_survives_its_bytes(chain) -> None:
    """One encoding per value, and a way back."""
    decoded = Genesis.decode(chain.genesis.encoded)

    assert decoded == chain.genesis
    assert decoded.chain_id == chain.genesis.chain_id


def test_every_field_is_in_the_chain_id(chain) -> None:
    """A chain with one member, one key or one task parameter changed is another chain."""
    genesis = chain.genesis
    members = genesis.members
    others = [
        replace(genesis, name="other"),
        replace(genesis, members=members[:-1]),
        replace(genesis, members=(*members[:-1], replace(members[-1], role="hospital"))),
        replace(genesis, members=(*members[:-1], replace(members[-1], key=b"\x05" + bytes(31)))),
        replace(genesis, replicas=3),
        replace(genesis, quorum=4),
        replace(genesis, task={**genesis.task, "more": 1}),
    ]

    assert len({genesis.chain_id, *(other.chain_id for other in others)}) == 8


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"replicas": 6}, "replicas"),
        ({"replicas": 0}, "replicas"),
        ({"quorum": 0}, "quorum"),
        ({"quorum": 5}, "quorum"),
    ],
)
def test_replicas_and_quorum_fit_the_members(chain, change, message) -> None:
    """Only hospitals vote, and a quorum can be met."""
    with pytest.raises(ValueError, match=message):
        replace(chain.genesis, **change)


def test_members_that_cannot_be_are_refused(chain) -> None:
    """Small-order keys are refused at registration; so are shared keys and wrong numbers."""
    first, *rest = chain.genesis.members
    small = replace(first, key=bytes(32))
    twice = replace(first, key=rest[0].key)

    with pytest.raises(ValueError, match="small-order"):
        replace(chain.genesis, members=(small, *rest))
    with pytest.raises(ValueError, match="share a key"):
        replace(chain.genesis, members=(twice, *rest))
    with pytest.raises(ValueError, match="ids must be"):
        replace(chain.genesis, members=(*rest, first))
    with pytest.raises(ValueError, match="hospitals come first"):
        replace(chain.genesis, members=(replace(first, role="coordinator"), *rest))


def test_other_bytes_are_refused(chain) -> None:
    """A decoder accepts exactly one shape, and nothing that the constructor refuses."""
    value = decode(chain.genesis.encoded)
    for change in ({"version": 2}, {"quorum": True}, {"quorum": 9}, {"more": 1}, {"members": [1]}):
        with pytest.raises(EncodingError):
            Genesis.decode(encode({**value, **change}))
    with pytest.raises(EncodingError):
        Genesis.decode(b"")


def test_members_have_names(chain) -> None:
    """Names in files and messages come from the roles."""
    assert chain.genesis.name_of(3) == "hospital-03"
    assert chain.genesis.name_of(chain.coordinator) == "coordinator"
    assert chain.genesis.members[0] == Member(0, "hospital", chain.keys[0].public.encoded)
