"""The envelope: encrypted at rest, opened by those its key is wrapped for and by nobody else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulation.base.encoding import encode
from simulation.base.keys import SigningKey
from simulation.vault.audit_key import FILE, AuditKey, AuditKeyError
from simulation.vault.envelope import (
    WRAPPED_BYTES,
    Envelope,
    EnvelopeError,
    enclose,
    object_context,
    read_envelope,
    unwrap,
    wrap,
)
from simulation.vault.params import VaultParams, placement

MEMBERS = [SigningKey(bytes([i]) * 32) for i in range(4)]
AUDIT = AuditKey.of(b"audit" + bytes(27))
CONTEXT = object_context(b"c" * 32, "task", 3, 1)
KEY = b"k" * 32
MODEL = b"the model's canonical bytes"


def sealed(data: bytes = MODEL, key: bytes = KEY) -> Envelope:
    return enclose(data, key, AUDIT.public, CONTEXT, b"audit" * 7)


def wrapped_for(member: int) -> bytes:
    """The object's key for a member."""
    return wrap(KEY, MEMBERS[member].public.agreement, CONTEXT, bytes([member + 2]) * 32)


@given(st.binary(max_size=200))
def test_every_receiver_opens_it(data: bytes) -> None:
    """The object's key is wrapped for each reader beside the envelope, for the auditor in it."""
    envelope = read_envelope(sealed(data).encoded)

    pairs = [(key.agreement, key.public.agreement) for key in MEMBERS]
    keys = {pair: wrapped_for(i) for i, pair in enumerate(pairs)}
    keys[AUDIT.secret, AUDIT.public] = envelope.audit
    for (secret, public), wrapped in keys.items():
        assert len(wrapped) == WRAPPED_BYTES
        assert envelope.open(unwrap(wrapped, secret, public, CONTEXT), CONTEXT) == data


@given(bit=st.integers(0, 8 * len(sealed().encoded) - 1))
def test_no_bit_can_be_turned_unnoticed(bit: int) -> None:
    """Nothing in an envelope is for somebody else only: no reader opens an altered one."""
    changed = bytearray(sealed().encoded)
    changed[bit // 8] ^= 1 << bit % 8

    def read() -> None:
        read_envelope(bytes(changed)).open(KEY, CONTEXT)

    with pytest.raises(EnvelopeError):
        read()


def test_the_keeper_sees_ciphertext_only() -> None:
    """Neither the model nor its key is among the bytes; equal models do not look equal."""
    data = sealed().encoded

    assert MODEL not in data
    assert KEY not in data
    assert sealed(key=b"l" * 32).box[:16] != sealed().box[:16]


def test_nobody_else_opens_it() -> None:
    """Another's wrapped key, another key, another round or owner: refused."""
    envelope, key = sealed(), MEMBERS[0]

    for wrapped, context in (
        (wrapped_for(1), CONTEXT),
        (wrapped_for(0), object_context(b"c" * 32, "task", 4, 1)),
        (wrapped_for(0), object_context(b"c" * 32, "task", 3, 2)),
        (b"", CONTEXT),
    ):
        with pytest.raises(EnvelopeError):
            unwrap(wrapped, key.agreement, key.public.agreement, context)
    for wrong, context in ((b"x" * 32, CONTEXT), (KEY, b""), (b"short", CONTEXT)):
        with pytest.raises(EnvelopeError):
            envelope.open(wrong, context)


def test_it_opens_in_a_process_that_did_not_make_it(monkeypatch) -> None:
    """What was wrapped elsewhere is opened for real, with the same result."""
    keys = [wrapped_for(member) for member in range(len(MEMBERS))]
    monkeypatch.setattr("simulation.vault.envelope._wrapped_here", {})

    for wrapped, key in zip(keys, MEMBERS, strict=True):
        assert unwrap(wrapped, key.agreement, key.public.agreement, CONTEXT) == KEY


@given(bit=st.integers(0, 8 * WRAPPED_BYTES - 1))
def test_what_is_known_of_a_wrapped_key_is_known_of_every_bit(bit: int) -> None:
    """A changed byte, another's secret under the receiver's name, no secret at all: refused."""
    wrapped, key = wrapped_for(0), MEMBERS[0]
    changed = bytearray(wrapped)
    changed[bit // 8] ^= 1 << bit % 8

    for data, secret in (
        (bytes(changed), key.agreement), (wrapped, MEMBERS[1].agreement), (wrapped, b"short"),
    ):  # fmt: skip
        # X25519 ignores the highest bit of a public key, but HPKE binds the key as it was sent.
        with pytest.raises(EnvelopeError):
            unwrap(data, secret, key.public.agreement, CONTEXT)


def test_a_holder_wraps_the_key_for_one_who_was_left_out() -> None:
    """An owner may leave a receiver out or give it rubbish; whoever has opened it helps."""
    secret, public = MEMBERS[2].agreement, MEMBERS[2].public.agreement

    again = wrap(KEY, public, CONTEXT, b"m" * 32)

    assert sealed().open(unwrap(again, secret, public, CONTEXT), CONTEXT) == MODEL


@pytest.mark.parametrize(
    "value",
    [
        7,
        {},
        {"v": 1, "box": b"", "audit": bytes(80)},
        {"v": 2, "box": b""},
        {"v": 2, "box": b"", "audit": None},
        {"v": 2, "box": b"", "audit": bytes(79)},
        {"v": 2, "box": "text", "audit": bytes(80)},
        {"v": 2, "box": b"", "audit": bytes(80), "more": 1},
    ],
)
def test_what_is_no_envelope_is_refused(value: object) -> None:
    """One encoding per envelope, with nothing else in it."""
    with pytest.raises(EnvelopeError):
        read_envelope(encode(value))  # pyright: ignore[reportArgumentType]


@given(st.binary(max_size=60))
def test_arbitrary_bytes_are_refused_and_never_an_accident(data: bytes) -> None:
    """What a holder hands over is read, or refused with one type of error."""
    with pytest.raises(EnvelopeError):
        read_envelope(data)


# ---- the auditor --------------------------------------------------------------------------------


def test_the_auditor_s_key_comes_back_from_its_file(tmp_path) -> None:
    """PKCS #8 in PEM, as other programs read it."""
    AUDIT.write(tmp_path)

    assert AuditKey.read(tmp_path) == AUDIT
    assert (tmp_path / FILE).read_text().startswith("-----BEGIN PRIVATE KEY-----")
    assert AUDIT.secret.hex() not in repr(AUDIT)


def test_a_file_without_such_a_key_is_refused(tmp_path) -> None:
    """Missing, rubbish, or a key for something else."""
    with pytest.raises(AuditKeyError, match="is missing"):
        AuditKey.read(tmp_path)
    (tmp_path / FILE).write_text("rubbish")
    with pytest.raises(AuditKeyError, match="holds no key"):
        AuditKey.read(tmp_path)


# ---- who keeps what -----------------------------------------------------------------------------


def test_placement_is_a_ring_from_the_owner_on() -> None:
    """Everybody keeps equally much, whoever asks."""
    assert placement(5, 7, 3) == (5, 6, 0)
    load = [holder for owner in range(7) for holder in placement(owner, 7, 5)]
    assert [load.count(replica) for replica in range(7)] == [5] * 7
    assert placement(9, 7, 3) == (2, 3, 4), "an owner outside the replica set"
    assert placement(0, 2, 5) == (0, 1)


@pytest.mark.parametrize(("replicas", "certificate", "count"), [(4, 2, 3), (7, 3, 5), (1, 1, 1)])
def test_holders_by_default(replicas: int, certificate: int, count: int) -> None:
    """2f + 1 holders: f may be silent, and f + 1 still sign."""
    assert VaultParams().count(replicas, certificate) == count
    assert VaultParams(replication=2).count(replicas, certificate) == min(2, replicas)


def test_no_copy_at_all_is_refused() -> None:
    """`path.to.field: what is wrong; what to do`."""
    with pytest.raises(ValueError, match="replication: must be at least 1, got 0"):
        VaultParams(replication=0)
