"""What a task learns from and with: records, trainers and the first model, from an `Experiment`."""

from __future__ import annotations

from collections.abc import Sequence

from simulation.attacks.roles import Roles
from simulation.base.ids import HospitalId
from simulation.base.rng import Streams
from simulation.config.experiment import Experiment
from simulation.federation.setting import Setting
from simulation.learning.engines import make_engine
from simulation.learning.models import build_model, model_arrays
from simulation.learning.privacy import PrivacyPlan, central_plan
from simulation.learning.secret_sum import Size, shared_plans
from simulation.learning.train import Trainer
from simulation.learning.trust import CentralParams, DistributedParams
from simulation.learning.units import units_of
from simulation.records.load import load
from simulation.records.shard import Federation
from simulation.world.baselines import central_setting


def make_setting(experiment: Experiment, seed: int) -> Setting:
    """Records, trainers and the initial model of one task.

    Raises:
        ValueError: when the data cannot be had, or training as configured is refused.
    """
    if experiment.data is None or experiment.model is None:
        raise ValueError("data: records and a model are needed to learn from; name both")
    if experiment.federation.kind == "central":
        return central_setting(experiment, experiment.model, seed)
    model, streams = experiment.model, Streams(seed)
    roles = Roles(experiment.attacks, experiment.hospitals, streams)
    federation = load(experiment.data, experiment.partition, experiment.hospitals, streams)
    plans = _shared_plans(experiment, federation)
    trainers = [
        Trainer(
            shard,
            model,
            experiment.training,
            experiment.privacy,
            experiment.federation.rounds,
            streams,
            roles.tampering(shard.hospital),
            plans.get(shard.hospital),
        )
        for shard in federation
    ]
    central = None
    if isinstance(experiment.privacy, CentralParams):
        rounds = experiment.federation.rounds
        central = central_plan(experiment.privacy, len(trainers), rounds)
    # The published protocols initialise under ``torch.manual_seed(seed)``; so does this.
    module = build_model(model, len(federation.features), seed)
    return Setting(
        federation=experiment.federation,
        hospitals=len(trainers),
        initial=model_arrays(module),
        trainer_of=trainers.__getitem__,
        streams=streams,
        engine=make_engine(experiment.engine, trainers),
        central=central,
        notes=(*federation.notes, *_small_batches(trainers, experiment.training.batch_size)),
        shared=federation.shared,
    )


def _small_batches(trainers: Sequence[Trainer], batch_size: int) -> list[str]:
    """What is to be said of hospitals with fewer training rows than a batch."""
    below = [trainer.units.count for trainer in trainers if trainer.units.count < batch_size]
    note = (
        f"training.batch_size: {len(below)} of {len(trainers)} hospitals have fewer training rows "
        f"than a batch of {batch_size} (the smallest {min(below, default=0)}); all their rows are "
        "their batch"
    )
    return [note] if below else []


def _shared_plans(experiment: Experiment, federation: Federation) -> dict[HospitalId, PrivacyPlan]:
    """Plans that hospitals can only make together; empty when each makes its own."""
    privacy = experiment.privacy
    if not isinstance(privacy, DistributedParams):
        return {}
    sizes = [Size(units_of(s, privacy.unit).count, len(s.train_y)) for s in federation]
    rounds = experiment.federation.rounds
    return dict(enumerate(shared_plans(privacy, experiment.training, sizes, rounds)))
