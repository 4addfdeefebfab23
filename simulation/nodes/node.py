"""A node: one attachment to the network and one processor, first in, first out.

What a handler sends leaves when its signature is made, which is work for the processor
(`simulation.nodes.processor`) like everything else that a node does.

The processor is the part of the machine that speaks the protocol. Training runs on other cores and
is no job here: a hospital would otherwise miss every vote while it trains.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar, cast

from simulation.base.ids import NodeId
from simulation.consensus.protocol import Message
from simulation.network.clock import Clock
from simulation.network.network import Network
from simulation.network.parcel import Parcel
from simulation.nodes.costs import CryptoCosts
from simulation.nodes.processor import Processor

M = TypeVar("M", bound=Message)


class Node(Processor):
    """One machine of the federation, attached to the network under its number."""

    def __init__(self, env: Clock, node_id: NodeId, network: Network, costs: CryptoCosts) -> None:
        super().__init__(env, node_id, costs, network.lookahead_us)
        self.network = network
        self.read(network.connect(node_id, self.stir, self.rewind))

    # ---- for whoever lives on the node --------------------------------------------------------

    def on(self, message_type: type[M], handler: Callable[[NodeId, M], object]) -> None:
        """Call ``handler(sender, message)`` for every message of exactly this type."""

        def unpack(parcel: Parcel) -> None:
            handler(parcel.sender, cast(M, parcel.message))

        self._handlers[message_type] = unpack

    def on_parcel(self, message_type: type, handler: Callable[[Parcel], object]) -> None:
        """Like `on`, for a handler that wants the parcel that all receivers share."""
        self._handlers[message_type] = handler

    def send(self, dst: NodeId, message: Message) -> None:
        """Sign a message, then send it; to oneself, it is handled without either."""
        if dst == self.id:
            parcel = Parcel(self.id, message)
            self.run(0, self._handlers.get(message.__class__, self._unexpected), parcel)
            return
        self.broadcast((dst,), message)

    def broadcast(self, dsts: Sequence[NodeId], message: Message) -> None:
        """Sign a message once, then send a copy to each of ``dsts`` in that order."""
        sign_us = self.costs.send_us(message)
        if self._serving:  # as `charge`
            self._free_us += sign_us
            self._busy_us += sign_us
            self.network.broadcast(self.id, dsts, message, self._free_us)
        else:
            self.run(sign_us, self._transmit, (dsts, message))

    def crash(self) -> None:
        """Stop at once: nothing runs, arrives or leaves any more, and what waited is forgotten."""
        self.halt()
        self.network.detach(self.id)

    def recover(self) -> None:
        """Run again, with an empty queue."""
        self.resume()
        self.read(self.network.connect(self.id, self.stir, self.rewind))

    def _transmit(self, outgoing: tuple[Sequence[NodeId], Message]) -> None:
        dsts, message = outgoing
        self.network.broadcast(self.id, dsts, message, self._free_us)
