"""The replicated log (§5.3): batches by index from 1; a prefix of committed ones may be cut off.

An entry is a batch: its term is `Batch.view`, its index is the sequence number of its decision.
"""

from __future__ import annotations

from simulation.consensus.protocol import Batch


class Log:
    """Entries ``base + 1`` to ``last``; those up to ``base`` are in the journal only (§7)."""

    def __init__(self) -> None:
        self.base = 0
        self.base_term = 0
        self._entries: list[Batch] = []

    @property
    def last(self) -> int:
        """Index of the last entry; 0 when there was none yet."""
        return self.base + len(self._entries)

    @property
    def last_term(self) -> int:
        """Term of the last entry; 0 when there was none yet."""
        return self._entries[-1].view if self._entries else self.base_term

    def term_at(self, index: int) -> int | None:
        """Term of an entry; None when it is not here."""
        if index == self.base:
            return self.base_term
        if self.base < index <= self.last:
            return self._entries[index - self.base - 1].view
        return None

    def entry(self, index: int) -> Batch:
        """An entry above the base."""
        return self._entries[index - self.base - 1]

    def entries(self, first: int, last: int) -> tuple[Batch, ...]:
        """Entries ``first`` to ``last``, all above the base."""
        return tuple(self._entries[first - self.base - 1 : last - self.base])

    def append(self, batch: Batch) -> None:
        """Add an entry at the end."""
        self._entries.append(batch)

    def truncate(self, first: int) -> None:
        """Remove the entry ``first``, above the base, and all that follow it (§5.3)."""
        del self._entries[first - self.base - 1 :]

    def compact(self, index: int) -> None:
        """Cut off the entries up to ``index``, which must be decided."""
        self.base_term = self.entry(index).view
        del self._entries[: index - self.base]
        self.base = index

    def copy(self) -> Log:
        """An independent copy."""
        other = Log()
        other.base, other.base_term = self.base, self.base_term
        other._entries = list(self._entries)
        return other
