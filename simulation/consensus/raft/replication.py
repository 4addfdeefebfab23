"""Log replication (§5.3), the commitment rule (§5.4.2) and catching up (§5.3, §7)."""

from __future__ import annotations

from simulation.base.ids import NodeId, ReplicaId
from simulation.base.units import us_from_ms
from simulation.consensus.protocol import Batch, Load, TimerKey
from simulation.consensus.raft.core import HEARTBEAT_TIMER, Core
from simulation.consensus.raft.messages import AppendEntries, AppendReply

MAX_SILENT = 1024
"""So many heartbeats after its last answer, a follower is left alone until there is new work."""


class Replication(Core):
    """Layer 1: the leader's side and the follower's side of AppendEntries."""

    # ---- the leader's side ----------------------------------------------------------------------

    def append_own(self, batch: Batch) -> None:
        """§5.3: the leader appends an entry and sends it to all followers."""
        self.log.append(batch)
        for peer in self.peers:
            self.append_to(peer)
        self.keep_beating()
        self._advance_commit()

    def append_to(self, peer: ReplicaId) -> None:
        """Send a follower what comes next for it; nothing new makes a heartbeat."""
        first = self.next[peer]
        if first <= self.log.base:
            # Its next entry is in the journal only; the one before it tells the term (§7).
            last = min(first + self.params.append_max_entries - 1, self.commit)
            self.out.append(Load(max(1, first - 1), last, ("append", peer, first)))
            return
        last = min(first + self.params.append_max_entries - 1, self.log.last)
        prev_term = self.log.term_at(first - 1)
        assert prev_term is not None
        self._append(peer, first - 1, prev_term, self.log.entries(first, last))

    def on_loaded(self, first: int, batches: tuple[Batch, ...], token: TimerKey) -> None:
        """The journal has answered: send the stretch to the follower that lacks it."""
        match token:
            case ("append", int(peer), int(wanted)) if self.role == "leader" and batches:
                if wanted == first:
                    self._append(peer, 0, 0, batches)
                elif wanted == first + 1:
                    self._append(peer, first, batches[0].view, batches[1:])
            case _:
                pass

    def _append(self, peer: ReplicaId, prev: int, prev_term: int, batch: tuple[Batch, ...]) -> None:
        self.next[peer] = prev + 1 + len(batch)
        self.sent_us[peer] = self.now_us
        self.send(peer, AppendEntries(self.term, prev, prev_term, batch, self.commit))

    def is_behind(self, peer: ReplicaId) -> bool:
        """Whether a follower is not known to have all that the leader has."""
        return self.match[peer] < self.log.last or self.known_commit[peer] < self.commit

    def keep_beating(self) -> None:
        """Run the heartbeat timer while any follower that may be alive is waited for."""
        if (
            self.role == "leader"
            and HEARTBEAT_TIMER not in self.timers
            and any(self.is_behind(peer) and self.silent[peer] < MAX_SILENT for peer in self.peers)
        ):
            self.set_timer(HEARTBEAT_TIMER, us_from_ms(self.params.heartbeat_ms))

    def on_heartbeat_timer(self) -> None:
        """§5.2, §5.3: send again to who has not answered, less and less often."""
        if self.role != "leader":
            return
        unfinished = self.log.last > self.commit
        for peer in self.peers:
            behind = self.is_behind(peer)
            stands = behind and self.match[peer] == self.stood_at[peer]
            self.stood_at[peer] = self.match[peer] if behind else -1
            waited_us = self.now_us - self.sent_us[peer]
            # A follower that gets entries and acknowledges them needs no heartbeat on top.
            quiet = waited_us >= us_from_ms(self.params.heartbeat_ms)
            if not stands and not (quiet and (unfinished or behind)):
                continue
            self.silent[peer] += 1
            if self.silent[peer] & (self.silent[peer] - 1) == 0:
                self.next[peer] = self.match[peer] + 1
                self.append_to(peer)
        self.keep_beating()

    def on_append_reply(self, peer: ReplicaId, message: AppendReply) -> None:
        """§5.3: a follower has answered, or says that it is back."""
        if self.role != "leader" or message.term > self.term:
            return
        self.silent[peer] = 0
        if message.term == self.term and message.agrees:
            self.probed[peer] = (0, 0)
            self.match[peer] = max(self.match[peer], min(message.index, self.log.last))
            self.known_commit[peer] = max(self.known_commit[peer], message.commit)
            self.next[peer] = max(self.next[peer], self.match[peer] + 1)
            self._advance_commit()
            if self.next[peer] <= self.log.last:
                self.append_to(peer)
        else:
            self._probe(peer, min(message.index, self.log.last) + 1)
        self.keep_beating()

    def _probe(self, peer: ReplicaId, first: int) -> None:
        """§5.3: the logs do not match there; try further back, but not twice for one gap."""
        probed, at_us = self.probed[peer]
        again_us = at_us + us_from_ms(self.params.heartbeat_ms)
        if probed == first and self.now_us < again_us:
            return
        self.probed[peer] = (first, self.now_us)
        self.next[peer] = first
        self.append_to(peer)

    def _advance_commit(self) -> None:
        """§5.3, §5.4.2: committed is what a majority stores, if an entry of this term is in it."""
        stored = sorted([self.log.last, *(self.match[peer] for peer in self.peers)], reverse=True)
        index = stored[self.majority - 1]
        if index <= self.commit or self.log.term_at(index) != self.term:
            return
        self.decide_up_to(index)
        self.after_commit()
        if self.log.last == self.commit == index:
            # Nothing is under way that could carry the new commit index, so it goes by itself.
            for peer in self.peers:
                self.append_to(peer)
            self.keep_beating()

    def after_commit(self) -> None:
        """The pipeline has room again."""

    # ---- the follower's side --------------------------------------------------------------------

    def follow(self, leader: NodeId, message: AppendEntries) -> None:
        """§5.3: the receiver's steps 2 to 5, for a message of the current term."""
        if message.prev_index > self.log.last:
            # What comes before it may only be slower: while in step, wait for it.
            in_step = self.in_step and len(self.early) < self.params.pipeline
            if in_step:
                self.early[message.prev_index] = message
            else:
                self.reply(leader, False, self.log.last)
            return
        if message.prev_index > self.commit:
            found = self.log.term_at(message.prev_index)
            if found != message.prev_term:
                self.reply(leader, False, self._before_term(message.prev_index, found))
                return
        self.in_step = True
        self._store(message)
        while self.early and min(self.early) <= self.agreed:
            self._store(self.early.pop(min(self.early)))
        self.reply(leader, True, self.agreed)

    def reply(self, leader: NodeId, agrees: bool, index: int) -> None:
        """Answer a leader."""
        self.send(leader, AppendReply(self.term, agrees, index, self.commit))

    def _before_term(self, index: int, term: int | None) -> int:
        """§5.3: skip all entries of the conflicting term at once; never below what is committed."""
        while index > self.commit and self.log.term_at(index) == term:
            index -= 1
        return index

    def _store(self, message: AppendEntries) -> None:
        """§5.3: delete what conflicts, append what is new, then commit what the leader has."""
        index = message.prev_index
        for batch in message.entries:
            index += 1
            # Committed entries are the same everywhere (§5.4.3): no need to compare.
            if index <= self.commit:
                continue
            found = self.log.term_at(index)
            if found is not None and found != batch.view:
                self.log.truncate(index)
                found = None
            if found is None:
                self.log.append(batch)
        self.agreed = max(self.agreed, index, self.commit)
        self.decide_up_to(min(message.commit, self.agreed, self.log.last))
