"""A hospital's process: take an order, check it against the own ledger, train, commit, reveal.

Its private records live behind the `Learner` and nowhere else. What leaves the hospital is a
`Reply` (the update, the salt of its commitment, the declared counts) and its signed transactions;
under ``commit_reveal`` the reply leaves only after the hospital has seen the seal under a
certificate on its own ledger.

As a verifier it holds the others' updates against its own ledger, signs for those that it keeps,
and, as a replica, recomputes the aggregate.

Source: the project's protocol, section 3, steps 2-8.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from functools import partial
from typing import Any

import simpy

from simulation.base.encoding import Value
from simulation.base.ids import NodeId
from simulation.base.rng import Streams
from simulation.base.units import US_PER_S
from simulation.contracts import privacy
from simulation.contracts.rounds import (
    OPEN,
    SEALED,
    commit_of,
    commitment,
    holding,
    parameters,
    read_round,
    round_status,
)
from simulation.nodes.conduct import HONEST, Conduct
from simulation.nodes.courier import Courier
from simulation.nodes.ledger_service import Executed, LedgerService, Record
from simulation.nodes.messages import Fetch, Holding, Learner, Order, Product, Reply
from simulation.nodes.node import Node
from simulation.nodes.recompute import Recomputing
from simulation.nodes.shelf import Shelf
from simulation.nodes.update_check import Declared, Layout, root_of, root_of_any
from simulation.trace.events import (
    ModelRefused,
    PhaseEnded,
    PrivacySpent,
    Trained,
)
from simulation.vault.store import Vault, cid_of

SALT_BYTES = 32
MILLION = 1_000_000
TRILLION = 10**12

HOLDERS_US = 5 * US_PER_S
"""How long a hospital waits for holders before it asks those that have not answered again."""

Process = Generator[simpy.Event, Any, Any]


class HospitalError(RuntimeError):
    """Local work raised an exception: which hospital, in which round, at which virtual time."""

    def __init__(self, hospital: int, number: int, t_us: int, error: BaseException) -> None:
        super().__init__(
            f"hospital {hospital} failed in round {number} at virtual time {t_us} µs: "
            f"{type(error).__name__}: {error}"
        )
        self.hospital, self.round, self.t_us = hospital, number, t_us


def _until_interrupted(work: Process) -> Process:
    """A process that a crash ends without a sound."""
    try:
        return (yield from work)
    except simpy.Interrupt:
        return None


class Hospital:
    """One hospital on the virtual clock.

    ``ledger`` is None in the ablation without a ledger; ``verifiers`` are the other hospitals that
    receive this hospital's updates to check them; ``layout`` is that of the task's model, where
    updates have to have it; ``aggregate_mb_per_s`` is how fast it recomputes an aggregate.
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
        conduct: Conduct = HONEST,
        layout: Layout | None = None,
        aggregate_mb_per_s: float = 400.0,
        courier: Courier | None = None,
    ) -> None:
        self.node = node
        self._courier = courier or Courier(node, repeats=False)
        self._working: dict[simpy.Process, None] = {}
        self.ledger = ledger
        self._coordinator = coordinator
        self._learner = learner
        self._streams = streams
        self._record = record
        self._recipients = (*verifiers, coordinator)
        self._conduct = conduct
        self._holdings: dict[int, dict[NodeId, bytes]] = {}
        self._statements: dict[int, tuple[bytes, simpy.Event]] = {}
        self._courier.on(Order, lambda _, order: self._start(self._serve(order)))
        self._courier.on(Reply, lambda sender, reply: self._start(self._check(sender, reply)))
        if ledger is not None:
            self._shelf = Shelf(ledger, record, declared, vault, layout)
            self._recomputing = Recomputing(ledger, self._shelf, aggregate_mb_per_s, self._start)
            self._known = parameters(ledger.copy)
            self._shelf.vouch = partial(self._vouch, ledger)
            node.on(Holding, self._on_holding)

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
                if round_status(self.ledger.copy, order.round) == OPEN:
                    body: dict[str, Value] = {"round": order.round, "reason": problem}
                    yield from self.ledger.submit("task.decline", body)
                self._refuse(order, problem)
                return
        start_us = env.now
        job = self._learner.begin(order)
        yield env.timeout(job.duration_us)
        try:
            product = job.result()
        except Exception as error:
            raise HospitalError(me, order.round, env.now, error) from error
        if not order.trains:
            self._courier.broadcast((self._coordinator,), self._reply(order, product, b""))
            return
        self._phase(order, "train", start_us)
        self._note_training(order, product)
        start_us = env.now
        product = yield from self._conduct.prepare(self.ledger, order, product)
        if self.ledger is None:
            reply = self._conduct.reply(self._reply(order, product, b""))
            self._courier.broadcast((self._coordinator,), reply)
            return
        yield from self._enter(self.ledger, order, product, start_us)

    def _wait_for_base(self, ledger: LedgerService, order: Order) -> Process:
        """Wait until the round is open under a certificate; say why to sit it out, if at all."""
        copy, number = ledger.copy, order.round
        yield ledger.when(lambda: round_status(copy, number) is not None)
        height = copy.height
        yield ledger.when(lambda: ledger.is_certified(height))
        state = read_round(copy, number)
        assert state is not None, "the condition waited for holds"
        if self.node.id not in state.eligible:
            return "not-eligible"
        if state.status != OPEN:
            return "round-not-open"
        if privacy.account(copy, self.node.id).exhausted:
            return "budget-exceeded"
        return "" if root_of(order.model) == state.base_root else "wrong-base"

    def _enter(
        self, ledger: LedgerService, order: Order, product: Product, start_us: int
    ) -> Process:
        """Bring a trained update into the round: commit it, and do what the protocol says next."""
        hides = self._known.protocol == "commit_reveal"
        salt = b""
        if hides:
            salt = self._streams.stream("salt", self.node.id, order.round).bytes(SALT_BYTES)
        executed: Executed = yield from self._commit(ledger, order, product, salt)
        self._phase(order, "consensus", start_us)
        if not executed.accepted:
            self._refuse(order, executed.code)
            return
        reply = self._reply(order, product, salt)
        if not hides:
            self._share(reply)
            return
        copy, number = ledger.copy, order.round
        yield ledger.when(lambda: round_status(copy, number) != OPEN)
        height = copy.height
        yield ledger.when(lambda: ledger.is_certified(height))
        yield from self._reveal(ledger, order, reply)

    def _commit(
        self, ledger: LedgerService, order: Order, product: Product, salt: bytes
    ) -> Generator[simpy.Event, Any, Executed]:
        base_root, copy = root_of(order.model), ledger.copy
        digest, cid = product.root, None
        if salt:
            digest = commitment(
                copy.genesis.chain_id, self._known.name, order.round, base_root,
                self.node.id, product.root, salt,
            )  # fmt: skip
        else:
            cid = cid_of(product.model)
        body: dict[str, Value] = {
            "round": order.round,
            "commitment": digest,
            "base_root": base_root,
            "nbytes": len(product.model),
            "examples": product.examples,
            "dp": None if product.claim is None else dict(product.claim),
            "cid": cid,
        }
        bodies = self._conduct.commits(ledger, order, body)
        executed = yield from ledger.submit("task.commit", bodies[0])
        for other in bodies[1:]:
            yield from ledger.submit("task.commit", other)
        return executed

    def _reveal(self, ledger: LedgerService, order: Order, reply: Reply) -> Process:
        """Send the update to those who check it, collect holders, and open the commitment."""
        env, me, number = self.node.env, self.node.id, order.round
        reply = self._conduct.reply(reply)
        root, cid, start_us = root_of_any(reply.model), cid_of(reply.model), env.now
        statement = holding(ledger.copy.genesis.chain_id, self._known.name, number, me, root, cid)
        enough = env.event()
        self._statements = {number: (statement, enough)}
        self._holdings = {number: {}}
        if self._conduct.withholds(number):
            return
        self._share(reply)
        over = ledger.when(lambda: round_status(ledger.copy, number) != SEALED)
        while not (enough.triggered or over.triggered):
            yield env.any_of([enough, over, env.timeout(HOLDERS_US)])
            if not (enough.triggered or over.triggered):
                missing = [
                    r for r in range(self._known.replicas) if r not in self._holdings[number]
                ]
                self.node.broadcast(missing, Fetch(number, me))
        if not enough.triggered:
            return
        self._phase(order, "upload", start_us)
        start_us = env.now
        held = self._holdings[number]
        body: dict[str, Value] = {
            "round": number,
            "update_root": root,
            "salt": reply.salt,
            "cid": cid,
            "holdings": [[replica, held[replica]] for replica in sorted(held)],
        }
        yield from ledger.submit("task.reveal", self._conduct.reveal(body))
        self._phase(order, "consensus", start_us)

    def _reply(self, order: Order, product: Product, salt: bytes) -> Reply:
        return Reply(
            number=order.number,
            round=order.round,
            hospital=self.node.id,
            model=product.model,
            report=product.report,
            salt=salt,
            sent_us=self.node.env.now,
        )

    def _share(self, reply: Reply) -> None:
        """Send an update to whoever checks it, oneself included."""
        assert self.ledger is not None
        if self._known.protocol == "hash_only":
            reply = self._conduct.reply(reply)
        self._courier.broadcast(self._recipients, reply)
        self._shelf.keep(reply)
        if self._known.protocol == "commit_reveal":
            self._vouch(self.ledger, reply)
            self._recomputing.begin(reply.round)

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
        copy, number, hospital = ledger.copy, reply.round, reply.hospital
        self._conduct.observe(reply)

        def settled() -> bool:
            word = round_status(copy, number)
            return word is not None and (
                word != OPEN or commit_of(copy, number, hospital) is not None
            )

        yield ledger.when(settled)
        verdict = self._shelf.check(reply)
        if self._known.protocol == "commit_reveal":
            if verdict.accepted:
                self._vouch(ledger, reply)
            self._recomputing.begin(number)

    def _vouch(self, ledger: LedgerService, reply: Reply) -> None:
        """Sign for an update that is checked and kept, if one is a replica."""
        if self.node.id >= self._known.replicas:
            return
        statement = holding(
            ledger.copy.genesis.chain_id, self._known.name, reply.round, reply.hospital,
            root_of_any(reply.model), cid_of(reply.model),
        )  # fmt: skip
        message = Holding(reply.round, reply.hospital, ledger.sign(statement))
        if reply.hospital == self.node.id:
            self._on_holding(self.node.id, message)
        else:
            self.node.send(reply.hospital, message)

    def _on_holding(self, sender: NodeId, message: Holding) -> None:
        """Count a holder's signature, if it is one and of this statement."""
        wanted = self._statements.get(message.round)
        if wanted is None or message.hospital != self.node.id or self.ledger is None:
            return
        statement, enough = wanted
        held = self._holdings[message.round]
        if enough.triggered or sender >= self._known.replicas:
            return
        if self.ledger.has_signed(sender, statement, message.signature):
            held[sender] = message.signature
        if len(held) >= self._known.holders:
            enough.succeed()

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
