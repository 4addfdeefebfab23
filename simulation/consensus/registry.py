"""The consensus protocols that a configuration may name.

A protocol is a folder, an entry here, and its ``kind`` in YAML. Tests, hosts, fault schedules and
metrics find it here and treat all alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Union

from simulation.base.ids import ReplicaId
from simulation.consensus import hotstuff, pbft, raft, sequencer
from simulation.consensus.byzantine import GENERAL, Behaviour
from simulation.consensus.hotstuff import attacks as hotstuff_attacks
from simulation.consensus.hotstuff import messages as hotstuff_messages
from simulation.consensus.hotstuff import params as hotstuff_params
from simulation.consensus.hotstuff import replica as hotstuff_replica
from simulation.consensus.pbft import attacks as pbft_attacks
from simulation.consensus.pbft import messages as pbft_messages
from simulation.consensus.pbft import params as pbft_params
from simulation.consensus.pbft import replica as pbft_replica
from simulation.consensus.protocol import Replica
from simulation.consensus.quorum import byzantine_faults, crash_faults
from simulation.consensus.raft import messages as raft_messages
from simulation.consensus.raft import params as raft_params
from simulation.consensus.raft import replica as raft_replica
from simulation.consensus.sequencer import attacks as sequencer_attacks
from simulation.consensus.sequencer import messages as sequencer_messages
from simulation.consensus.sequencer import params as sequencer_params
from simulation.consensus.sequencer import replica as sequencer_replica

ConsensusParams = Union[
    pbft_params.PbftParams,
    hotstuff_params.HotStuffParams,
    raft_params.RaftParams,
    sequencer_params.SequencerParams,
]
"""Parameters of any protocol; ``kind`` tells them apart."""


@dataclass(frozen=True)
class ProtocolSpec:
    """What the rest of the program needs to know about a protocol."""

    name: str
    """Its ``kind`` in a configuration."""
    params: type
    """Its parameter class."""
    build: Callable[[ReplicaId, int, Any], Replica[Any]]
    """``build(replica, n, params)``. Raises ValueError when n is too small."""
    messages: tuple[type, ...]
    """All its message types, in the order of the paper."""
    tolerates: Callable[[int], int]
    """The most faulty replicas that n replicas survive."""
    min_replicas: int
    """The smallest n it accepts."""
    summary: str
    """One sentence for tables and help."""
    behaviours: Mapping[str, Behaviour] = field(default_factory=lambda: GENERAL)
    """What a fault schedule may tell its replicas to do, by name, tolerated or not."""


def _summary(package: ModuleType) -> str:
    return (package.__doc__ or "").strip().splitlines()[0]


def _none_survived(n: int) -> int:
    del n
    return 0


PROTOCOLS: dict[str, ProtocolSpec] = {
    "pbft": ProtocolSpec(
        name="pbft",
        params=pbft_params.PbftParams,
        build=pbft_replica.build,
        messages=pbft_messages.MESSAGES,
        tolerates=byzantine_faults,
        min_replicas=pbft_params.MIN_REPLICAS,
        summary=_summary(pbft),
        behaviours=pbft_attacks.ATTACKS,
    ),
    "hotstuff": ProtocolSpec(
        name="hotstuff",
        params=hotstuff_params.HotStuffParams,
        build=hotstuff_replica.build,
        messages=hotstuff_messages.MESSAGES,
        tolerates=byzantine_faults,
        min_replicas=hotstuff_params.MIN_REPLICAS,
        summary=_summary(hotstuff),
        behaviours=hotstuff_attacks.ATTACKS,
    ),
    "raft": ProtocolSpec(
        name="raft",
        params=raft_params.RaftParams,
        build=raft_replica.build,
        messages=raft_messages.MESSAGES,
        tolerates=crash_faults,
        min_replicas=1,
        summary=_summary(raft),
    ),
    "sequencer": ProtocolSpec(
        name="sequencer",
        params=sequencer_params.SequencerParams,
        build=sequencer_replica.build,
        messages=sequencer_messages.MESSAGES,
        tolerates=_none_survived,
        min_replicas=1,
        summary=_summary(sequencer),
        behaviours=sequencer_attacks.ATTACKS,
    ),
}


def build(replica: ReplicaId, n: int, params: ConsensusParams) -> Replica[Any]:
    """A replica of the protocol that the parameters name.

    Raises:
        ValueError: when n is too small for it.
    """
    return PROTOCOLS[params.kind].build(replica, n, params)
