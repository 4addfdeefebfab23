"""A node's part in the changes of membership that the hospitals have agreed on.

Whom a change concerns submits it; the replicas vote for who joins, and against who is revoked. Each
acts by its own ledger copy: when the round before has ended there, the change is due.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

import simpy

from simulation.base.encoding import Value
from simulation.base.ids import HospitalId
from simulation.base.keys import SigningKey
from simulation.contracts.member_changes import hospitals, pending, votes_for
from simulation.contracts.members import REVOKED, key_of, possession, role_of
from simulation.contracts.rounds import status
from simulation.ledger.copy import LedgerCopy
from simulation.nodes.changes import MembershipChange, in_order
from simulation.nodes.ledger_client import Executed
from simulation.nodes.ledger_service import LedgerService
from simulation.nodes.roles import is_former

Process = Generator[simpy.Event, Any, None]
NewKey = Callable[[MembershipChange], SigningKey]
"""The key that a member has from a change on; everybody knows the public half."""

LATE = ("change-pending", "duplicate-vote", "not-registered", "already-revoked", "not-member",
        "already-registered", "already-member", "not-a-replica", "revoked")  # fmt: skip
"""What a vote or a repetition is told when others, or oneself, have done it before."""


class MembershipError(RuntimeError):
    """The ledger refused a change that the schedule wants."""

    def __init__(self, change: MembershipChange, code: str, t_us: int) -> None:
        super().__init__(
            f"membership: the ledger refused to {change.kind} hospital {change.hospital} before "
            f"round {change.round}: {code}"
        )
        self.t_us = t_us
        self.hospital, self.round = change.hospital, change.round


class Delegate:
    """Carries out the changes for one node."""

    def __init__(
        self, ledger: LedgerService, changes: Sequence[MembershipChange], new_key: NewKey
    ) -> None:
        self._ledger = ledger
        self._changes = in_order(changes)
        self._new_key = new_key
        self._working: list[simpy.Process] = []
        self.resume()

    # ---- a crash --------------------------------------------------------------------------------

    def crash(self, lose_memory: bool) -> None:
        """What was under way is lost; the schedule is not."""
        del lose_memory
        for process in self._working:
            if process.is_alive:
                process.interrupt("crash")
        self._working.clear()

    def restore(self) -> None:
        """Nothing comes back that the ledger does not hold."""

    def resume(self) -> None:
        """Take up every change that the own copy does not show yet."""
        env = self._ledger.node.env
        self._working = [env.process(self._unless_crashed(change)) for change in self._changes]

    def _unless_crashed(self, change: MembershipChange) -> Process:
        try:
            yield from self._play(change)
        except simpy.Interrupt:
            return

    # ---- one change -----------------------------------------------------------------------------

    def _play(self, change: MembershipChange) -> Process:
        ledger, who = self._ledger, change.hospital
        yield ledger.when(lambda: _is_due(ledger.copy, change))
        copy, me, key = ledger.copy, ledger.node.id, self._new_key(change)
        if is_done(copy, change, key):
            return
        match change.kind:
            case "join" if me == who:
                ledger.outbox.adopt(key)
                yield from self._submit(change, "register", {"key": key.public.encoded})
            case "join":
                public = key.public.encoded
                yield ledger.when(lambda: votes_for(ledger.copy, who, public) is not None)
                if ledger.votes:
                    yield from self._submit(change, "approve", {"member": who, "key": public})
            case "leave" if me == who:
                yield from self._submit(change, "leave", {})
            case "rotate" if me == who:
                ledger.outbox.adopt(key)
                statement = possession(copy.genesis.chain_id, me, key.public.encoded)
                body = {"key": key.public.encoded, "possession": key.sign(statement)}
                yield from self._submit(change, "rotate", body)
            case "revoke" if me != who and ledger.votes:
                yield from self._submit(change, "revoke", {"member": who})
            case _:
                pass

    def _submit(self, change: MembershipChange, action: str, body: Mapping[str, Value]) -> Process:
        if pending(self._ledger.copy, change.hospital) is not None:
            return
        executed: Executed = yield from self._ledger.submit(f"membership.{action}", body)
        if not executed.accepted and executed.code not in LATE:
            raise MembershipError(change, executed.code, self._ledger.node.env.now)


def _is_due(copy: LedgerCopy, change: MembershipChange) -> bool:
    """Whether the round before has ended."""
    now = status(copy)
    return now.round >= change.round - 1 and not now.is_open


def is_done(copy: LedgerCopy, change: MembershipChange, key: SigningKey) -> bool:
    """Whether a copy shows that the change is carried out."""
    who = change.hospital
    match change.kind:
        case "join":
            return key_of(copy, who) == key.public.encoded
        case "rotate":
            return key_of(copy, who) == key.public.encoded or role_of(copy, who) in (None, REVOKED)
        case _:
            return is_former(copy, who)


class Schedule:
    """Tells the coordinator when a round can open, and with whom."""

    def __init__(self, changes: Sequence[MembershipChange], new_key: NewKey) -> None:
        self._changes = in_order(changes)
        self._new_key = new_key

    def __bool__(self) -> bool:
        """Whether membership changes at all."""
        return bool(self._changes)

    def is_settled(self, copy: LedgerCopy, number: int) -> bool:
        """Whether a copy shows every change that is due before round ``number``."""
        last: dict[HospitalId, MembershipChange] = {}
        for change in self._changes:
            if change.round <= number:
                last[change.hospital] = change
        return all(is_done(copy, change, self._new_key(change)) for change in last.values())

    def members(self, copy: LedgerCopy) -> tuple[HospitalId, ...]:
        """The hospitals that may be asked now."""
        return hospitals(copy)
