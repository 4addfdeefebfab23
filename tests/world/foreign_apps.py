"""Apps as a Flower user who has never heard of this program would write them: NumPy, no torch."""

from __future__ import annotations

import random
from collections.abc import Iterable

import numpy as np
from flwr.app import (
    Array,
    ArrayRecord,
    ConfigRecord,
    Context,
    Message,
    MessageType,
    MetricRecord,
    RecordDict,
)
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

client_app = ClientApp()
failing_client_app = ClientApp()
server_app = ServerApp()
polling_server_app = ServerApp()
secretive_server_app = ServerApp()


@client_app.train()
def train(message: Message, context: Context) -> Message:
    """Adds its number and a little global randomness to every weight; remembers its calls."""
    calls = 1 + int(context.state.get("calls", MetricRecord({"n": 0}))["n"])
    context.state["calls"] = MetricRecord({"n": calls})
    who = int(context.node_config["partition-id"])
    noise = np.random.random() + random.random()  # noqa: NPY002
    arrays = {
        name: Array(array.numpy() + who + noise)
        for name, array in message.content["arrays"].items()
    }
    metrics = MetricRecord({"num-examples": 10 + who, "calls": calls})
    return Message(
        RecordDict({"arrays": ArrayRecord(arrays), "metrics": metrics}), reply_to=message
    )


@client_app.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    total = float(sum(array.numpy().sum() for array in message.content["arrays"].values()))
    metrics = MetricRecord({"num-examples": 10, "total": total})
    return Message(RecordDict({"metrics": metrics}), reply_to=message)


@client_app.query("hello")
def hello(message: Message, context: Context) -> Message:
    greeting = ConfigRecord({"from": f"site {context.node_config['partition-id']}"})
    return Message(RecordDict({"greeting": greeting}), reply_to=message)


@failing_client_app.train()
def fail(message: Message, context: Context) -> Message:
    if context.node_config["partition-id"] == 2 and message.content["config"]["server-round"] == 2:
        raise ZeroDivisionError("the third hospital's disk is full")
    return train(message, context)


def initial() -> ArrayRecord:
    return ArrayRecord({"w": Array(np.zeros((2, 3), dtype=np.float32))})


@server_app.main()
def main(grid: Grid, context: Context) -> None:
    """FedAvg with evaluation on the clients, two rounds of its own choosing."""
    result = FedAvg(min_available_nodes=4).start(grid, initial(), num_rounds=2)
    assert result.evaluate_metrics_clientapp[2]["total"] != 0
    context.state["arrays"] = result.arrays


@secretive_server_app.main()
def keep_to_itself(grid: Grid, context: Context) -> None:
    FedAvg(fraction_evaluate=0.0, min_available_nodes=4).start(grid, initial(), num_rounds=1)


@polling_server_app.main()
def poll(grid: Grid, context: Context) -> None:
    """Pushes, polls, and never uses a strategy."""
    nodes = list(grid.get_node_ids())
    messages = [
        grid.create_message(RecordDict(), f"{MessageType.QUERY}.hello", node, "1") for node in nodes
    ]
    waiting = set(grid.push_messages(messages))
    answers: list[Message] = []
    while len(answers) < len(nodes):
        found: Iterable[Message] = grid.pull_messages(waiting)
        answers += list(found)
    context.state["greetings"] = ConfigRecord(
        {"all": [str(answer.content["greeting"]["from"]) for answer in answers]}
    )
