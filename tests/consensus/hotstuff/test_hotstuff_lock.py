"""Why the lock is there: a schedule that forks whoever ignores it, and nobody who does not."""

from __future__ import annotations

import pytest

from simulation.consensus.hotstuff.blocks import GENESIS_QC, Block
from simulation.consensus.hotstuff.messages import Proposal
from simulation.consensus.hotstuff.replica import HotStuffReplica
from simulation.consensus.protocol import Batch
from tests.consensus.hotstuff.bench import QUICK
from tests.consensus.stage import Stage


class IgnoresLock(HotStuffReplica):
    """A block is voted for whatever this replica is locked on."""

    def is_safe(self, block: Block) -> bool:
        del block
        return True


class Forks(IgnoresLock):
    """A leader that begins its view on the genesis, whatever others have shown it."""

    def make_child(self, round_: int, batch: Batch) -> Block:
        known = self.high
        if known.round != round_ - 1:
            self.high = GENESIS_QC
        block = super().make_child(round_, batch)
        self.high = known
        return block


@pytest.mark.parametrize("build", [HotStuffReplica, IgnoresLock])
def test_who_is_locked_does_not_help_to_fork(build: type[HotStuffReplica]) -> None:
    """Theorem 2: replica 1 alone has seen the certificate that commits a block, then it is cut off.

    The others are locked on that block, so a liar who leads next gets no votes for a fork.
    """
    stage = Stage(QUICK, outsiders=[2])
    for i, made in enumerate((build, build, Forks, build)):
        stage.cores[i] = made(i, 4, QUICK)
    stage.tap = lambda src, dst, x: None if src == 1 and isinstance(x, Proposal) else 0
    stage.request(0, 0)
    stage.run(500_000, lambda: bool(stage.journals[1]))
    assert [len(stage.journals[i]) for i in (0, 1, 3)] == [0, 1, 0]
    assert stage.core(0).locked_round == stage.core(3).locked_round == 1
    stage.tap = lambda src, dst, x: None if 1 in (src, dst) else 0
    stage.request(3)
    stage.until(stage.now_us / 1_000 + 2_000)
    stage.tap = lambda src, dst, x: 0
    stage.request(1)

    if build is IgnoresLock:
        assert stage.observer.violations[0].property == "agreement"
    else:
        stage.finish()
