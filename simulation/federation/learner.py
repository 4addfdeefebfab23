"""A hospital's private side under Flower: its ClientApp, its Context, its generators.

The ClientApp runs unchanged. Around each call the global generators (Python's, NumPy's, PyTorch's)
are set from the hospital's own named stream and put back afterwards, so that any user's app is
reproducible and no hospital's draws depend on another's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from flwr.app import Context, RecordDict
from flwr.clientapp import ClientApp

from simulation.base.ids import NodeId
from simulation.base.rng import Streams
from simulation.federation.codec import examples_in, pack, unpack
from simulation.federation.identity import SERVER_NODE, delivered, flower_node
from simulation.federation.setting import acting_for
from simulation.learning.globals import seeded_globals
from simulation.nodes.learner import Product
from simulation.nodes.messages import Order
from simulation.nodes.update_check import root_of

DurationUs = Callable[[NodeId, Order], int]
Foresee = Callable[[Context], int | None]
"""The ε of a hospital's whole history in millionths, if it trained once more; None: unknown."""
Announce = Callable[[NodeId, Order], None]
"""Tells whoever computes that a hospital has begun to work on an order."""

PRIVACY_RECORD = "privacy"
"""The config record in which a ClientApp declares the privacy of its update, in whole numbers."""


class ClientAppError(RuntimeError):
    """A ClientApp has returned something that is no reply."""


@dataclass(slots=True)
class _Job:
    learner: FlowerLearner
    order: Order
    duration_us: int

    def result(self) -> Product:
        return self.learner.work(self.order)


class FlowerLearner:
    """Runs one hospital's ClientApp on the orders that reach it."""

    def __init__(
        self,
        hospital: NodeId,
        app: ClientApp,
        context: Context,
        streams: Streams,
        duration_us: DurationUs,
        announce: Announce,
        foresee: Foresee = lambda _: None,
    ) -> None:
        self._hospital = hospital
        self._app = app
        self._context = context
        self._streams = streams
        self._duration_us = duration_us
        self._announce = announce
        self._foresee = foresee

    def foresee(self) -> int | None:
        """What the hospital's account would stand at after one more training."""
        return self._foresee(self._context)

    def begin(self, order: Order) -> _Job:
        """Start on an order; its virtual duration comes from the cost model."""
        if order.trains:
            self._announce(self._hospital, order)
        return _Job(self, order, self._duration_us(self._hospital, order))

    def work(self, order: Order) -> Product:
        """Call the ClientApp and turn its reply into bytes.

        Raises:
            ClientAppError: when the reply is an error or carries no content.
            Exception: whatever the ClientApp raises.
        """
        message = delivered(
            unpack(order.model, order.instructions),
            message_id=str(order.number),
            src=SERVER_NODE,
            dst=flower_node(self._hospital),
            category=order.category,
            group=str(order.round),
        )
        seed = self._streams.integer("client-app", self._hospital, order.number)
        with seeded_globals(seed), acting_for(self._hospital):
            reply = self._app(message, self._context)
        if not reply.has_content():
            raise ClientAppError(f"the ClientApp replied with an error: {reply.error.reason}")
        return product_of(reply.content)


def product_of(content: RecordDict) -> Product:
    """A reply's content as canonical bytes, its declared weight and its privacy claim."""
    model, report = pack(content)
    declared = content.config_records.get(PRIVACY_RECORD)
    claim = None
    if declared is not None:
        claim = {k: v for k, v in declared.items() if isinstance(v, (int, str))}
    return Product(
        model=model,
        root=root_of(model) if model else b"",
        report=report,
        examples=examples_in(content),
        claim=claim,
    )
