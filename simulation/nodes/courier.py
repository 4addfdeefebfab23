"""Orders and replies across a network that loses messages: repeated until acknowledged.

There is no TCP below the modelled network, so whoever needs a message to arrive repeats it.
Consensus does so for its own; this does it for models. In a network that loses nothing it adds
nothing: no receipt, no timer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeVar

from simulation.base.ids import NodeId
from simulation.base.units import US_PER_S
from simulation.nodes.messages import ENVELOPE_BYTES, Order, Reply, SealedUpdate
from simulation.nodes.node import Node
from simulation.nodes.timers import Timers

RETRY_US = 5 * US_PER_S
"""When a message without a receipt is sent again; the wait doubles, up to `LONGEST_US`."""
LONGEST_US = 60 * US_PER_S
TRIES = 12
"""How often a message is sent at most: a receiver that is down for ten minutes misses it."""

P = TypeVar("P", Order, Reply, SealedUpdate)
Carried = Order | Reply | SealedUpdate
_Key = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Receipt:
    """An order or a reply has arrived."""

    kind: ClassVar[str] = "receipt"
    what: str
    """The kind of the message that has arrived."""
    number: int
    """Its number."""

    @property
    def size_bytes(self) -> int:
        return ENVELOPE_BYTES

    @property
    def verifications(self) -> int:
        return 1

    @property
    def hashed_bytes(self) -> int:
        return 0


class Courier:
    """Carries the orders and replies of one node.

    Args:
        node: whose.
        repeats: whether to ask for receipts, and to repeat what gets none.
    """

    def __init__(self, node: Node, repeats: bool) -> None:
        self._node = node
        self._repeats = repeats
        self._open: dict[_Key, tuple[Carried, int]] = {}
        """What has no receipt yet, and how often it was sent; by kind, number and receiver."""
        self._seen: set[tuple[NodeId, str, int]] = set()
        self._timers = Timers(node.env, self._retry)
        if repeats:
            node.on(Receipt, self._on_receipt)

    def broadcast(self, dsts: Sequence[NodeId], message: Carried) -> None:
        """Send a message to each of ``dsts``."""
        self._node.broadcast(dsts, message)
        if self._repeats:
            for dst in dsts:
                key = (message.kind, message.number, dst)
                self._open[key] = (message, 1)
                self._timers.set(key, RETRY_US)

    def forget(self, what: str, number: int) -> None:
        """Stop repeating the messages of this kind and number: nobody needs them any more."""
        for key in [key for key in self._open if key[:2] == (what, number)]:
            del self._open[key]
            self._timers.cancel(key)

    def on(self, message_type: type[P], handler: Callable[[NodeId, P], object]) -> None:
        """Call ``handler(sender, message)`` once for every message of this type."""

        def receive(sender: NodeId, message: P) -> None:
            self._node.send(sender, Receipt(message.kind, message.number))
            key = (sender, message.kind, message.number)
            if key not in self._seen:
                self._seen.add(key)
                handler(sender, message)

        self._node.on(message_type, receive if self._repeats else handler)

    def _on_receipt(self, sender: NodeId, receipt: Receipt) -> None:
        key = (receipt.what, receipt.number, sender)
        if self._open.pop(key, None) is not None:
            self._timers.cancel(key)

    def _retry(self, key: _Key, ticket: int) -> None:
        if not self._timers.take(key, ticket):
            return
        message, tries = self._open.pop(key)
        if tries < TRIES:
            self._open[key] = (message, tries + 1)
            self._node.broadcast((int(key[-1]),), message)
            self._timers.set(key, min(RETRY_US << tries, LONGEST_US))

    # ---- a crash --------------------------------------------------------------------------------

    def crash(self, lose_memory: bool) -> None:
        """What was under way is lost; what had arrived stays known, so that it is not done twice.

        A hospital notes an order on disk before it acts on it, whatever else it forgets.
        """
        del lose_memory
        self._open.clear()
        self._timers.clear()

    def restore(self) -> None:
        """Nothing comes back."""

    def resume(self) -> None:
        """Nothing goes on."""
