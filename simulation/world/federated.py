"""A federation that learns: wires one `Experiment` into one SimPy environment and runs it.

    records → trainers → hospitals ─┐
    genesis → ledger copies → hosts ─┼─ network, one clock ── grid ── Flower's ServerApp
    keys, streams (one seed) ───────┘

The order of construction is the order of the picture; nothing is wired anywhere else.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from simulation.attacks.learners.backdoor import BackdoorAttack
from simulation.attacks.roles import Roles
from simulation.base.ids import HospitalId, NodeId
from simulation.base.rng import Streams
from simulation.base.tensors import Arrays, encode_model, model_root
from simulation.config.experiment import Experiment
from simulation.contracts.rules import Rule
from simulation.federation.announce import Announcer
from simulation.federation.apps import foreseen_epsilon_e6
from simulation.federation.codec import declared_examples
from simulation.federation.fixed import rule_for
from simulation.federation.grid import SimGrid
from simulation.federation.identity import hospital_context, server_context
from simulation.federation.learner import FlowerLearner, Foresee
from simulation.federation.loading import load_client_app, load_server_app
from simulation.federation.params import OWN_CLIENT_APP
from simulation.federation.setting import Setting, bound
from simulation.federation.steering import STOPPED_RECORD
from simulation.learning.cost import hospital_speed, training_us
from simulation.learning.globals import seeded_globals
from simulation.learning.models import parameter_count
from simulation.learning.secret_sum import secret_sum_cost
from simulation.learning.trust import DistributedParams, DpParams
from simulation.network.clock import Clock
from simulation.network.network import Network
from simulation.nodes.conduct import HONEST, Conduct
from simulation.nodes.coordinator import Coordinator
from simulation.nodes.courier import Courier
from simulation.nodes.hospital import Hospital
from simulation.nodes.injector import HEIGHT, ROUND, FaultInjector, Resident
from simulation.nodes.ledger_client import Standstill
from simulation.nodes.messages import Order
from simulation.nodes.node import Node
from simulation.nodes.params import CommitRevealLedger, HashOnlyLedger, NoLedger
from simulation.nodes.shelf import Shelf
from simulation.nodes.update_check import layout_of
from simulation.trace.events import BlockAppended, Event, RoundOpened
from simulation.trace.metrics import metric_rows
from simulation.trace.recorder import Listener, Recorder
from simulation.world.checks import Checks
from simulation.world.ledgers import Ledgers
from simulation.world.measuring import Measuring
from simulation.world.outcome import InvariantError, Outcome
from simulation.world.receipts import write_receipts
from simulation.world.screening import screening
from simulation.world.summary import ledger_summary, sent_by_kind
from simulation.world.vaults import Vaults


class World:
    """All parts of one run. The constructor wires, `run` runs."""

    def __init__(
        self,
        experiment: Experiment,
        seed: int,
        setting: Setting,
        out: Path | None,
        listeners: Sequence[Listener],
        conducts: Mapping[HospitalId, Conduct],
    ) -> None:
        self.experiment = experiment
        self.setting = setting
        self._secret_sum_us = 0
        if isinstance(experiment.privacy, DistributedParams):
            parameters = parameter_count(setting.initial)
            cost = secret_sum_cost(experiment.privacy, setting.hospitals, parameters)
            self._secret_sum_us = cost.us
        self.streams = Streams(seed)
        self.recorder = Recorder(listeners)
        self.env = Clock()
        self.hospitals = setting.hospitals
        self.coordinator_id: NodeId = self.hospitals
        self.out = out
        self.server_app = load_server_app(experiment.federation.server_app)
        self.client_app = load_client_app(experiment.federation.client_app)
        count = self.hospitals + 1
        self.network = Network(self.env, count, experiment.network, self.streams)
        self.nodes = [Node(self.env, i, self.network, experiment.crypto) for i in range(count)]
        self._announce = Announcer(setting)
        self.roles = Roles(experiment.attacks, self.hospitals, self.streams)
        self.couriers = [Courier(node, experiment.unreliable) for node in self.nodes]
        self.rule: Rule | None = None
        if isinstance(experiment.ledger, CommitRevealLedger):
            self.rule = rule_for(experiment.federation)
        # Updates of a task whose aggregate is recomputed have the tensors of its first model.
        self.layout = None if self.rule is None else layout_of(encode_model(setting.initial))
        # With a secure generator the seed tells nothing about keys, salts and noise.
        private = isinstance(experiment.privacy, DpParams) and experiment.privacy.secure_rng
        self.secrets = Streams(int.from_bytes(os.urandom(32), "big")) if private else self.streams
        self.vaults = Vaults(experiment, self.secrets, self.out)
        self.ledgers = self._make_ledgers()
        self.coordinator = Coordinator(
            self.nodes[self.coordinator_id],
            self.record,
            experiment.federation.min_updates,
            self._shelf(self.coordinator_id, HONEST),
            self.roles.coordinator(
                self.nodes[self.coordinator_id], self.record, recomputed=self.rule is not None
            ),
            screening(experiment.screening, self.env, self.record),
            self.couriers[self.coordinator_id],
        )
        if self.ledgers is not None and self.ledgers.schedule:
            self.coordinator.schedule = self.ledgers.schedule
        self.measuring = Measuring(
            experiment.evaluation,
            setting,
            experiment.federation.rounds,
            self.streams,
            self.record,
            lambda: self.env.now,
            [attack for attack in experiment.attacks if isinstance(attack, BackdoorAttack)],
        )
        self.grid = SimGrid(self.env, self.coordinator, self.hospitals, self._observe)
        staff = [self._hospital(h, conducts.get(h)) for h in range(self.hospitals)]
        self.faults = self._make_injector(seed, staff)

    # ---- construction ---------------------------------------------------------------------------

    def _make_ledgers(self) -> Ledgers | None:
        experiment = self.experiment
        if isinstance(experiment.ledger, NoLedger):
            return None
        return Ledgers(
            experiment, experiment.ledger, self.vaults.auditor, self.setting, self.secrets,
            self.nodes, self.env, self.record, self.out,
        )  # fmt: skip

    def _shelf(self, node: NodeId, conduct: Conduct) -> Shelf | None:
        """A node's side of the ledger and the vaults."""
        if self.ledgers is None:
            return None
        service = self.ledgers.services[node]
        return self.vaults.shelf(service, conduct, self.record, declared_examples, self.layout)

    def _make_injector(self, seed: int, staff: Sequence[Hospital]) -> FaultInjector:
        ledgers = self.ledgers
        residents: dict[NodeId, list[Resident]] = {
            h: [hospital, self.couriers[h], *(ledgers.residents(h) if ledgers else ())]
            for h, hospital in enumerate(staff)
        }
        return FaultInjector(
            self.env,
            self.network,
            self.nodes,
            ledgers.hosts if ledgers else {},
            self.experiment.faults,
            protocol=self.experiment.consensus.kind,
            seed=seed,
            record=self.record,
            residents=residents,
        )

    def _foresee(self, hospital: HospitalId) -> Foresee:
        """What a hospital knows of its privacy account before it trains."""
        if self.experiment.federation.client_app != OWN_CLIENT_APP:
            return lambda _: None
        trainer = self.setting.trainer_of(hospital)
        return lambda context: foreseen_epsilon_e6(trainer, context)

    def _hospital(self, hospital: HospitalId, given: Conduct | None) -> Hospital:
        node, recomputed = self.nodes[hospital], self.rule is not None
        conduct = given or self.roles.conduct(node, self.record, recomputed=recomputed)
        context = hospital_context(hospital, self.hospitals)
        learner = FlowerLearner(
            hospital, self.client_app, context, self.streams, self._duration_us, self._announce,
            self._foresee(hospital),
        )  # fmt: skip
        ledger = self.experiment.ledger
        sealed = isinstance(ledger, CommitRevealLedger)
        everyone = isinstance(ledger, HashOnlyLedger) and ledger.verifiers == "all"
        others = [h for h in range(self.hospitals) if h != hospital] if everyone else []
        return Hospital(
            node,
            self.coordinator_id,
            learner,
            self.secrets,
            self.record,
            self._shelf(hospital, conduct),
            others,
            conduct,
            courier=self.couriers[hospital],
            **({"aggregate_mb_per_s": ledger.aggregate_mb_per_s} if sealed else {}),
        )

    def _duration_us(self, hospital: HospitalId, order: Order) -> int:
        """Virtual time of an order at a hospital; evaluating counts as one forward pass."""
        compute, trainer = self.experiment.compute, self.setting.trainer_of(hospital)
        if order.trains:
            return trainer.training_us(compute) + self._secret_sum_us
        return training_us(
            compute,
            steps=1,
            batch_size=trainer.examples,
            parameters=parameter_count(self.setting.initial),
            private=False,
            speed=hospital_speed(compute, hospital, self.streams),
        )

    # ---- the trace ------------------------------------------------------------------------------

    def record(self, event: Event) -> None:
        """Write an event into the trace; some of them are what a fault waits for."""
        self.recorder.record(event)
        match event:
            case RoundOpened():
                self.faults.reached(ROUND, event.round)
            case BlockAppended():
                self.faults.reached(HEIGHT, event.height)
            case _:
                pass

    # ---- measurement ----------------------------------------------------------------------------

    def _observe(self, number: int, arrays: Arrays) -> Mapping[str, float]:
        """Measure a model at every hospital, outside the modelled world.

        Foreign apps may train another model than the configured one; that is not measured.
        """
        self._latest = arrays
        if _layout(arrays) != _layout(self.setting.initial):
            return {}
        return self.measuring.observe(number, lambda _: arrays)

    # ---- the run --------------------------------------------------------------------------------

    def run(self) -> Outcome:
        """Let Flower's ServerApp play its rounds, let the ledgers settle, check, summarise.

        Raises:
            InvariantError: when a property does not hold, or the ledger moves no more.
            PropertyViolation: at the first thing that an honest replica may not do.
        """
        self._latest: Arrays = self.setting.initial
        self._stopped: dict[str, Any] = {}
        try:
            self._play()
            self.measuring.finish()
            invariants = self._judge()
            if self.ledgers is not None and self.out is not None:
                write_receipts(self.out, self.ledgers.services)
        finally:
            self.setting.close()
            if self.ledgers is not None:
                self.ledgers.close()
        events = self.recorder.events
        return Outcome(
            metrics=metric_rows(events),
            trace_digest=self.recorder.digest,
            virtual_us=self.env.now,
            summary=self._summary(),
            invariants=invariants,
            events=events,
            arrays=self._latest,
            notes=self.setting.notes,
        )

    def _play(self) -> None:
        context = server_context()
        try:
            with bound(self.setting), seeded_globals(self.streams.integer("server-app")):
                self.server_app(self.grid, context)
                self.grid.finish(context.state)
            if self.experiment.federation.stop_when is not None:
                self._stopped = dict(context.state.config_records.get(STOPPED_RECORD, {}))
        except Exception as error:
            if self.ledgers is not None:
                # What else goes wrong after a violation only follows from it.
                self.ledgers.judge()
            if isinstance(error, Standstill):
                waits = self._checks().who_waits()
                raise InvariantError(f"liveness: {error}; {waits}") from error
            raise

    def _judge(self) -> list[str]:
        """The properties of every finished run; raises at the first that does not hold."""
        if self.ledgers is None:
            return []
        checks = self._checks()
        checks.settle()
        return checks.verdict()

    def _checks(self) -> Checks:
        assert self.ledgers is not None, "only a ledger can stand still"
        return Checks(self.ledgers, self.network, self.env, self.hospitals)

    def _summary(self) -> dict[str, Any]:
        summary: dict[str, Any] = {
            "messages": sent_by_kind(self.network),
            "virtual_us": self.env.now,
        }
        if self.experiment.federation.uses_own_apps:
            summary["model"] = model_root(self._latest).hex()
        if self._stopped:
            summary[STOPPED_RECORD] = self._stopped
        if self.experiment.attacks:
            summary["attacks"] = self.roles.summary()
        if self.ledgers is not None:
            summary["ledger"] = ledger_summary(self.ledgers, self.experiment)
        return summary


def _layout(arrays: Arrays) -> dict[str, tuple[int, ...]]:
    return {name: array.shape for name, array in arrays.items()}
