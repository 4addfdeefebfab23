"""The messages of Raft (Figure 2), and a client's request on its way to the leader.

Replicas that may crash but not lie need no signatures: links are authenticated, and nothing is
passed on as proof. Only the client's request carries one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Union

from simulation.consensus.messages import RequestMessage
from simulation.consensus.protocol import HEADER_BYTES, Batch, is_well_formed

_MAX = 2**62
_NUMBER_BYTES = 8


def _fit(*numbers: int) -> bool:
    return all(0 <= number < _MAX for number in numbers)


@dataclass(frozen=True, slots=True)
class AppendEntries:
    """AppendEntries (Figure 2): entries to store after ``prev_index``; none for a heartbeat.

    An entry is a batch, and its term is `Batch.view`.
    """

    kind: ClassVar[str] = "append-entries"
    verifications = 0
    hashed_bytes = 0

    term: int
    prev_index: int
    prev_term: int
    entries: tuple[Batch, ...]
    commit: int
    """The leader's commitIndex."""
    sound: bool = field(init=False, repr=False, compare=False, default=False)
    """Every number fits its encoding."""

    def __post_init__(self) -> None:
        sound = _fit(self.term, self.prev_index, self.prev_term, self.commit) and all(
            is_well_formed(entry) and entry.view <= self.term for entry in self.entries
        )
        object.__setattr__(self, "sound", sound)

    @property
    def size_bytes(self) -> int:
        """Framing, three numbers and the entries."""
        return HEADER_BYTES + 3 * _NUMBER_BYTES + sum(entry.size_bytes for entry in self.entries)


@dataclass(frozen=True, slots=True)
class AppendReply:
    """The answer to AppendEntries; unasked, it says that the sender is back and may be behind."""

    kind: ClassVar[str] = "append-reply"
    size_bytes = HEADER_BYTES + 2 * _NUMBER_BYTES
    verifications = 0
    hashed_bytes = 0

    term: int
    agrees: bool
    """Whether the follower's log matches the leader's up to ``index``."""
    index: int
    """When it does not agree: where to try again, one entry after this one (§5.3)."""
    commit: int
    """The follower's own commitIndex."""
    sound: bool = field(init=False, repr=False, compare=False, default=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sound", _fit(self.term, self.index, self.commit))


@dataclass(frozen=True, slots=True)
class RequestVote:
    """RequestVote (Figure 2): a candidate and how up to date its log is."""

    kind: ClassVar[str] = "request-vote"
    size_bytes = HEADER_BYTES + 2 * _NUMBER_BYTES
    verifications = 0
    hashed_bytes = 0

    term: int
    last_index: int
    last_term: int
    sound: bool = field(init=False, repr=False, compare=False, default=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sound", _fit(self.term, self.last_index, self.last_term))


@dataclass(frozen=True, slots=True)
class Vote:
    """The answer to RequestVote."""

    kind: ClassVar[str] = "vote"
    size_bytes = HEADER_BYTES + 1
    verifications = 0
    hashed_bytes = 0

    term: int
    granted: bool
    sound: bool = field(init=False, repr=False, compare=False, default=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sound", _fit(self.term))


RaftMessage = Union[RequestMessage, AppendEntries, AppendReply, RequestVote, Vote]

MESSAGES: tuple[type, ...] = (RequestMessage, AppendEntries, AppendReply, RequestVote, Vote)
