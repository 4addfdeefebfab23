"""Tagged hashing, held against its construction recomputed from hashlib alone."""

from __future__ import annotations

import hashlib
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulation.base.digest import DIGEST_BYTES, Tag, short, tagged_hash

# TH(tag, b"") of every tag: derived once from the construction below, and frozen. A changed value
# means that ledgers written before can no longer be verified.
FROZEN = {
    Tag.TX: "749ec68f7d82e2004d723760d43e6034e8dce525d6495aefdcea0f5c3990467a",
    Tag.BLOCK: "c9ed4376eb78ec511fb3d1365067d453cc35c2501cc0df5534395301ffaae8ed",
    Tag.HEADER: "a8b1fbcff86c75276039c1367ccaeea3323975e33ba525aac835bd2cebf3737b",
    Tag.TENSOR: "fae150ae818f69e6f913bc03ea4c03bb2907d8a19b163f7f983ddb17bd264b4e",
    Tag.MODEL: "b732d3c57c9628a9b6ab18a2c14e5cc4801023f39ec341c896e135834f859843",
    Tag.COMMIT: "10ee2fe249b85a69e5aa80c517ca3efcf22318a3a0b133722b5193e2e8537ae5",
    Tag.RECORD: "fbeb6f850659706e872ff48b435d6b92456a8a9f1223f48038e9c4ca2e24b5d5",
    Tag.CONSENT: "098f55c742de5d637d24ecbf34168bfafaf4e33b2e1770772d6785436d7bb4fa",
    Tag.COHORT: "a17f2c04fc76ae1ee53cc207da0834587d5906a3e411095545c4b8f22041586e",
    Tag.AUDIT: "81b97aff9d12418e85d46ec923e7a45c4e83a68aacecdc7fdf9b6f6e79d7a53f",
    Tag.STORE: "416d70e5a6b64094fc047820aebb18e5719c538d97ce39f5adc06097f7c98ece",
    Tag.VOTE: "262eae140c42957666f8c9135420cddc6964b85e27f182b275290fd925dd8cdc",
    Tag.STATE: "d5b48d563a59bed3e9884383b8da5fcb1e6ddf55842ae224e8670426c9bc9116",
    Tag.RECEIPT: "37992d2846296cf733e369d80139b36338d7aed733c10d21f8544085d513560e",
    Tag.REQUEST: "6c5390580be9926bc8b0e55b0ae6c0e8bc5f1a63344125368297cf23c1beaefb",
    Tag.BATCH: "bc49e5239945ae99f14a07a8772f6dd8c1746597d7a28bc5d702d71f635577cf",
    Tag.GENESIS: "2eb366d1126df5f5ebba3390ceec8713cd9bbaf858f8539d2b369d8f6d4db0cc",
    Tag.KEY: "706a83a14bfe0fcf02c55f16235a0a65aa0d5cabe0ce4faa4181d09e62295b46",
    Tag.PIPELINE: "7e257bf302a4aba7a4c247d118387d7afae45c5a237d6ae5c9b61fd837b1d329",
}


def by_definition(tag: Tag, message: bytes) -> bytes:
    """``SHA256(SHA256(tag) ‖ SHA256(tag) ‖ m)`` in one line, without the primed prefix."""
    prefix = hashlib.sha256(tag.value.encode()).digest()
    return hashlib.sha256(prefix + prefix + message).digest()


@given(tag=st.sampled_from(Tag), message=st.binary(max_size=200))
def test_tagged_hash_is_the_construction_of_bip_340(tag: Tag, message: bytes) -> None:
    """TH(tag, m) = SHA256(SHA256(tag) ‖ SHA256(tag) ‖ m)."""
    assert tagged_hash(tag, message) == by_definition(tag, message)


def test_the_construction_gives_a_published_value() -> None:
    """The public-key step of BIP-340's own signing example uses the tag "BIP0340/challenge"."""
    prefix = hashlib.sha256(b"BIP0340/challenge").digest()
    assert prefix.hex() == "7bb52d7a9fef58323eb1bf7a407db382d2f3f2d81bb1224f49fe518f6d48d37c"


@given(parts=st.lists(st.binary(max_size=40), max_size=5))
def test_parts_are_hashed_as_their_concatenation(parts: list[bytes]) -> None:
    """TH(tag, parts[0] ‖ parts[1] ‖ …)."""
    assert tagged_hash(Tag.TX, *parts) == by_definition(Tag.TX, b"".join(parts))


def test_no_two_kinds_of_object_share_a_tag() -> None:
    """No two kinds of object share a tag, so no digest of one can pass for another."""
    # `Enum` would make a repeated value an alias that iteration hides; `__members__` shows it.
    assert len(Tag.__members__) == len({tag.value for tag in Tag})
    for one, other in combinations(Tag, 2):
        assert tagged_hash(one, b"same") != tagged_hash(other, b"same")


def test_every_tag_names_project_and_version() -> None:
    """Tags are wardchain/v1/{…}: a second version of the format changes every digest."""
    for tag in Tag:
        assert tag.value == f"wardchain/v1/{tag.name.lower()}"


@pytest.mark.parametrize("tag", Tag, ids=lambda tag: tag.name)
def test_digests_are_frozen(tag: Tag) -> None:
    """Digests written by an earlier version stay valid: every tag has its frozen vector."""
    assert tagged_hash(tag, b"").hex() == FROZEN[tag]
    assert len(tagged_hash(tag, b"")) == DIGEST_BYTES


def test_a_hash_leaves_the_primed_state_as_it_was() -> None:
    """The primed prefix is shared by all calls, so no call may leave anything in it."""
    before = tagged_hash(Tag.STORE, b"x")
    tagged_hash(Tag.STORE, b"something else")
    assert tagged_hash(Tag.STORE, b"x") == before


def test_short_is_the_first_eight_digits() -> None:
    """The first eight hexadecimal digits, for tables and messages."""
    assert short(bytes.fromhex(FROZEN[Tag.TX])) == "749ec68f"
