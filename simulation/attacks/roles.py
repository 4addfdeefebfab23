"""Who plays which part in a run: the attacks of a configuration, dealt to the nodes of one seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from simulation.attacks.attack import Attack, Attacker, CoordinatorAttack, HospitalAttack
from simulation.attacks.circle import Circle
from simulation.base.ids import HospitalId, NodeId
from simulation.base.rng import Streams
from simulation.learning import tampering
from simulation.learning.tampering import Tampering
from simulation.nodes import conduct
from simulation.nodes.conduct import Conduct, CoordinatorConduct
from simulation.nodes.instance import Record
from simulation.nodes.node import Node


class Roles:
    """The attackers of one run. Attacks of one hospital act in the order in which they are listed.

    Args:
        attacks: those of the configuration.
        hospitals: how many there are; the coordinator's node has this number.
        streams: of the run: choose the hospitals of a share.
    """

    def __init__(self, attacks: Sequence[Attack], hospitals: int, streams: Streams) -> None:
        self._hospitals = hospitals
        self._streams = streams
        self._parts = [(attack, self._nodes(attack)) for attack in attacks]
        self._circles = [Circle(nodes) for _, nodes in self._parts]

    def _nodes(self, attack: Attack) -> tuple[NodeId, ...]:
        if isinstance(attack, HospitalAttack):
            return attack.attackers(self._hospitals, self._streams)
        return (self._hospitals,)

    def tampering(self, hospital: HospitalId) -> Tampering:
        """What a hospital changes in its own training."""
        found = [
            changed
            for attack, nodes in self._parts
            if isinstance(attack, HospitalAttack) and hospital in nodes
            if (changed := attack.tampering(hospital, self._streams)) is not None
        ]
        return tampering.chained(found)

    def conduct(self, node: Node, record: Record, *, recomputed: bool) -> Conduct:
        """How a hospital behaves in a run whose aggregates are recomputed by replicas, or not."""
        found = [
            attack.conduct(self._attacker(position, node, record, recomputed))
            for position, (attack, nodes) in enumerate(self._parts)
            if isinstance(attack, HospitalAttack) and node.id in nodes
        ]
        return conduct.chained(found)

    def coordinator(self, node: Node, record: Record, *, recomputed: bool) -> CoordinatorConduct:
        """How the coordinator behaves, likewise."""
        found = [
            attack.conduct(self._attacker(position, node, record, recomputed))
            for position, (attack, _) in enumerate(self._parts)
            if isinstance(attack, CoordinatorAttack)
        ]
        return conduct.coordinators_chained(found)

    def summary(self) -> list[dict[str, Any]]:
        """What a manifest says of them: each attack, and who carries it out in this run."""
        return [
            {
                "kind": attack.name,
                "nodes": list(nodes),
                "from_round": attack.from_round,
                "until_round": attack.until_round,
                "stopped_by": attack.stopped_by,
            }
            for attack, nodes in self._parts
        ]

    def _attacker(self, position: int, node: Node, record: Record, recomputed: bool) -> Attacker:
        dice = self._dice(position, node.id)
        circle = self._circles[position]
        return Attacker(node, record, self._hospitals, dice, circle, recomputed)

    def _dice(self, position: int, node: NodeId) -> Callable[[int], np.random.Generator]:
        name = self._parts[position][0].name
        return partial(self._streams.stream, "attack", name, position, node)
