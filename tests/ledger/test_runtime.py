"""Execution is total and deterministic, and a rejected transaction leaves no trace."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulation.base.encoding import encode
from simulation.contracts import default_contracts
from simulation.contracts.members import last_sequence, sequence_key
from simulation.contracts.membership import MembershipContract
from simulation.ledger.block import Outcome
from simulation.ledger.chain import MemoryStore
from simulation.ledger.copy import LedgerCopy
from simulation.ledger.runtime import Rejected, Runtime
from simulation.ledger.transaction import SignedTransaction


def codes(copy, *payloads: bytes) -> list[str]:
    block = copy.execute(list(payloads), view=0, proposer=0, time_us=0)
    return [outcome.code for outcome in block.outcomes]


def entries(copy) -> dict[str, object]:
    return dict(copy._state.items())


def test_a_runtime_needs_a_gate() -> None:
    """Every transaction passes the membership contract before its own."""
    contracts = dict(default_contracts())
    del contracts["membership"]

    with pytest.raises(ValueError, match="membership"):
        Runtime(contracts)


@pytest.mark.parametrize("data", [b"", b"\x00", b"rubbish", bytes(5000), b"\x81" * 4000 + b"\x00"])
def test_bad_bytes_are_rejected_and_change_nothing(chain, data: bytes) -> None:
    """Arbitrary bytes give a rejected outcome, never an exception or a change of state."""
    copy = chain.copy()
    root = copy.tip.state_root

    block = copy.execute([data], view=0, proposer=0, time_us=0)

    assert block.outcomes == (Outcome(False, "malformed"),)
    assert block.header.state_root == root


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-5, 2**63), st.text(max_size=5))
    | st.binary(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=12,
)
BODY_KEYS = st.sampled_from(
    ["round", "base_root", "eligible", "commitment", "nbytes", "examples", "dp", "openings"]
)
BODIES = st.dictionaries(BODY_KEYS | st.text(max_size=5), VALUES, max_size=7)
KINDS = st.sampled_from(
    ["task.open", "task.commit", "task.aggregate", "task", "membership.x", "", ".", "nobody.x"]
)


@given(payloads=st.lists(st.binary(max_size=300), max_size=5))
def test_execution_is_total_over_bytes(make_chain, payloads: list[bytes]) -> None:
    """Arbitrary bytes give a rejected outcome, never an exception or a change of state."""
    copy = make_chain().copy()
    root = copy.tip.state_root

    block = copy.execute(payloads, view=0, proposer=0, time_us=0)

    if block is None:
        assert payloads == []
        return
    assert [outcome.code for outcome in block.outcomes] == ["malformed"] * len(payloads)
    assert block.header.state_root == root


@given(sender=st.integers(0, 5), kind=KINDS, body=BODIES)
def test_execution_is_total_over_authentic_bodies(make_chain, sender, kind, body) -> None:
    """Whatever a member signs has an outcome; a rejected one leaves nothing but its number."""
    chain = make_chain()
    copy = chain.copy()
    copy.execute([chain.open()], view=0, proposer=0, time_us=0)
    before = entries(copy)

    block = copy.execute([chain.sign(sender, kind, body)], view=0, proposer=0, time_us=0)

    assert not block.outcomes[0].accepted
    before[sequence_key(sender)] = chain.sequence[sender]
    assert entries(copy) == before


def test_another_chains_transaction_is_rejected(chain, make_chain) -> None:
    """Replay on another chain: the chain id is inside the hash."""
    foreign = make_chain(name="other").sign(0)

    assert codes(chain.copy(), foreign) == ["wrong-chain"]


def test_strangers_are_rejected(chain) -> None:
    """Membership is permissioned."""
    transaction = replace(chain.transaction(0), sender=77)

    assert codes(chain.copy(), transaction.sign(chain.keys[0]).encoded) == ["not-member"]


def test_a_foreign_signature_is_rejected_and_uses_up_nothing(chain) -> None:
    """Nobody speaks for somebody else, not even to burn his sequence number."""
    copy = chain.copy()
    forged = chain.transaction(0).sign(chain.keys[1]).encoded

    assert codes(copy, forged) == ["bad-signature"]
    assert last_sequence(copy, 0) == 0


@pytest.mark.parametrize("seq", [0, 2, 3])
def test_sequence_numbers_have_no_gaps(chain, seq: int) -> None:
    """The contract accepts iff seq = last + 1."""
    copy = chain.copy()

    assert codes(copy, chain.sign(0, seq=seq)) == ["bad-sequence"]
    assert last_sequence(copy, 0) == 0


def test_a_replayed_transaction_is_rejected(chain) -> None:
    """Replay of an old transaction: its sequence number is used up."""
    copy = chain.copy()
    opened = chain.open()

    assert codes(copy, opened, opened) == ["ok", "bad-sequence"]
    assert codes(copy, opened) == ["bad-sequence"]
    assert copy.outcome(SignedTransaction.decode(opened).id) == (1, Outcome(True, "ok"))


def test_an_expired_transaction_is_rejected(chain) -> None:
    """A transaction may be executed up to its expiry height, and not after."""
    copy = chain.copy()
    first, second = chain.sign(0, expiry=1), chain.sign(0, expiry=1)

    assert codes(copy, first) == ["unknown-kind"]
    assert codes(copy, second) == ["expired"]


def test_an_authentic_transaction_uses_up_its_number_even_when_rejected(chain) -> None:
    """Otherwise anybody could submit it again later, when it might pass."""
    copy = chain.copy()
    body = {"round": 1, "commitment": bytes(32), "base_root": bytes(32), "nbytes": 1}
    early = chain.sign(0, "task.commit", {**body, "examples": 1, "dp": None, "cid": None})

    assert codes(copy, early) == ["round-not-open"]
    assert last_sequence(copy, 0) == 1
    assert codes(copy, chain.open(), early) == ["ok", "bad-sequence"]


@pytest.mark.parametrize("kind", ["", "task", "task.", "nobody.open", "membership.add"])
def test_unknown_kinds_are_rejected(chain, kind: str) -> None:
    """A closed list of actions."""
    assert codes(chain.copy(), chain.sign(5, kind)) == ["unknown-kind"]


def test_a_rejected_transaction_does_not_disturb_its_neighbours(chain) -> None:
    """Each transaction is executed on what the accepted ones before it left."""
    copy = chain.copy()

    result = codes(copy, b"x", chain.sign(1), chain.open(), b"", chain.open(2), chain.sign(0))

    assert result == [
        "malformed", "unknown-kind", "ok", "malformed", "round-still-open", "unknown-kind",
    ]  # fmt: skip


class Scribbler:
    """A contract that writes before it knows whether it may."""

    def install(self, state, genesis) -> None:
        state.put("scribble/first", 0)

    def call(self, state, context, action, body) -> None:
        state.put("scribble/first", context.height)
        state.put("scribble/second", context.sender)
        if action != "keep":
            raise Rejected("changed-my-mind")


class ScribblingGate(MembershipContract):
    """A gate that uses up the number before it looks at anything else."""

    def admit(self, state, signed) -> str:
        state.put(sequence_key(signed.transaction.sender), signed.transaction.seq)
        raise Rejected("not-today")


def test_what_a_contract_wrote_before_it_rejected_is_dropped(chain) -> None:
    """A rejected transaction leaves no trace in the state."""
    contracts = {**default_contracts(), "scribble": Scribbler()}
    copy = LedgerCopy(chain.genesis, contracts, MemoryStore(), 0)

    result = codes(copy, chain.sign(1, "scribble.drop"))

    assert result == ["changed-my-mind"]
    assert (copy.get("scribble/first"), copy.get("scribble/second")) == (0, None)
    assert codes(copy, chain.sign(1, "scribble.keep")) == ["ok"]
    assert (copy.get("scribble/first"), copy.get("scribble/second")) == (2, 1)


def test_what_the_gate_wrote_before_it_rejected_is_dropped(chain) -> None:
    """A transaction that is not admitted does not even use up a number."""
    contracts = {**default_contracts(), "membership": ScribblingGate()}
    copy = LedgerCopy(chain.genesis, contracts, MemoryStore(), 0)

    assert codes(copy, chain.sign(1)) == ["not-today"]
    assert last_sequence(copy, 1) == 0


@given(
    order=st.permutations(range(6)),
    junk=st.lists(st.tuples(st.integers(0, 5), st.binary(max_size=20)), max_size=4),
)
def test_two_copies_with_differently_ordered_everything_agree(make_chain, order, junk) -> None:
    """Contracts registered, fields written and copies made in any order: equal roots."""
    chain, other = make_chain(), make_chain()
    payloads = [chain.open(), *(chain.sign(i) for i in range(5))]
    for position, data in junk:
        payloads.insert(position, data)
    reverse = dict(reversed(default_contracts().items()))
    one, two = chain.copy(0), other.copy(3)
    two._runtime = Runtime(reverse)
    mixed = [payloads[i] for i in order] + payloads[6:]

    blocks = [copy.execute(mixed, view=0, proposer=0, time_us=7) for copy in (one, two)]

    assert blocks[0] == blocks[1]
    assert one.tip.digest == two.tip.digest


def test_bodies_with_differently_ordered_keys_are_the_same_transaction(chain) -> None:
    """One encoding per value."""
    one = chain.transaction(0, "task.x", {"a": 1, "b": 2}, seq=1)
    other = chain.transaction(0, "task.x", {"b": 2, "a": 1}, seq=1)

    assert one.sign(chain.keys[0]).encoded == other.sign(chain.keys[0]).encoded
    assert encode({"a": 1, "b": 2}) in one.encoded
