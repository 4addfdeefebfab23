"""Attacks on the update: the hospital trains, and brings something else into the round.

They act on the bytes that leave the ClientApp, before they are committed: what is committed,
revealed and checked is the forged update. So every engine, any ClientApp and every kind of ledger
are under them, ``none`` included.
"""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from simulation.attacks.attack import Attacker, HospitalAttack
from simulation.base.tensors import Arrays, decode_model, encode_model
from simulation.nodes.conduct import Conduct
from simulation.nodes.learner import Product
from simulation.nodes.messages import Order
from simulation.nodes.update_check import root_of

if TYPE_CHECKING:
    import simpy

    from simulation.nodes.ledger_service import LedgerService


@dataclass(frozen=True, slots=True)
class Sight:
    """What an attacker can see when it forges its update of a round."""

    round: int
    base: Arrays
    """The global model that it was sent."""
    before: Arrays | None
    """The one of the round before; none in the first round."""
    honest: Arrays
    """What it has learnt from it honestly."""
    circle: Sequence[Arrays]
    """What it and its accomplices have learnt honestly, by hospital; only itself when it does not
    collude."""
    dice: np.random.Generator
    """Its own generator for this round."""
    hospitals: int
    """How many hospitals there are."""


@dataclass(frozen=True, kw_only=True, slots=True)
class UpdateAttack(HospitalAttack):
    """A hospital that sends another update than it has learnt."""

    colludes: ClassVar[bool] = False
    """Whether the attackers wait for each other's honest updates, to forge theirs from all."""

    @abstractmethod
    def forge(self, sight: Sight) -> Arrays:
        """The local model to bring into the round, tensor by tensor, shaped like the honest one.

        It is rounded to the honest one's element types.
        """

    def conduct(self, attacker: Attacker) -> Conduct:
        return _Forging(self, attacker)


class _Forging(Conduct):
    def __init__(self, attack: UpdateAttack, attacker: Attacker) -> None:
        self._attack, self._attacker = attack, attacker
        self._before: Arrays | None = None

    def prepare(
        self, ledger: LedgerService | None, order: Order, product: Product
    ) -> Generator[simpy.Event, Any, Product]:
        del ledger
        attack, attacker = self._attack, self._attacker
        base, before = decode_model(order.model), self._before
        self._before = base
        if not attack.active(order.round):
            return product
        honest: Arrays = decode_model(product.model)
        circle: Sequence[Arrays] = [honest]
        if attack.colludes:
            env, me = attacker.node.env, attacker.node.id
            circle = yield from attacker.circle.share(env, order.round, me, honest)
        dice = attacker.dice(order.round)
        sight = Sight(order.round, base, before, honest, circle, dice, attacker.hospitals)
        forged = attack.forge(sight)
        model = encode_model({n: np.asarray(forged[n], a.dtype) for n, a in honest.items()})
        attacker.note(attack, order.round, root_of(model).hex()[:8])
        return dataclasses.replace(product, model=model, root=root_of(model))
