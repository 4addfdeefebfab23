"""What travels between nodes besides the votes of consensus.

Each message says how long it is on the wire, how many signatures its receiver checks and how many
bytes it hashes, so that the host can charge links and processors without looking inside.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from simulation.base.digest import DIGEST_BYTES
from simulation.consensus.protocol import HEADER_BYTES, SIGNATURE_BYTES, Request
from simulation.ledger.block import Attestation, Block, Certificate

ENVELOPE_BYTES = HEADER_BYTES + SIGNATURE_BYTES


def is_training(category: str) -> bool:
    """Whether orders of this category ask for a model update (``train`` or ``train.<action>``)."""
    return category.partition(".")[0] == "train"


@dataclass(frozen=True, slots=True)
class Submit:
    """A node outside the replica set asks a replica to get its request ordered."""

    kind: ClassVar[str] = "submit"
    request: Request

    @property
    def size_bytes(self) -> int:
        return self.request.size_bytes

    @property
    def verifications(self) -> int:
        return 1

    @property
    def hashed_bytes(self) -> int:
        return len(self.request.payload)


@dataclass(frozen=True, slots=True)
class Attest:
    """A replica's signature on the header of a block that it has executed."""

    kind: ClassVar[str] = "attestation"
    attestation: Attestation

    @property
    def size_bytes(self) -> int:
        return HEADER_BYTES + DIGEST_BYTES + SIGNATURE_BYTES

    @property
    def verifications(self) -> int:
        return 1

    @property
    def hashed_bytes(self) -> int:
        return DIGEST_BYTES


@dataclass(frozen=True, slots=True)
class PushBlock:
    """A replica hands a certified block to a node that follows the ledger."""

    kind: ClassVar[str] = "block"
    block: Block
    certificate: Certificate
    epoch: int = 0
    """The newest epoch whose beginning the sender holds under a certificate."""

    @property
    def size_bytes(self) -> int:
        return HEADER_BYTES + self.block.size_bytes + self.certificate.size_bytes

    @property
    def verifications(self) -> int:
        """Its sender's. The certificate costs whoever needs it: f + 1 replicas send one block."""
        return 1

    @property
    def hashed_bytes(self) -> int:
        return self.block.size_bytes


@dataclass(frozen=True, slots=True)
class Order:
    """The coordinator asks a hospital to work on a model: train, evaluate or query."""

    kind: ClassVar[str] = "order"
    number: int
    """Identifies the order within the run; the reply repeats it."""
    round: int
    category: str
    """Flower's message type: ``train``, ``evaluate`` or ``query``, with an optional ``.action``."""
    model: bytes
    """Canonical bytes of the arrays."""
    instructions: bytes
    """Canonical bytes of everything else in the order."""
    sent_us: int

    @property
    def trains(self) -> bool:
        """Whether the reply is a model update, which has to be committed."""
        return is_training(self.category)

    @property
    def size_bytes(self) -> int:
        return ENVELOPE_BYTES + len(self.model) + len(self.instructions)

    @property
    def verifications(self) -> int:
        return 1

    @property
    def hashed_bytes(self) -> int:
        return self.size_bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """A hospital's answer.

    A training order's leaves as a `SealedUpdate` where there is a ledger, and this is what whoever
    opens that has in hand: the committed update and the opening's salt.
    """

    kind: ClassVar[str] = "update"
    number: int
    round: int
    hospital: int
    model: bytes
    """Canonical bytes of the updated arrays; empty when the reply carries none."""
    report: bytes
    """Canonical bytes of everything else: the declared counts."""
    salt: bytes
    """Opens the commitment; empty without a ledger."""
    sent_us: int
    refused: str = ""
    """Why there is no result; empty when there is one."""

    @property
    def size_bytes(self) -> int:
        return ENVELOPE_BYTES + len(self.model) + len(self.report) + len(self.salt)

    @property
    def verifications(self) -> int:
        return 1

    @property
    def hashed_bytes(self) -> int:
        return self.size_bytes


@dataclass(frozen=True, slots=True)
class SealedUpdate:
    """A hospital's committed update as it leaves: the object that vaults store, and its opening."""

    kind: ClassVar[str] = "sealed-update"
    number: int
    """Of the order that it answers."""
    round: int
    hospital: int
    sealed: bytes
    """The object: an envelope, or the model's canonical bytes where nothing is encrypted."""
    key: bytes
    """The object's key, wrapped for the receiver; empty where nothing is encrypted."""
    report: bytes
    """Canonical bytes of everything else: the declared counts."""
    salt: bytes
    """Opens the commitment."""
    sent_us: int

    @classmethod
    def of(cls, reply: Reply, sealed: bytes, key: bytes) -> SealedUpdate:
        """An update on its way to one receiver, with its model sealed."""
        return cls(
            reply.number, reply.round, reply.hospital, sealed, key, reply.report, reply.salt,
            reply.sent_us,
        )  # fmt: skip

    def opened(self, model: bytes) -> Reply:
        """The update with its model as it is."""
        return Reply(
            self.number, self.round, self.hospital, model, self.report, self.salt, self.sent_us
        )

    @property
    def size_bytes(self) -> int:
        content = (self.sealed, self.key, self.report, self.salt)
        return ENVELOPE_BYTES + sum(map(len, content))

    @property
    def verifications(self) -> int:
        return 1

    @property
    def hashed_bytes(self) -> int:
        return self.size_bytes


@dataclass(frozen=True, slots=True)
class Holding:
    """A replica has checked an update, keeps its bytes, and signs for both."""

    kind: ClassVar[str] = "holding"
    round: int
    hospital: int
    """Whose update it is."""
    signature: bytes
    """Of `simulation.contracts.commitments.holding`."""

    @property
    def size_bytes(self) -> int:
        return HEADER_BYTES + SIGNATURE_BYTES

    @property
    def verifications(self) -> int:
        return 1

    @property
    def hashed_bytes(self) -> int:
        return DIGEST_BYTES


@dataclass(frozen=True, slots=True)
class Fetch:
    """A node asks a holder for an update that it lacks, or an owner asks for a signature."""

    kind: ClassVar[str] = "fetch"
    round: int
    hospital: int
    signature: bool = False
    """Whether what is lacking is the holder's signature, not the bytes."""

    @property
    def size_bytes(self) -> int:
        return ENVELOPE_BYTES

    @property
    def verifications(self) -> int:
        return 1

    @property
    def hashed_bytes(self) -> int:
        return 0


@dataclass(frozen=True, slots=True)
class Fetched:
    """A holder hands out an object that it has checked; the receiver checks it again."""

    kind: ClassVar[str] = "fetched"
    update: SealedUpdate
    """With the object's key as the holder has wrapped it for the receiver."""

    @property
    def size_bytes(self) -> int:
        return ENVELOPE_BYTES + self.update.size_bytes

    @property
    def verifications(self) -> int:
        return 1

    @property
    def hashed_bytes(self) -> int:
        return self.update.size_bytes
