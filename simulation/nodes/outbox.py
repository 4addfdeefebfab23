"""What a node has asked the ledger to do and not seen executed, and the keys that it signs with.

It is on disk before it is sent, because the ledger takes a member's transactions without gaps only.
When an epoch begins, whatever is open is submitted again: what the last epoch has not executed is
void, and so is a signature under a key that has been rotated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from simulation.base.encoding import Value
from simulation.base.ids import NodeId
from simulation.base.keys import SigningKey
from simulation.consensus.protocol import Request
from simulation.contracts.members import key_of, last_sequence
from simulation.ledger.copy import LedgerCopy
from simulation.ledger.transaction import SignedTransaction, Transaction


class Outbox:
    """One member's transactions that wait for the ledger.

    Args:
        node: whose.
        copy: its ledger copy, as it is now.
        key: the one that it starts with.
        expiry_blocks: for how many blocks a transaction may be executed.
    """

    def __init__(
        self, node: NodeId, copy: Callable[[], LedgerCopy], key: SigningKey, expiry_blocks: int
    ) -> None:
        self._node = node
        self._copy = copy
        self._keys = {key.public.encoded: key}
        self._last_key = key
        self._expiry_blocks = expiry_blocks
        self._seq = 0
        self._open: dict[int, SignedTransaction] = {}

    # ---- keys -----------------------------------------------------------------------------------

    def adopt(self, key: SigningKey) -> None:
        """Have another key, to be used as soon as the ledger says that it is this member's."""
        self._keys[key.public.encoded] = key
        if key_of(self._copy(), self._node) is None:
            self._last_key = key

    @property
    def key(self) -> SigningKey:
        """The one that the own copy has for this member; for a newcomer, the last that it got."""
        known = key_of(self._copy(), self._node)
        if known is not None and known in self._keys:
            self._last_key = self._keys[known]
        return self._last_key

    def voting_key(self, height: int) -> SigningKey:
        """The one with which this replica certifies the block at a height."""
        return self._keys[self._copy().voters_at(height).keys[self._node]]

    # ---- transactions ---------------------------------------------------------------------------

    def sign(self, kind: str, body: Mapping[str, Value]) -> SignedTransaction:
        """The member's next transaction; it is open from now on."""
        copy = self._copy()
        self._seq = max(self._seq, last_sequence(copy, self._node)) + 1
        signed = Transaction(
            chain=copy.genesis.chain_id,
            sender=self._node,
            seq=self._seq,
            expiry=copy.height + self._expiry_blocks,
            kind=kind,
            body=body,
        ).sign(self.key)
        self._open[self._seq] = signed
        return signed

    def current(self, seq: int) -> SignedTransaction:
        """An open transaction as it was signed last."""
        return self._open[seq]

    def close(self, seq: int) -> None:
        """A transaction is executed; unless its number was used up, the next one has it again."""
        del self._open[seq]
        if seq == self._seq and last_sequence(self._copy(), self._node) < seq:
            self._seq -= 1

    def renew(self) -> list[tuple[SignedTransaction, bool]]:
        """Everything open that the copy has not executed, signed with the key that counts now.

        With each, whether it was signed anew.
        """
        found: list[tuple[SignedTransaction, bool]] = []
        for seq, signed in self._waiting():
            fresh = signed.transaction.sign(self.key)
            self._open[seq] = fresh
            found.append((fresh, fresh.signature != signed.signature))
        return found

    def forget_executed(self) -> list[SignedTransaction]:
        """What is still open by the own copy, after a crash."""
        self._open = dict(self._waiting())
        return list(self._open.values())

    def names(self) -> list[str]:
        """What is open, in words."""
        return [f"{signed.transaction.kind} {seq}" for seq, signed in self._waiting()]

    def _waiting(self) -> list[tuple[int, SignedTransaction]]:
        copy = self._copy()
        done = last_sequence(copy, self._node)
        return [(s, t) for s, t in self._open.items() if s > done and copy.outcome(t.id) is None]


def request_of(signed: SignedTransaction) -> Request:
    """What consensus orders."""
    transaction = signed.transaction
    return Request(transaction.sender, transaction.seq, signed.encoded)
