"""A hospital's process: take an order, check it against the own ledger, train, commit, reveal.

Its private records live behind the `Learner` and nowhere else. What leaves the hospital is a
`SealedUpdate` (the update, the salt of its commitment, the declared counts) and its signed
transactions; under ``commit_reveal`` the update leaves only after the hospital has seen the seal
under a certificate on its own ledger.

As a verifier it holds the others' updates against its own ledger, signs for those that it keeps,
and, as a replica, recomputes the aggregate.

Source: the project's protocol, section 3, steps 2-8.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import simpy

from simulation.base.encoding import Value
from simulation.base.ids import NodeId
from simulation.base.rng import Streams
from simulation.contracts import privacy
from simulation.contracts.commitments import commitment
from simulation.contracts.committee import committee
from simulation.contracts.parameters import parameters
from simulation.contracts.rounds import OPEN, read_round, round_status
from simulation.nodes.availability import Availability
from simulation.nodes.conduct import HONEST, Conduct
from simulation.nodes.courier import Courier
from simulation.nodes.instance import Record
from simulation.nodes.learner import Learner, Product
from simulation.nodes.ledger_client import Executed
from simulation.nodes.ledger_service import LedgerService
from simulation.nodes.messages import Order, Reply, SealedUpdate
from simulation.nodes.node import Node
from simulation.nodes.recompute import Recomputing
from simulation.nodes.sealing import Sealed, SealingProcess
from simulation.nodes.shelf import Shelf
from simulation.nodes.update_check import root_of, root_of_any
from simulation.trace.events import (
    ModelRefused,
    PhaseEnded,
    PrivacySpent,
    Trained,
)
from simulation.vault.store import cid_of

SALT_BYTES = 32
MILLION = 1_000_000
TRILLION = 10**12

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

    ``streams`` give its salts; ``shelf`` is its side of the ledger and the vaults, and None in the
    ablation without a ledger; ``verifiers`` are the other hospitals that receive this hospital's
    updates to check them, where that is not for those who vote; ``aggregate_mb_per_s`` is how fast
    it recomputes an aggregate.
    """

    def __init__(
        self,
        node: Node,
        coordinator: NodeId,
        learner: Learner,
        streams: Streams,
        record: Record,
        shelf: Shelf | None = None,
        verifiers: Sequence[NodeId] = (),
        conduct: Conduct = HONEST,
        aggregate_mb_per_s: float = 400.0,
        courier: Courier | None = None,
    ) -> None:
        self.node = node
        self._courier = courier or Courier(node, repeats=False)
        self._working: dict[simpy.Process, None] = {}
        self.ledger = None if shelf is None else shelf.ledger
        self._coordinator = coordinator
        self._learner = learner
        self._streams = streams
        self._record = record
        self._verifiers = tuple(verifiers)
        self._conduct = conduct
        self._courier.on(Order, lambda _, order: self._start(self._serve(order)))
        self._courier.on(SealedUpdate, lambda who, update: self._start(self._check(who, update)))
        if shelf is not None:
            self._shelf, ledger = shelf, shelf.ledger
            self._shelf.start = self._start
            self._availability = Availability(ledger, shelf)
            self._recomputing = Recomputing(ledger, shelf, aggregate_mb_per_s, self._start)
            self._known = parameters(ledger.copy)

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
        if not self._can_afford(ledger) and not self._conduct.overspends(number):
            return "budget-exceeded"
        return "" if root_of(order.model) == state.base_root else "wrong-base"

    def _can_afford(self, ledger: LedgerService) -> bool:
        """Whether one more training leaves the hospital's account on the ledger below its cap."""
        copy, me = ledger.copy, self.node.id
        if privacy.policy(copy)[1] is None:
            return True
        # Without a claim there is nothing to compare; the contract refuses such an update itself.
        wanted_e6 = self._learner.foresee() or 0
        return privacy.allows(copy, self._known.name, me, wanted_e6)

    def _enter(
        self, ledger: LedgerService, order: Order, product: Product, start_us: int
    ) -> Process:
        """Bring a trained update into the round: commit it, and do what the protocol says next."""
        hides = self._known.protocol == "commit_reveal"
        salt, sealed = b"", None
        if hides:
            salt = self._streams.stream("salt", self.node.id, order.round).bytes(SALT_BYTES)
        else:
            sealed = yield from self._seal(order, product.model)
        executed: Executed = yield from self._commit(ledger, order, product, salt, sealed)
        self._phase(order, "consensus", start_us)
        if not executed.accepted:
            self._refuse(order, executed.code)
            return
        if hides:
            copy, number = ledger.copy, order.round
            yield ledger.when(lambda: round_status(copy, number) != OPEN)
            height = copy.height
            yield ledger.when(lambda: ledger.is_certified(height))
        reply = self._conduct.reply(self._reply(order, product, salt))
        if sealed is None or reply.model != product.model:
            sealed = yield from self._seal(order, reply.model)
        if hides:
            yield from self._reveal(ledger, order, reply, sealed)
        else:
            self._share(reply, sealed)

    def _seal(self, order: Order, model: bytes) -> SealingProcess:
        readers = (*self._readers(), self._coordinator)
        return self._shelf.sealing.seal(order.round, model, readers)

    def _commit(
        self,
        ledger: LedgerService,
        order: Order,
        product: Product,
        salt: bytes,
        sealed: Sealed | None,
    ) -> Generator[simpy.Event, Any, Executed]:
        base_root, copy = root_of(order.model), ledger.copy
        digest = product.root
        if salt:
            digest = commitment(
                copy.genesis.chain_id, self._known.name, order.round, base_root,
                self.node.id, product.root, salt,
            )  # fmt: skip
        body: dict[str, Value] = {
            "round": order.round,
            "commitment": digest,
            "base_root": base_root,
            "nbytes": len(product.model),
            "examples": product.examples,
            "dp": None if product.claim is None else dict(product.claim),
            "cid": None if sealed is None else cid_of(sealed.data),
        }
        bodies = self._conduct.commits(ledger, order, body)
        executed = yield from ledger.submit("task.commit", bodies[0])
        for other in bodies[1:]:
            yield from ledger.submit("task.commit", other)
        return executed

    def _reveal(self, ledger: LedgerService, order: Order, reply: Reply, sealed: Sealed) -> Process:
        """Send the update to those who check it, collect holders, and open the commitment."""
        number, start_us = order.round, self.node.env.now
        root, cid = root_of_any(reply.model), cid_of(sealed.data)
        self._availability.want(number, root, cid)
        if self._conduct.withholds(number):
            return
        self._share(reply, sealed)
        held = yield from self._availability.certificate(number)
        if held is None:
            return
        self._phase(order, "upload", start_us)
        start_us = self.node.env.now
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

    def _share(self, reply: Reply, sealed: Sealed) -> None:
        """Send an update to those it is sealed for, oneself included."""
        for reader, key in sealed.wrapped.items():
            self._courier.broadcast((reader,), SealedUpdate.of(reply, sealed.data, key))
        update = SealedUpdate.of(reply, sealed.data, b"")
        self._shelf.keep(update, sealed)
        if self._known.protocol == "commit_reveal":
            self._availability.vouch(update, reply)
            self._recomputing.begin(reply.round)

    def _readers(self) -> Sequence[NodeId]:
        """Who checks an update besides the coordinator."""
        if self._known.protocol != "commit_reveal":
            return self._verifiers
        assert self.ledger is not None, "updates are shared where there is a ledger"
        return [r for r in committee(self.ledger.copy).replicas if r != self.node.id]

    def _refuse(self, order: Order, reason: str) -> None:
        now, me = self.node.env.now, self.node.id
        self._record(ModelRefused(now, order.round, me, reason))
        reply = Reply(order.number, order.round, me, b"", b"", b"", now, reason)
        self._courier.broadcast((self._coordinator,), reply)

    # ---- checking others ------------------------------------------------------------------------

    def _check(self, sender: NodeId, update: SealedUpdate) -> Process:
        """Hold another hospital's update against the own ledger; sign for it if it is ours."""
        if self.ledger is None or sender != update.hospital:
            return
        verdict, reply = yield from self._shelf.receive(update, self._conduct.observe)
        if self._known.protocol == "commit_reveal":
            if verdict.accepted and reply is not None and self._shelf.keeps(update.hospital):
                self._availability.vouch(update, reply)
            self._recomputing.begin(update.round)

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
