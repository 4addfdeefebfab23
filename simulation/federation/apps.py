"""The program's ClientApp and ServerApp, written as any Flower user would write them.

Nothing in here knows of SimPy, consensus or a ledger; the same objects run on the virtual clock and
under Flower's own runtime. A hospital's privacy account lives in its Flower context, as data, and
travels nowhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from flwr.app import (
    ArrayRecord,
    ConfigRecord,
    Context,
    Message,
    MetricRecord,
    RecordDict,
)
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp

from simulation.base.tensors import Arrays
from simulation.federation.arrays import from_record, to_record
from simulation.federation.learner import PRIVACY_RECORD
from simulation.federation.setting import Setting
from simulation.federation.steering import STOPPED_RECORD, Steered
from simulation.federation.strategies import build_strategy
from simulation.learning.engines.task import Task
from simulation.learning.metrics import ALWAYS_DEFINED, measure
from simulation.learning.train import Trainer
from simulation.learning.update import Spend

SettingOf = Callable[[Mapping[str, object]], Setting]
"""Finds the setting of an app from the run config that Flower hands it."""

_HISTORY = "privacy-history"

SMALL_COHORT = 10
"""Cohorts up to this size are told apart by nobody."""


def make_client_app(setting_of: SettingOf) -> ClientApp:
    """A ClientApp that trains and evaluates with the hospital's own `Trainer`."""
    app = ClientApp()

    @app.train()
    def train(message: Message, context: Context) -> Message:  # pyright: ignore[reportUnusedFunction]
        trainer = _trainer(context, setting_of)
        task = training_task(message.content)
        history = _read_history(context)
        update = trainer.train(task.arrays, task.round, history, task.proximal_mu)
        content = RecordDict(
            {
                "arrays": to_record(update.arrays),
                "metrics": MetricRecord({"num-examples": declared_size(update.examples)}),
            }
        )
        if update.spent is not None and trainer.plan is not None:
            history.append(update.spent)
            _write_history(context, history)
            content[PRIVACY_RECORD] = ConfigRecord(dict(trainer.plan.entry(history)))
        return Message(content, reply_to=message)

    @app.evaluate()
    def evaluate(message: Message, context: Context) -> Message:  # pyright: ignore[reportUnusedFunction]
        labels, probabilities = _trainer(context, setting_of).scores(_arrays(message.content))
        found = measure(labels, probabilities)
        # Strategies want the same keys from every hospital, and AUROC needs both classes.
        metrics: dict[str, Any] = {"num-examples": len(labels)}
        metrics |= {name: found[name] for name in ALWAYS_DEFINED}
        return Message(RecordDict({"metrics": MetricRecord(metrics)}), reply_to=message)

    return app


def declared_size(records: int) -> int:
    """The number of training records that a hospital declares as the weight of its update.

    Weights go on the ledger for ever, and the exact size of a small cohort may point to a person:
    one of up to ten records is declared as ten. (The sampling rate in a privacy claim still tells
    it where batches are expected to be smaller than the cohort.) Source: the cell size suppression
    policy of the Centers for Medicare & Medicaid Services, which publishes no count from 1 to 10.
    """
    return max(records, SMALL_COHORT)


def make_server_app(setting_of: SettingOf) -> ServerApp:
    """A ServerApp that runs the configured strategy, selection and early stop."""
    app = ServerApp()

    @app.main()
    def main(grid: Grid, context: Context) -> None:  # pyright: ignore[reportUnusedFunction]
        setting = setting_of(context.run_config)
        federation = setting.federation
        # On the virtual clock the grid measures every new model itself, at no cost; elsewhere the
        # hospitals are asked to evaluate, which sends their metrics out.
        model_ready: Callable[[ArrayRecord], dict[str, float]] | None
        model_ready = getattr(grid, "model_ready", None)

        def evaluate_fn(server_round: int, arrays: ArrayRecord) -> MetricRecord | None:
            del server_round
            return None if model_ready is None else MetricRecord(dict(model_ready(arrays)))

        inner = build_strategy(federation, setting.hospitals, model_ready is None, setting.central)
        strategy = Steered(inner, federation, setting.streams)
        result = strategy.start(
            grid=grid,
            initial_arrays=to_record(setting.initial),
            num_rounds=federation.rounds,
            timeout=federation.round_deadline_s,
            evaluate_fn=evaluate_fn,
        )
        context.state["arrays"] = result.arrays
        if strategy.stopped is not None:
            context.state[STOPPED_RECORD] = strategy.stopped

    return app


def training_task(content: RecordDict) -> Task:
    """What a training order asks for, as the ClientApp reads it."""
    config = next(iter(content.config_records.values()), ConfigRecord())
    return Task(
        _arrays(content),
        int(cast(int, config.get("server-round", 1))),
        float(cast(float, config.get("proximal-mu", 0.0))),
    )


def _trainer(context: Context, setting_of: SettingOf) -> Trainer:
    return setting_of(context.run_config).trainer_of(int(context.node_config["partition-id"]))


def _arrays(content: RecordDict) -> Arrays:
    return from_record(next(iter(content.array_records.values())))


def foreseen_epsilon_e6(trainer: Trainer, context: Context) -> int | None:
    """ε of a hospital's whole history in millionths, if it trained once more; None without DP.

    The number that the hospital would declare, so that it and the ledger never disagree.
    """
    if trainer.plan is None:
        return None
    entry = trainer.plan.entry([*_read_history(context), trainer.plan.release])
    return int(entry["epsilon_e6"])


def _read_history(context: Context) -> list[Spend]:
    if _HISTORY not in context.state:
        return []
    record = cast("dict[str, list[Any]]", context.state[_HISTORY])
    columns = (record["sigma"], record["sampling-rate"], record["steps"])
    return [Spend(*row) for row in zip(*columns, strict=True)]


def _write_history(context: Context, history: list[Spend]) -> None:
    context.state[_HISTORY] = ConfigRecord(
        {
            "sigma": [spend.sigma for spend in history],
            "sampling-rate": [spend.sampling_rate for spend in history],
            "steps": [spend.steps for spend in history],
        }
    )
