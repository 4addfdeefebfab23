"""Flower's Grid on the virtual clock.

``send_and_receive`` runs the simulated world until all replies are in or the round's deadline has
passed, so stock strategies and any user's ServerApp run unchanged, and consensus delay, training
time and bandwidth decide whose update counts.

Training orders form rounds of the ledger protocol: opened before they are sent, closed as soon as
the model that the strategy made of the replies is known. A server app may tell the grid at once
(`model_ready`, which the program's own app does through ``evaluate_fn``); from any other app the
grid learns it from the arrays of its next order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

import simpy
from flwr.app import ArrayRecord, Message, RecordDict
from flwr.serverapp import Grid
from flwr.supercore.run import Run

from simulation.base.ids import NodeId
from simulation.base.tensors import Arrays, read_model
from simulation.base.units import US_PER_S
from simulation.federation.codec import array_record_bytes, pack, unpack
from simulation.federation.identity import (
    RUN_ID,
    SERVER_NODE,
    claim_server_identity,
    delivered,
    flower_node,
    hospital_of,
)
from simulation.nodes.coordinator import Coordinator
from simulation.nodes.exchange import Assignment, Exchange
from simulation.nodes.messages import Reply, is_training

Observer = Callable[[int, Arrays], Mapping[str, float]]
"""Measures a model: (round, arrays) to metric values. It takes no virtual time."""

POLL_US = 100_000
"""Virtual time that one empty-handed `SimGrid.pull_messages` lets pass: an app that polls with
`time.sleep` would otherwise wait for a clock that only moves when asked."""


class SimGrid(Grid):
    """What a ServerApp talks to: the simulated hospitals of one run."""

    def __init__(
        self,
        env: simpy.Environment,
        coordinator: Coordinator,
        hospitals: int,
        observer: Observer,
    ) -> None:
        claim_server_identity()
        self._env = env
        self._coordinator = coordinator
        self._hospitals = hospitals
        self._observer = observer
        self._run = Run.create_empty(RUN_ID)
        self._train_rounds = 0
        self._numbers = 0
        self._pushed: dict[str, tuple[Message, simpy.Process]] = {}
        self._packed: tuple[RecordDict, Assignment] | None = None

    # ---- Flower's interface ---------------------------------------------------------------------

    def set_run(self, run: Run) -> None:
        """Take over Flower's description of the run."""
        self._run = run

    @property
    def run(self) -> Run:
        """Flower's description of the run."""
        return self._run

    def create_message(
        self,
        content: RecordDict,
        message_type: str,
        dst_node_id: int,
        group_id: str,
        ttl: float | None = None,
    ) -> Message:
        """A message from the server to one node."""
        return Message(content, dst_node_id, message_type, ttl=ttl, group_id=group_id)

    def get_node_ids(self) -> Iterable[int]:
        """All hospitals that are members, sorted: sampling waits for ever for who is not listed.

        Between rounds it lets virtual time pass until the changes of membership before the next
        round are carried out.
        """
        if self._coordinator.schedule and self._coordinator.open_round is None:
            settling = self._coordinator.settle(self._train_rounds + 1)
            self._env.run(until=self._env.process(settling))
        return [flower_node(hospital) for hospital in self._coordinator.members(self._hospitals)]

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        """Run the world until all replies are in or ``timeout`` virtual seconds have passed.

        Replies come sorted by hospital, because float addition is not associative and arrival order
        would otherwise change the model. Returns at once for no messages.
        """
        orders = list(messages)
        if not orders:
            return []
        process = self._env.process(self._exchange(orders, timeout))
        replies = cast("dict[NodeId, Reply]", self._env.run(until=process))
        return self._answers(orders, replies)

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Start an exchange for these messages; their ids are good for `pull_messages`."""
        orders = list(messages)
        if not orders:
            return []
        process = self._env.process(self._exchange(orders, None))
        ids: list[str] = []
        for order in orders:
            self._numbers += 1
            identifier = f"message-{self._numbers}"
            self._pushed[identifier] = (order, process)
            ids.append(identifier)
        return ids

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """The replies whose exchange has ended; lets virtual time pass while none has."""
        wanted = [key for key in message_ids if key in self._pushed]
        if wanted and not any(self._pushed[key][1].processed for key in wanted):
            self._env.run(until=self._env.now + POLL_US)
        answers: list[Message] = []
        for key in wanted:
            order, process = self._pushed[key]
            if process.processed:
                del self._pushed[key]
                answers += self._answers([order], cast("dict[NodeId, Reply]", process.value))
        return answers

    # ---- rounds ---------------------------------------------------------------------------------

    def model_ready(self, arrays: ArrayRecord) -> Mapping[str, float]:
        """Close the open round with this model, measure it, and return the measurements."""
        model = array_record_bytes(arrays)
        if self._coordinator.open_round is None:
            return self._observer(self._train_rounds, read_model(model))
        return self._close(model)

    def finish(self, state: RecordDict) -> None:
        """Close a round that is still open with the arrays that the ServerApp has left behind.

        A ServerApp that keeps its result to itself leaves its last aggregate off the ledger.
        """
        records = list(state.array_records.values())
        if self._coordinator.open_round is not None and len(records) == 1:
            self._close(array_record_bytes(records[0]))

    def _close(self, model: bytes) -> Mapping[str, float]:
        self._env.run(until=self._env.process(self._coordinator.close(model)))
        return self._observer(self._train_rounds, read_model(model))

    def _exchange(self, orders: list[Message], timeout: float | None) -> Any:
        self._packed = None
        work = {hospital_of(m.metadata.dst_node_id): self._assignment(m) for m in orders}
        deadline_us = None if timeout is None else round(timeout * US_PER_S)
        first = next(iter(work.values()))
        if self._coordinator.open_round is not None and first.model:
            yield from self._coordinator.close(first.model)
            self._observer(self._train_rounds, read_model(first.model))
        if is_training(first.category):
            self._train_rounds += 1
            return (yield from self._coordinator.train(self._train_rounds, work, deadline_us))
        exchange: Exchange = yield from self._coordinator.exchanges.run(
            self._train_rounds, work, deadline_us
        )
        return exchange.replies

    def _assignment(self, message: Message) -> Assignment:
        """The message's content as bytes; a content that goes to many is packed once."""
        category = message.metadata.message_type
        packed = self._packed
        if packed is None or packed[0] is not message.content or packed[1].category != category:
            model, instructions = pack(message.content)
            packed = self._packed = (message.content, Assignment(category, model, instructions))
        return packed[1]

    def _answers(self, orders: list[Message], replies: Mapping[NodeId, Reply]) -> list[Message]:
        by_hospital = {hospital_of(order.metadata.dst_node_id): order for order in orders}
        return [
            _answer(by_hospital[hospital], replies[hospital])
            for hospital in sorted(by_hospital)
            if hospital in replies
        ]


def _answer(order: Message, reply: Reply) -> Message:
    """The reply as Flower's message, read from the bytes that were checked."""
    asked = order.metadata
    return delivered(
        unpack(reply.model, reply.report),
        message_id=f"reply-{reply.number}-{reply.hospital}",
        src=asked.dst_node_id,
        dst=SERVER_NODE,
        category=asked.message_type,
        group=asked.group_id,
        reply_to=asked.message_id,
    )
