"""The genesis of a run: who founds the chain, who votes, and what the task is."""

from __future__ import annotations

from collections.abc import Sequence

from simulation.base.encoding import Value
from simulation.base.keys import SigningKey
from simulation.base.tensors import model_root
from simulation.base.units import US_PER_S
from simulation.config.experiment import Experiment
from simulation.consensus.quorum import byzantine_quorum
from simulation.consensus.registry import PROTOCOLS
from simulation.contracts.rules import described
from simulation.federation.fixed import rule_for
from simulation.federation.setting import Setting
from simulation.learning.params import DpSgdParams
from simulation.learning.trust import DistributedParams
from simulation.ledger.genesis import Genesis, Member
from simulation.nodes.params import CommitRevealLedger

MILLION = 1_000_000


def found(
    experiment: Experiment, setting: Setting, keys: Sequence[SigningKey], auditor: bytes | None
) -> Genesis:
    """The genesis of an experiment's chain, given the keys of hospitals and, last, coordinator."""
    coordinator = setting.hospitals
    members = tuple(
        Member(node, "hospital" if node < coordinator else "coordinator", keys[node].public.encoded)
        for node in (*experiment.founders, coordinator)
    )
    own = experiment.federation.uses_own_apps
    return Genesis(
        name=experiment.name,
        members=members,
        replicas=experiment.replicas,
        quorum=quorum(experiment, experiment.replicas),
        task={
            "name": experiment.name,
            "initial_root": model_root(setting.initial) if own else None,
            "rounds": experiment.federation.rounds,
            "strategy": experiment.federation.strategy,
            **_protocol(experiment, auditor),
        },
        quorums=_quorums(experiment),
    )


def quorum(experiment: Experiment, replicas: int) -> int:
    """How many sign a block: an honest majority, and no more than are sure to be there."""
    tolerated = PROTOCOLS[experiment.consensus.kind].tolerates(replicas)
    return min(byzantine_quorum(replicas).size, replicas - tolerated)


def _quorums(experiment: Experiment) -> tuple[int, ...]:
    """The same for every size that the replica set may come to, where it may change."""
    if not experiment.membership:
        return ()
    least = PROTOCOLS[experiment.consensus.kind].min_replicas
    sizes = range(1, experiment.hospitals + 1)
    return tuple(0 if size < least else quorum(experiment, size) for size in sizes)


def _protocol(experiment: Experiment, auditor: bytes | None) -> dict[str, Value]:
    """What the task contract holds everybody to."""
    ledger, federation = experiment.ledger, experiment.federation
    known: dict[str, Value] = {"protocol": ledger.kind, "auditor": auditor}
    privacy, data = experiment.privacy, experiment.data
    if isinstance(privacy, (DpSgdParams, DistributedParams)) and data is not None:
        cap = privacy.cap if isinstance(privacy, DpSgdParams) else None
        cap_e6 = None if cap is None else round(cap * MILLION)
        unit = f"{data.kind}:{privacy.unit}"
        known["privacy"] = {"unit": unit, "cap_e6": cap_e6}
    if isinstance(ledger, CommitRevealLedger):
        known["rule"] = described(rule_for(federation))
        known["min_updates"] = federation.min_updates
        known["deadlines"] = {
            "commit_blocks": ledger.commit_blocks,
            "commit_us": round(federation.round_deadline_s * US_PER_S),
            "reveal_blocks": ledger.reveal_blocks,
            "reveal_us": round(ledger.reveal_deadline_s * US_PER_S),
        }
    return known
