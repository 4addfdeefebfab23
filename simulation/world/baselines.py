"""Training without a federation: all records in one place, or every hospital for itself.

What a federated model is compared with. Records, splits, model, local training, privacy and
measurement are those of the federation, from the same seed; only that updates are never averaged
differs. There are no messages and no ledger.

    central   one trainer on all hospitals' training rows. A round is as many steps as all hospitals
              together take in a round, of the same batch size: the same passes over the records
    local     each hospital goes on from its own last model. The metrics of a hospital are those of
              its own model, and ``pooled`` is over every row under the model of its hospital
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from simulation.base.rng import Streams
from simulation.base.tensors import Arrays, model_root
from simulation.config.experiment import Experiment
from simulation.federation.setting import Setting
from simulation.learning.engines import make_engine
from simulation.learning.engines.task import Task
from simulation.learning.models import build_model, model_arrays
from simulation.learning.params import DpSgdParams, ModelParams, NoPrivacy
from simulation.learning.train import Trainer
from simulation.learning.units import units_of
from simulation.learning.update import ModelUpdate, Spend
from simulation.records.load import load
from simulation.trace.events import PhaseEnded, PrivacySpent, RoundClosed, RoundOpened, Trained
from simulation.trace.metrics import metric_rows
from simulation.trace.recorder import Listener, Recorder
from simulation.world.measuring import Measuring
from simulation.world.outcome import Outcome

MILLION = 1_000_000


def central_setting(experiment: Experiment, model: ModelParams, seed: int) -> Setting:
    """Hospitals that only hold test rows, and one trainer on everybody's training rows.

    The pool counts as one more hospital: the number after the last. Under differential privacy its
    guarantee is that of one data holder, against everybody who sees its models.

    Raises:
        ValueError: as for a federation's setting.
    """
    assert experiment.data is not None, "checked before"
    streams = Streams(seed)
    records = load(experiment.data, experiment.partition, experiment.hospitals, streams)
    training, rounds = experiment.training, experiment.federation.rounds
    holders = [Trainer(shard, model, training, NoPrivacy(), rounds, streams) for shard in records]
    privacy = experiment.privacy
    unit = privacy.unit if isinstance(privacy, DpSgdParams) else "record"
    steps = sum(training.steps(units_of(shard, unit).count) for shard in records)
    together = dataclasses.replace(training, local_epochs=None, local_steps=steps)
    pool = Trainer(records.pooled(), model, together, privacy, rounds, streams)
    return Setting(
        federation=experiment.federation,
        hospitals=len(holders),
        initial=model_arrays(build_model(model, len(records.features), seed)),
        trainer_of=holders.__getitem__,
        streams=streams,
        engine=make_engine(experiment.engine, [pool]),
        notes=records.notes,
        pool=pool,
    )


class Apart:
    """One run without a federation. The constructor wires, `run` runs."""

    def __init__(
        self, experiment: Experiment, seed: int, setting: Setting, listeners: Sequence[Listener]
    ) -> None:
        self._experiment = experiment
        self._setting = setting
        self._recorder = Recorder(listeners)
        self._now_us = 0
        self._models: dict[int, Arrays] = {t.hospital: setting.initial for t in setting.learners}
        self._spent: dict[int, list[Spend]] = {t.hospital: [] for t in setting.learners}
        self._steps = 0
        self._measuring = Measuring(
            experiment.evaluation,
            setting,
            experiment.federation.rounds,
            Streams(seed),
            self._recorder.record,
            lambda: self._now_us,
        )

    def run(self) -> Outcome:
        """Train all rounds, measure as a federation is measured, summarise."""
        try:
            self._observe(0)
            for number in range(1, self._experiment.federation.rounds + 1):
                self._round(number)
                self._observe(number)
            self._measuring.finish()
        finally:
            self._setting.close()
        kind, pool = self._experiment.federation.kind, self._setting.pool
        summary: dict[str, Any] = {
            "messages": {},
            "virtual_us": self._now_us,
            "training": {"kind": kind, "learners": len(self._models), "steps": self._steps},
        }
        return Outcome(
            metrics=metric_rows(self._recorder.events),
            trace_digest=self._recorder.digest,
            virtual_us=self._now_us,
            summary=summary,
            invariants=[],
            events=self._recorder.events,
            # Of many local models none is the run's.
            arrays={} if pool is None else self._models[pool.hospital],
        )

    def _round(self, number: int) -> None:
        record, learners, start_us = self._recorder.record, self._setting.learners, self._now_us
        root = model_root(self._models[learners[0].hospital]).hex()[:8]
        record(RoundOpened(start_us, number, len(learners), root, 0))
        for trainer in learners:
            record(PhaseEnded(start_us, number, trainer.hospital, "download", start_us))
            trainer.begin(Task(self._models[trainer.hospital], number))
        ends = {t.hospital: start_us + t.training_us(self._experiment.compute) for t in learners}
        for trainer in sorted(learners, key=lambda t: (ends[t.hospital], t.hospital)):
            self._now_us = ends[trainer.hospital]
            history = self._spent[trainer.hospital]
            update = trainer.train(self._models[trainer.hospital], number, history)
            self._models[trainer.hospital] = update.arrays
            self._steps += update.steps
            self._note(trainer, update, number, start_us)
        root = model_root(self._models[learners[0].hospital]).hex()[:8]
        record(RoundClosed(self._now_us, number, len(learners), 0, 0, "trained", root))

    def _note(self, trainer: Trainer, update: ModelUpdate, number: int, start_us: int) -> None:
        record, now, me = self._recorder.record, self._now_us, trainer.hospital
        record(PhaseEnded(now, number, me, "train", start_us))
        record(Trained(now, number, me, model_root(update.arrays).hex()[:8], update.examples))
        if update.spent is None or trainer.plan is None:
            return
        history = self._spent[me]
        history.append(update.spent)
        entry = trainer.plan.entry(history)
        # What the pool spends is spent of every hospital's records.
        pooled = self._setting.pool is not None
        for hospital in range(self._setting.hospitals) if pooled else (me,):
            record(
                PrivacySpent(
                    now,
                    number,
                    hospital,
                    epsilon=int(entry["epsilon_e6"]) / MILLION,
                    delta=trainer.plan.delta,
                    sigma=update.spent.sigma,
                    sampling_rate=update.spent.sampling_rate,
                    steps=update.spent.steps,
                )
            )

    def _observe(self, number: int) -> None:
        models, pool = dict(self._models), self._setting.pool
        self._measuring.observe(number, lambda h: models[h if pool is None else pool.hospital])
