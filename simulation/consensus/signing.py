"""Modelled signatures: only the holder of a signer can make one, and anybody can check it.

Votes travel inside certificates (§4.3, §4.4), so a receiver must be able to tell who cast them.
Real signatures would cost wall time and prove nothing more to a simulation, so a signature here is
an object that carries its statement and a seal that only `Signer.sign` attaches. Their cost in
virtual time is charged by the host from each message's ``verifications``. A Byzantine replica holds
its own signer and no other, so it cannot forge.
"""

from __future__ import annotations

from typing import Union

from simulation.base.ids import ReplicaId

Statement = tuple[Union[str, int, bytes, tuple[object, ...]], ...]
"""What is signed: the kind of the message, then its fields."""

_SEAL = object()


class Signature:
    """One replica's signature under one statement. Made by `Signer.sign` and nowhere else."""

    __slots__ = ("_seal", "replica", "statement")

    def __init__(self, replica: ReplicaId, statement: Statement, seal: object = None) -> None:
        self.replica = replica
        self.statement = statement
        self._seal = seal

    def signs(self, statement: Statement) -> bool:
        """Whether this is a genuine signature, under exactly this statement."""
        return self._seal is _SEAL and self.statement == statement

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Signature)
            and self.replica == other.replica
            and self.statement == other.statement
            and self._seal is other._seal
        )

    def __hash__(self) -> int:
        return hash((self.replica, self.statement))

    def __repr__(self) -> str:
        return f"Signature({self.replica})" if self._seal is _SEAL else "Signature(forged)"


class Signer:
    """The capability to sign as one replica."""

    __slots__ = ("replica",)

    def __init__(self, replica: ReplicaId) -> None:
        self.replica = replica

    def sign(self, statement: Statement) -> Signature:
        """This replica's signature under a statement."""
        return Signature(self.replica, statement, _SEAL)


UNSIGNED = Signature(-1, ())
"""No signature at all: never genuine."""

NOBODY = -1
"""The signer of a message whose signature does not cover its content."""


def signer_of(signature: Signature, statement: Statement) -> ReplicaId:
    """Who signed the statement, or `NOBODY`."""
    return signature.replica if signature.signs(statement) else NOBODY
