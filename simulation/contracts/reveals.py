"""The reveal: a commitment is opened, and replicas vouch that its bytes can be had.

An update counts only when f + 1 replicas, hence an honest one, have signed that they hold its bytes
and have checked them. So nobody can reveal a digest and keep the bytes, or give them to some only.

Source: the project's protocol, section 3 (reveal, verify).
"""

from __future__ import annotations

from collections.abc import Mapping

from simulation.base.digest import Digest
from simulation.base.encoding import Value
from simulation.base.ids import ReplicaId
from simulation.base.keys import SIGNATURE_BYTES
from simulation.contracts.commitments import SALT_BYTES, commitment, holding
from simulation.contracts.committee import committee
from simulation.contracts.evidence import is_quarantined
from simulation.contracts.fields import digest, natural, octets, require_keys, rows, text
from simulation.contracts.members import key_of
from simulation.contracts.parameters import parameters
from simulation.contracts.phases import is_over, move_on, open_round
from simulation.contracts.round_keys import reveal_key
from simulation.contracts.rounds import SEALED
from simulation.ledger.runtime import Context, Rejected
from simulation.ledger.signatures import is_signature
from simulation.ledger.state import Journal


def reveal(state: Journal, context: Context, body: Mapping[str, Value]) -> None:
    """``task.reveal``: ``{round, update_root, salt, cid, holdings: [[replica, signature], …]}``.

    The commitment is computed again, from what the body says, and compared with the one that *this
    ledger* stored.
    """
    require_keys(body, ("round", "update_root", "salt", "cid", "holdings"))
    number, update_root = natural(body["round"]), digest(body["update_root"])
    salt, cid = octets(body["salt"], SALT_BYTES), text(body["cid"])
    holdings = [_holding(row) for row in rows(body["holdings"])]
    replicas = [replica for replica, _ in holdings]
    if replicas != sorted(set(replicas)):
        raise Rejected("malformed")
    current, known, me = open_round(state, number, SEALED), parameters(state), context.sender
    stored = current.commits.get(me)
    if stored is None:
        raise Rejected("no-commit")
    if is_quarantined(state, me):
        raise Rejected("quarantined")
    if me in current.openings:
        raise Rejected("duplicate-reveal")
    if is_over(state, context, current):
        raise Rejected("too-late")
    opened = commitment(context.chain, known.name, number, current.base_root, me, update_root, salt)
    if opened != stored.commitment:
        raise Rejected("opening-mismatch")
    statement = holding(context.chain, known.name, number, me, update_root, cid)
    _require_holders(state, statement, holdings)
    state.put(
        reveal_key(number, me),
        {
            "update_root": update_root,
            "salt": salt,
            "cid": cid,
            "holders": replicas,
            "height": context.height,
        },
    )
    move_on(state, context, number)


def _holding(row: Value) -> tuple[ReplicaId, bytes]:
    match row:
        case [replica, signature] | (replica, signature):
            return natural(replica), octets(signature, SIGNATURE_BYTES)
        case _:
            raise Rejected("malformed")


def _require_holders(
    state: Journal,
    statement: Digest,
    holdings: list[tuple[ReplicaId, bytes]],
) -> None:
    """More replicas than can be faulty have signed the statement, and nobody else is listed."""
    voting = committee(state)
    if len(holdings) < voting.holders:
        raise Rejected("too-few-holders")
    for replica, signature in holdings:
        key = key_of(state, replica)
        if replica not in voting.replicas or key is None:
            raise Rejected("not-a-replica")
        if not is_signature(key, statement, signature):
            raise Rejected("bad-holding")
