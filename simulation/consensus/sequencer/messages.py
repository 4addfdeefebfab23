"""The two messages of the sequencer: a request on its way there, an order on its way back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Union

from simulation.consensus.messages import RequestMessage
from simulation.consensus.protocol import (
    HEADER_BYTES,
    SIGNATURE_BYTES,
    Batch,
    is_well_formed,
)


@dataclass(frozen=True, slots=True)
class Order:
    """The orderer has given ``batch`` the number ``seq``."""

    kind: ClassVar[str] = "order"
    verifications = 1

    seq: int
    batch: Batch
    sound: bool = field(init=False, repr=False, compare=False, default=False)
    """Every number in the batch fits its encoding."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "sound", is_well_formed(self.batch))

    @property
    def size_bytes(self) -> int:
        """Framing, a signature and the batch."""
        return HEADER_BYTES + SIGNATURE_BYTES + self.batch.size_bytes

    @property
    def hashed_bytes(self) -> int:
        """The whole batch."""
        return self.batch.size_bytes


SequencerMessage = Union[RequestMessage, Order]

MESSAGES: tuple[type, ...] = (RequestMessage, Order)
