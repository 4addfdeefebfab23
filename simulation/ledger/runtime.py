"""Deterministic, total execution of ordered bytes by contracts.

*Total*: any byte string has an outcome; bad ones are rejected with a fixed word and leave the state
as it was, except that an authentic transaction uses up its sequence number even when its contract
rejects it. (Were the number kept, anybody could submit the rejected transaction again later, when
it might pass; and the sender's next one, already on its way, would fall into a gap.)

*Deterministic*: contracts see the state, the transaction and the block's height and time; no clock,
no randomness, no iteration over unordered collections.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from simulation.base.digest import Digest
from simulation.base.encoding import EncodingError, Value
from simulation.base.ids import NodeId
from simulation.base.merkle import root_of_hashes
from simulation.ledger.block import OK, Block, Header, Outcome, receipts_root
from simulation.ledger.genesis import Genesis
from simulation.ledger.state import Journal, Staged, State
from simulation.ledger.transaction import SignedTransaction, Transaction, transaction_id

GATE = "membership"
"""The contract that every transaction passes before its own."""
_MEMO_BLOCKS = 64


class Rejected(Exception):
    """Raised by a contract: the transaction has no effect. ``code`` is a short fixed word."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Recorded(Rejected):
    """Raised by a contract: the transaction is refused, and what the contract wrote about it stays.

    For attempts that history has to remember, such as a second, different signed commitment.
    """


@dataclass(frozen=True, slots=True)
class Context:
    """What a contract may know besides the state and the transaction's body."""

    chain: Digest
    height: int
    """Of the block that is being executed."""
    time_us: int
    """Its header time; 0 where it does not matter yet."""
    sender: NodeId
    role: str
    """The sender's role, established by the gate."""
    transaction: Digest
    """The transaction's id."""


class Contract(Protocol):
    """A set of actions on one part of the state, each a pure function of what it is given."""

    def install(self, state: Journal, genesis: Genesis) -> None:
        """Write the contract's part of the state at height 0."""
        ...

    def call(
        self, state: Journal, context: Context, action: str, body: Mapping[str, Value]
    ) -> None:
        """Perform one action.

        Raises:
            Rejected: when it must not happen; whatever was written is dropped.
        """
        ...


@runtime_checkable
class Gate(Protocol):
    """The contract that decides whether a transaction is authentic and in sequence."""

    def admit(self, state: Journal, signed: SignedTransaction) -> str:
        """Use up the sender's sequence number and return the sender's role.

        Raises:
            Rejected: when the transaction is not authentic or out of sequence.
        """
        ...

    def finish(self, state: Journal, chain: Digest, height: int) -> None:
        """Do what is due at the end of the block at ``height``, after its transactions."""
        ...


@dataclass(frozen=True, slots=True)
class Execution:
    """What a block does: one outcome per transaction, the change of state, and the roots."""

    transactions: tuple[bytes, ...]
    ids: tuple[Digest, ...]
    outcomes: tuple[Outcome, ...]
    staged: Staged
    transaction_root: Digest
    receipts_root: Digest


_MemoKey = tuple[Digest, Digest, int, int, tuple[bytes, ...]]


class Runtime:
    """Executes blocks. One runtime may serve all copies of a process.

    The result depends on the state root, chain, height, time and the bytes, and on nothing else, so
    copies that share a runtime share one computation; a copy whose state differs has another root
    and gets its own. Virtual time is charged to each by its host.

    Raises:
        ValueError: when the contracts hold no gate under the name `GATE`.
    """

    def __init__(self, contracts: Mapping[str, Contract]) -> None:
        gate = contracts.get(GATE)
        if not isinstance(gate, Gate):
            raise ValueError(f"contracts: needs {GATE!r}, which admits transactions")
        self._gate = gate
        self._contracts = dict(contracts)
        self._memo: OrderedDict[_MemoKey, Execution] = OrderedDict()
        self._blocks: OrderedDict[Header, Block] = OrderedDict()

    def initial_state(self, genesis: Genesis) -> State:
        """The state at height 0."""
        state = State()
        journal = Journal(state)
        for name in sorted(self._contracts):
            self._contracts[name].install(journal, genesis)
        state.commit(state.stage(journal.entries))
        return state

    def execute(
        self,
        state: State,
        transactions: Sequence[bytes],
        *,
        chain: Digest,
        height: int,
        time_us: int,
    ) -> Execution:
        """What these bytes do to ``state`` in this order; the state itself is not changed."""
        ordered = tuple(transactions)
        key = (state.root, chain, height, time_us, ordered)
        known = self._memo.get(key)
        if known is not None:
            return known
        journal = Journal(state)
        outcomes = tuple(
            self._execute_one(journal, data, chain, height, time_us) for data in ordered
        )
        self._gate.finish(journal, chain, height)
        ids = tuple(transaction_id(data) for data in ordered)
        execution = Execution(
            transactions=ordered,
            ids=ids,
            outcomes=outcomes,
            staged=state.stage(journal.entries),
            transaction_root=root_of_hashes(ids),
            receipts_root=receipts_root(ids, outcomes),
        )
        self._memo[key] = execution
        if len(self._memo) > _MEMO_BLOCKS:
            self._memo.popitem(last=False)
        return execution

    def block(self, header: Header, execution: Execution) -> Block:
        """The block of this header; copies with an equal header share one, with its digest.

        The header names transactions and outcomes by their roots, so it determines the block.
        """
        known = self._blocks.get(header)
        if known is not None:
            return known
        block = Block(header, execution.transactions, execution.outcomes)
        self._blocks[header] = block
        if len(self._blocks) > _MEMO_BLOCKS:
            self._blocks.popitem(last=False)
        return block

    def _execute_one(
        self, block: Journal, data: bytes, chain: Digest, height: int, time_us: int
    ) -> Outcome:
        try:
            signed = SignedTransaction.decode(data)
        except EncodingError:
            return Outcome(False, "malformed")
        transaction, sender = signed.transaction, signed.transaction.sender
        try:
            if transaction.chain != chain:
                raise Rejected("wrong-chain")
            admitted = Journal(block)
            role = self._gate.admit(admitted, signed)
            block.absorb(admitted)
            if height > transaction.expiry:
                raise Rejected("expired")
            context = Context(chain, height, time_us, sender, role, transaction_id(data))
            journal = Journal(block)
            try:
                self._call(journal, context, transaction)
            except Recorded:
                block.absorb(journal)
                raise
            block.absorb(journal)
        except Rejected as rejection:
            return Outcome(False, rejection.code)
        return OK

    def _call(self, journal: Journal, context: Context, transaction: Transaction) -> None:
        name, _, action = transaction.kind.partition(".")
        contract = self._contracts.get(name)
        if contract is None:
            raise Rejected("unknown-kind")
        contract.call(journal, context, action, transaction.body)
