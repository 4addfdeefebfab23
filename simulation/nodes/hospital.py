"""A hospital's process: take an order, check it against the own ledger, train, commit, send.

Its private records live behind the `Learner` and nowhere else. What leaves the hospital is a
`Reply` (the update, the salt of its commitment, the declared counts) and its signed transactions.

Source: the project's protocol, section 3, steps 2-4 and 7.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any

import simpy

from simulation.base.encoding import Value
from simulation.base.ids import NodeId
from simulation.base.rng import Streams
from simulation.contracts.rounds import commitment, read_round, task_name
from simulation.nodes.courier import Courier
from simulation.nodes.ledger_service import Executed, LedgerService, Record
from simulation.nodes.messages import Learner, Order, Product, Reply
from simulation.nodes.node import Node
from simulation.nodes.update_check import Declared, check_update, root_of
from simulation.trace.events import (
    ModelRefused,
    PhaseEnded,
    PrivacySpent,
    Trained,
    UpdateChecked,
)
from simulation.vault.store import Vault

SALT_BYTES = 32
MILLION = 1_000_000
TRILLION = 10**12

Process = Generator[simpy.Event, Any, Any]
Outbox = Callable[[Reply], Reply]
"""What a hospital does to a reply before it leaves. Honest hospitals leave it alone."""


class HospitalError(RuntimeError):
    """Local work raised an exception: which hospital, in which round, at which virtual time."""

    def __init__(self, hospital: int, number: int, t_us: int, error: BaseException) -> None:
        super().__init__(
            f"hospital {hospital} failed in round {number} at virtual time {t_us} µs: "
            f"{type(error).__name__}: {error}"
        )
        self.hospital, self.round, self.t_us = hospital, number, t_us


def _unchanged(reply: Reply) -> Reply:
    return reply


def _until_interrupted(work: Process) -> Process:
    """A process that a crash ends without a sound."""
    try:
        return (yield from work)
    except simpy.Interrupt:
        return None


class Hospital:
    """One hospital on the virtual clock.

    ``ledger`` is None in the ablation without a ledger; ``verifiers`` are the other hospitals that
    receive this hospital's updates to check them.
    """

    def __init__(
        self,
        node: Node,
        coordinator: NodeId,
        learner: Learner,
        streams: Streams,
        record: Record,
        declared: Declared,
        ledger: LedgerService | None = None,
        vault: Vault | None = None,
        verifiers: Sequence[NodeId] = (),
        outbox: Outbox = _unchanged,
        courier: Courier | None = None,
    ) -> None:
        self.node = node
        self._courier = courier or Courier(node, repeats=False)
        self._working: dict[simpy.Process, None] = {}
        self.ledger = ledger
        self.vault = vault
        self._coordinator = coordinator
        self._learner = learner
        self._streams = streams
        self._record = record
        self._declared = declared
        self._recipients = (*verifiers, coordinator)
        self._outbox = outbox
        self._courier.on(Order, lambda _, order: self._start(self._serve(order)))
        self._courier.on(Reply, lambda sender, reply: self._start(self._check(sender, reply)))

    # ---- processes, and what ends them ----------------------------------------------------------

    def _start(self, work: Process) -> None:
        process = self.node.env.process(_until_interrupted(work))
        self._working[process] = None
        process.callbacks.append(lambda _: self._working.pop(process, None))

    def crash(self, lose_memory: bool) -> None:
        """What the hospital was working on is lost; its records and its models are on disk."""
        del lose_memory
        for process in list(self._working):
            process.interrupt("crash")

    def restore(self) -> None:
        """Nothing comes back that the ledger and the vault do not hold."""

    def resume(self) -> None:
        """Wait for the next order."""

    # ---- work -----------------------------------------------------------------------------------

    def _serve(self, order: Order) -> Process:
        env, me = self.node.env, self.node.id
        self._phase(order, "download", order.sent_us)
        start_us = env.now
        if order.trains and self.ledger is not None:
            problem = yield from self._wait_for_base(self.ledger, order)
            self._phase(order, "consensus", start_us)
            if problem:
                self._refuse(order, problem)
                return
        start_us = env.now
        job = self._learner.begin(order)
        yield env.timeout(job.duration_us)
        try:
            product = job.result()
        except Exception as error:
            raise HospitalError(me, order.round, env.now, error) from error
        salt = b""
        if order.trains:
            self._phase(order, "train", start_us)
            self._note_training(order, product)
            if self.ledger is not None:
                start_us = env.now
                salt = self._streams.stream("salt", me, order.round).bytes(SALT_BYTES)
                executed = yield from self._commit(self.ledger, order, product, salt)
                self._phase(order, "consensus", start_us)
                if not executed.accepted:
                    self._refuse(order, executed.code)
                    return
                if self.vault is not None:
                    self.vault.put(product.model)
        self._answer(order, product, salt)

    def _wait_for_base(self, ledger: LedgerService, order: Order) -> Process:
        """Wait until the round is open under a certificate; say what is wrong with the model."""
        copy, number = ledger.copy, order.round
        yield ledger.when(lambda: read_round(copy, number) is not None)
        height = copy.height
        yield ledger.when(lambda: ledger.is_certified(height))
        state = read_round(copy, number)
        assert state is not None, "the condition waited for holds"
        if self.node.id not in state.eligible:
            return "not-eligible"
        if state.status != "open":
            return "round-not-open"
        return "" if root_of(order.model) == state.base_root else "wrong-base"

    def _commit(
        self, ledger: LedgerService, order: Order, product: Product, salt: bytes
    ) -> Generator[simpy.Event, Any, Executed]:
        base_root = root_of(order.model)
        copy, me = ledger.copy, self.node.id
        body: dict[str, Value] = {
            "round": order.round,
            "commitment": commitment(
                copy.genesis.chain_id,
                task_name(copy),
                order.round,
                base_root,
                me,
                product.root,
                salt,
            ),
            "base_root": base_root,
            "nbytes": len(product.model),
            "examples": product.examples,
            "dp": None if product.claim is None else dict(product.claim),
        }
        return (yield from ledger.submit("task.commit", body))

    def _answer(self, order: Order, product: Product, salt: bytes) -> None:
        reply = self._outbox(
            Reply(
                number=order.number,
                round=order.round,
                hospital=self.node.id,
                model=product.model,
                report=product.report,
                salt=salt,
                sent_us=self.node.env.now,
            )
        )
        recipients = self._recipients if order.trains else (self._coordinator,)
        self._courier.broadcast(recipients, reply)

    def _refuse(self, order: Order, reason: str) -> None:
        now, me = self.node.env.now, self.node.id
        self._record(ModelRefused(now, order.round, me, reason))
        reply = Reply(order.number, order.round, me, b"", b"", b"", now, reason)
        self._courier.broadcast((self._coordinator,), reply)

    # ---- checking others ------------------------------------------------------------------------

    def _check(self, sender: NodeId, reply: Reply) -> Process:
        """Hold another hospital's update against the own ledger, once its commitment is there."""
        ledger = self.ledger
        if ledger is None or sender != reply.hospital:
            return
        copy = ledger.copy

        def settled() -> bool:
            state = read_round(copy, reply.round)
            return state is not None and (reply.hospital in state.commits or state.status != "open")

        yield ledger.when(settled)
        state = read_round(copy, reply.round)
        verdict = check_update(reply, state, copy.genesis.chain_id, task_name(copy), self._declared)
        if verdict.accepted and self.vault is not None:
            self.vault.put(reply.model)
        self._record(
            UpdateChecked(
                self.node.env.now, reply.round, reply.hospital, self.node.id,
                verdict.accepted, verdict.reason,
            )
        )  # fmt: skip

    # ---- trace ----------------------------------------------------------------------------------

    def _phase(self, order: Order, phase: str, start_us: int) -> None:
        if order.trains:
            now = self.node.env.now
            self._record(PhaseEnded(now, order.round, self.node.id, phase, start_us))

    def _note_training(self, order: Order, product: Product) -> None:
        now, me = self.node.env.now, self.node.id
        self._record(Trained(now, order.round, me, product.root.hex()[:8], product.examples))
        if (claim := product.claim) is not None:
            self._record(
                PrivacySpent(
                    now,
                    order.round,
                    me,
                    epsilon=int(claim["epsilon_e6"]) / MILLION,
                    delta=int(claim["delta_e12"]) / TRILLION,
                    sigma=int(claim["sigma_e6"]) / MILLION,
                    sampling_rate=int(claim["sampling_e6"]) / MILLION,
                    steps=int(claim["steps"]),
                )
            )
