"""One federated job, done by four programs: what `test_whole_rounds.py` compares.

100 hospitals of 200 records, 20 a round in turn, MLP 30-64-32-1, DP-SGD with noise multiplier 1 and
expected batches of 32, one epoch a round. Run as a script it does the job once, in a process of its
own with start-up included, and prints JSON: ``python tests/bench/one_job.py WHO ROUNDS``.
"""

from __future__ import annotations

import importlib
import json
import resource
import sys
import time
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

BEGUN = time.perf_counter()
ROOT = Path(__file__).parents[2]
HOSPITALS, COHORT, RECORDS, INPUTS = 100, 20, 200, 30
RATE, BATCH = 0.1, 32


def rows(hospital: int) -> SimpleNamespace:
    """The records of a hospital, made up; the label is a side of a plane."""
    rng = np.random.default_rng(hospital)
    x = rng.standard_normal((RECORDS, INPUTS)).astype(np.float32)
    y = (x[:, :5].sum(axis=1) > 0).astype(np.int64)
    names = tuple(f"x{i}" for i in range(INPUTS))
    return SimpleNamespace(
        hospital=hospital, train_x=x, train_y=y, test_x=x[:20], test_y=y[:20], features=names
    )


def experiment_of(rounds: int, *changes: str) -> Any:
    """The job as a configuration; its records are replaced by `rows`."""
    from simulation.config.load import load

    return load(
        ROOT / "configs" / "quickstart.yaml",
        [
            f"hospitals={HOSPITALS}",
            "model={kind: mlp, hidden: [64, 32]}",
            f"training={{learning_rate: {RATE}, batch_size: {BATCH}, local_epochs: 1}}",
            "privacy={kind: dp_sgd, noise_multiplier: 1.0, delta: 1e-5}",
            (
                f"federation={{strategy: FedAvg, rounds: {rounds}, selection: {{kind: round_robin, "
                f"count: {COHORT}}}}}"
            ),
            "evaluation={every: 100000, resamples: 0}",
            "consensus={kind: pbft, replicas: 4}",
            "ledger={kind: commit_reveal, store: memory}",
            *changes,
        ],
    )


def setting_of(experiment: Any) -> Any:
    """Trainers over `rows` and the first model."""
    from simulation.base.rng import Streams
    from simulation.federation.setting import Setting
    from simulation.learning.engines import make_engine
    from simulation.learning.models import build_model, model_arrays
    from simulation.learning.train import Trainer

    rounds, streams = experiment.federation.rounds, Streams(1)
    trainers = [
        Trainer(rows(h), experiment.model, experiment.training, experiment.privacy, rounds, streams)
        for h in range(HOSPITALS)
    ]
    return Setting(
        federation=experiment.federation,
        hospitals=HOSPITALS,
        initial=model_arrays(build_model(experiment.model, INPUTS, 1)),
        trainer_of=trainers.__getitem__,
        streams=streams,
        engine=make_engine(experiment.engine, trainers),
    )


def whole_world(experiment: Any, listeners: Any = ()) -> dict[str, Any]:
    """The job on the virtual clock, with Flower and, where configured, the ledger."""
    from simulation.world import World

    world = World(experiment, 1, setting_of(experiment), None, listeners, {})
    return world.run().arrays


def telling(closed: Any) -> Any:
    """A listener that calls ``closed`` after each round."""
    from simulation.trace.events import RoundClosed

    return lambda event: closed() if isinstance(event, RoundClosed) else None


def plain_loop(rounds: int, closed: Any = lambda: None) -> dict[str, Any]:
    """Federated averaging by hand over the same Opacus trainings; measures and accounts nothing.

    ``closed`` is called after each round.
    """
    from simulation.learning.engines.task import Task

    experiment = experiment_of(rounds)
    setting = setting_of(experiment)
    arrays = setting.initial
    for number in range(1, rounds + 1):
        task = Task(arrays, number)
        chosen = sorted(((number - 1) * COHORT + turn) % HOSPITALS for turn in range(COHORT))
        updates = [setting.trainer_of(h).compute(task) for h in chosen]
        total = sum(float(update.examples) for update in updates)
        arrays = {
            name: sum(u.arrays[name] * (float(u.examples) / total) for u in updates)
            for name in arrays
        }
        closed()
    return {name: np.asarray(array) for name, array in arrays.items()}


# ---- other simulators, each in a process of its own ---------------------------------------------


def wardchain(rounds: int, *changes: str) -> list[float]:
    """When each round was closed, by this program with the batched engine."""
    closed: list[float] = []
    told = telling(lambda: closed.append(time.perf_counter()))
    whole_world(experiment_of(rounds, "engine=batched", *changes), (told,))
    return closed


@lru_cache(maxsize=1)
def _here(rounds: int) -> Any:
    return setting_of(experiment_of(rounds))


def flower_on_ray(rounds: int) -> list[float]:
    """The same ClientApp under Flower's own simulation, 20 of 100 drawn by Flower's FedAvg."""
    from flwr.app import Array, ArrayRecord
    from flwr.serverapp import ServerApp
    from flwr.serverapp.strategy import FedAvg
    from flwr.simulation import run_simulation

    from simulation.federation.apps import make_client_app

    closed: list[float] = []
    server = ServerApp()

    @server.main()
    def main(grid: Any, context: Any) -> None:
        del context
        arrays = {name: Array(array) for name, array in _here(rounds).initial.items()}

        def evaluate(number: int, model: Any) -> None:
            if number:
                closed.append(time.perf_counter())
                name, array = next(iter(_here(rounds).initial.items()))
                assert (model[name].numpy() != array).any(), "no client has trained"

        strategy = FedAvg(
            fraction_train=COHORT / HOSPITALS, fraction_evaluate=0.0, min_train_nodes=COHORT,
            min_evaluate_nodes=0, min_available_nodes=HOSPITALS,
        )  # fmt: skip
        strategy.start(
            grid=grid,
            initial_arrays=ArrayRecord(arrays),
            num_rounds=rounds,
            evaluate_fn=evaluate,
        )

    run_simulation(
        server,
        # Found by name in each worker, so that a worker makes its trainers once.
        make_client_app(lambda _: importlib.import_module("one_job")._here(rounds)),
        HOSPITALS,
        backend_config={"client_resources": {"num_cpus": 1, "num_gpus": 0.0}},
    )
    return closed


def pfl_research(rounds: int) -> list[float]:
    """pfl-research with DP-SGD by Opacus at each user, which it has no training of its own for."""
    import torch
    from opacus import GradSampleModule
    from opacus.optimizers import DPOptimizer
    from pfl.aggregate.simulate import SimulatedBackend
    from pfl.algorithm.base import NNAlgorithmParams
    from pfl.algorithm.federated_averaging import FederatedAveraging
    from pfl.callback.base import TrainingProcessCallback
    from pfl.data.dataset import Dataset
    from pfl.data.federated_dataset import FederatedDataset
    from pfl.data.sampling import get_user_sampler
    from pfl.hyperparam import NNTrainHyperParams
    from pfl.metrics import Metrics
    from pfl.model.pytorch import PyTorchModel

    from simulation.learning.models import build_model
    from simulation.learning.params import MlpParams

    torch.set_num_threads(1)
    module: Any = build_model(MlpParams(hidden=(64, 32)), INPUTS, 1)
    loss = torch.nn.functional.binary_cross_entropy_with_logits
    module.loss = lambda x, y: loss(module(x).squeeze(-1), y)
    module.metrics = lambda x, y: {}
    wrapped = GradSampleModule(module, loss_reduction="sum")
    users = {
        h: Dataset([torch.tensor(r.train_x), torch.tensor(r.train_y, dtype=torch.float32)])
        for h, r in ((h, rows(h)) for h in range(HOSPITALS))
    }
    closed: list[float] = []

    class PrivateAveraging(FederatedAveraging):
        def train_one_user(self, initial_model_state, model, user_dataset, central_context):
            del central_context
            x, y = user_dataset.raw_data[0].clone().requires_grad_(), user_dataset.raw_data[1]
            optimizer = DPOptimizer(
                torch.optim.SGD(module.parameters(), lr=RATE), noise_multiplier=1.0,
                max_grad_norm=1.0, expected_batch_size=BATCH,
            )  # fmt: skip
            for _ in range(-(-RECORDS // BATCH)):
                chosen = torch.rand(RECORDS) < BATCH / RECORDS
                optimizer.zero_grad(set_to_none=True)
                loss(wrapped(x[chosen]).squeeze(-1), y[chosen], reduction="sum").backward()
                optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            return model.get_model_difference(initial_model_state), Metrics()

    class Watch(TrainingProcessCallback):
        def after_central_iteration(self, aggregate_metrics, model, *, central_iteration):
            del aggregate_metrics, model, central_iteration
            closed.append(time.perf_counter())
            return False, Metrics()

    data = FederatedDataset(users.__getitem__, get_user_sampler("minimize_reuse", list(users)))
    PrivateAveraging().run(
        NNAlgorithmParams(
            central_num_iterations=rounds, evaluation_frequency=rounds + 1,
            train_cohort_size=COHORT, val_cohort_size=0,
        ),
        SimulatedBackend(training_data=data, val_data=data),
        PyTorchModel(module, torch.optim.SGD, torch.optim.SGD(module.parameters(), lr=1.0)),
        NNTrainHyperParams(
            local_num_epochs=1, local_learning_rate=RATE, local_batch_size=BATCH,
        ),
        callbacks=[Watch()],
    )  # fmt: skip
    return closed


JOBS = {
    "wardchain": wardchain,
    "wardchain-no-ledger": lambda rounds: wardchain(rounds, "ledger=none"),
    "flower-on-ray": flower_on_ray,
    "pfl-research": pfl_research,
}

if __name__ == "__main__":
    who, asked = sys.argv[1], int(sys.argv[2])
    ends = JOBS[who](asked)
    found = {
        "round_s": (ends[-1] - ends[0]) / (len(ends) - 1),
        "total_s": time.perf_counter() - BEGUN,
        "rounds": len(ends),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(found))  # noqa: T201 (the answer)
