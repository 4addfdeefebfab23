"""What a configuration may do and must say first: go beyond what its protocol survives, have
attackers in it, or name an engine that has nothing to do.

A run beyond the tolerated faults is allowed, because seeing a guarantee end is what it is for. It
is announced before it starts, and its outcome is judged like any other's.
"""

from __future__ import annotations

from collections.abc import Iterator

from simulation.attacks.attack import Attack, HospitalAttack
from simulation.base.ids import NodeId, hospital_name
from simulation.config.experiment import Experiment
from simulation.consensus.hotstuff.params import HotStuffParams
from simulation.consensus.pbft.params import PbftParams
from simulation.consensus.quorum import byzantine_quorum
from simulation.consensus.registry import PROTOCOLS
from simulation.consensus.subjects import SUBJECTS
from simulation.federation.params import OWN_CLIENT_APP
from simulation.learning.engines.params import BatchedParams
from simulation.learning.params import AttentionParams, MlpParams
from simulation.learning.trust import DpParams
from simulation.nodes.faults import BehaveFault, CrashFault, RecoverFault
from simulation.nodes.properties import liars


def concerns(experiment: Experiment) -> list[str]:
    """What is not promised to hold in this run, one sentence each; empty when all is."""
    found = [*_engine(experiment), *_attacks(experiment)]
    if experiment.replicas:
        found += [*_quorum(experiment), *_faulty(experiment)]
    return found


def _engine(experiment: Experiment) -> Iterator[str]:
    if not isinstance(experiment.engine, BatchedParams):
        return
    reason = ""
    if experiment.federation.client_app != OWN_CLIENT_APP:
        reason = "another ClientApp trains by itself"
    elif not isinstance(experiment.privacy, DpParams):
        reason = "it computes private training only"
    elif isinstance(experiment.model, AttentionParams):
        reason = "model.kind: attention is not made of layers one after the other"
    elif isinstance(experiment.model, MlpParams) and experiment.model.norm != "none":
        reason = f"model.norm: {experiment.model.norm} is no pointwise function"
    if reason:
        yield f"engine: batched is not used here, because {reason}; hospitals train as in inline"


def _attacks(experiment: Experiment) -> Iterator[str]:
    rounds = experiment.federation.rounds
    for attack in experiment.attacks:
        who = _attackers(experiment.hospitals, attack)
        last = rounds if attack.until_round is None else min(rounds, attack.until_round)
        if who:
            yield (
                f"attacks: {attack.name} by {who} in rounds {attack.from_round} to {last}; what is "
                f"to stop it: {attack.stopped_by}"
            )


def _attackers(hospitals: int, attack: Attack) -> str:
    """Who carries out an attack; empty for nobody."""
    if not isinstance(attack, HospitalAttack):
        return "the coordinator"
    if attack.hospitals is not None:
        return ", ".join(hospital_name(h) for h in sorted(attack.hospitals))
    count = attack.count(hospitals)
    return f"{count} of {hospitals} hospitals, chosen by the seed," if count else ""


def _quorum(experiment: Experiment) -> Iterator[str]:
    protocol = experiment.consensus
    if not isinstance(protocol, (PbftParams, HotStuffParams)):
        return
    quorum = byzantine_quorum(experiment.replicas, protocol.quorum)
    if not quorum.is_safe:
        shared = max(0, 2 * quorum.size - quorum.n)
        yield (
            f"consensus.quorum: {protocol.quorum} is unsafe for n = {quorum.n}: two quorums of "
            f"{quorum.size} may share {shared} replicas only, and f = {quorum.f} of them may lie; "
            "two replicas may decide differently"
        )
    if not quorum.is_live:
        yield (
            f"consensus.quorum: {protocol.quorum} needs {quorum.size} of n = {quorum.n} replicas, "
            f"so f = {quorum.f} silent ones stop everything"
        )


def _faulty(experiment: Experiment) -> Iterator[str]:
    spec, n = PROTOCOLS[experiment.consensus.kind], experiment.replicas
    tolerated, most = spec.tolerates(n), _most_faulty(experiment)
    lying = liars(experiment.faults)
    subject = SUBJECTS.get(spec.name)
    if lying and (subject is None or not subject.attacks):
        yield (
            f"faults: {spec.name} survives crashes only, and {len(lying)} of its replicas will "
            "lie; nothing is promised"
        )
    elif most > tolerated:
        yield (
            f"faults: up to {most} of n = {n} replicas are faulty at once, and {spec.name} "
            f"survives {tolerated}; it may stop, or decide differently at two replicas"
        )


def _most_faulty(experiment: Experiment) -> int:
    """The most replicas that lie or are down at once, when faults happen in the order written.

    A replica that lies at any time counts from the start: what it has signed stays signed.
    """
    replicas = range(experiment.replicas)
    lying: set[NodeId] = set(liars(experiment.faults))
    down: set[NodeId] = set()
    most = len(lying)
    for fault in experiment.faults:
        match fault:
            case CrashFault(node=node) if node in replicas:
                down.add(node)
            case RecoverFault(node=node):
                down.discard(node)
            case BehaveFault():
                pass
            case _:
                continue
        most = max(most, len(lying | down))
    return most
