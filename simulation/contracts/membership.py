"""Who may speak: members from the genesis, their keys, roles and sequence numbers.

Every transaction passes this gate before its own contract sees it. State: ``member/<id>`` holds
role and key, ``sequence/<id>`` the last sequence number that the member has used.

Source: the project's protocol, sections 1 and 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from simulation.base.encoding import Value
from simulation.base.ids import NodeId
from simulation.ledger.genesis import Genesis
from simulation.ledger.runtime import Context, Rejected
from simulation.ledger.state import Journal, Reader
from simulation.ledger.transaction import SignedTransaction
from simulation.ledger.voters import VOTERS_KEY


def member_key(member: NodeId) -> str:
    """Where a member's role and key are kept."""
    return f"member/{member:03d}"


def sequence_key(member: NodeId) -> str:
    """Where a member's last used sequence number is kept."""
    return f"sequence/{member:03d}"


def role_of(state: Reader, member: NodeId) -> str | None:
    """``hospital``, ``coordinator``, or None for somebody who is no member."""
    match state.get(member_key(member)):
        case {"role": str(role)}:
            return role
        case _:
            return None


def key_of(state: Reader, member: NodeId) -> bytes | None:
    """The member's encoded public key, or None for somebody who is no member."""
    match state.get(member_key(member)):
        case {"key": bytes(key)}:
            return key
        case _:
            return None


def last_sequence(state: Reader, member: NodeId) -> int:
    """The last sequence number that the member has used; 0 before its first transaction."""
    match state.get(sequence_key(member)):
        case int(last):
            return last
        case _:
            return 0


@dataclass(frozen=True)
class MembershipContract:
    """The gate. It has no actions of its own: membership is fixed by the genesis."""

    def install(self, state: Journal, genesis: Genesis) -> None:
        """Write the members of the genesis."""
        for member in genesis.members:
            state.put(member_key(member.id), {"role": member.role, "key": member.key})
        state.put(VOTERS_KEY, genesis.epoch.value)

    def admit(self, state: Journal, signed: SignedTransaction) -> str:
        """Check sender, signature and sequence number; use the number up; return the role.

        Raises:
            Rejected: ``not-member``, ``bad-signature`` or ``bad-sequence``.
        """
        transaction = signed.transaction
        match state.get(member_key(transaction.sender)):
            case {"role": str(role), "key": bytes(key)}:
                pass
            case _:
                raise Rejected("not-member")
        if not signed.is_signed_by(key):
            raise Rejected("bad-signature")
        if transaction.seq != last_sequence(state, transaction.sender) + 1:
            raise Rejected("bad-sequence")
        state.put(sequence_key(transaction.sender), transaction.seq)
        return role

    def call(
        self, state: Journal, context: Context, action: str, body: Mapping[str, Value]
    ) -> None:
        """Reject: there is nothing to call.

        Raises:
            Rejected: always, with ``unknown-kind``.
        """
        del state, context, action, body
        raise Rejected("unknown-kind")
