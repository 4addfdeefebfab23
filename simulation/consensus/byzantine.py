"""Byzantine replicas: an honest core whose effects pass through lies on their way out.

A behaviour is a function ``(effects, situation) -> effects``. It sees what its own replica has just
taken in and what an honest replica would do about it, and says what this one does instead. It holds
its own replica's signer and no other, so it can lie but not forge. No honest module knows about it.

This module has the behaviours that fit every protocol; those that speak a protocol's own messages
are beside it (`simulation.consensus.pbft.attacks`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from simulation.base.ids import NodeId, ReplicaId
from simulation.consensus.draw import Draw
from simulation.consensus.protocol import (
    Broadcast,
    Decide,
    Effect,
    Input,
    Receive,
    Replica,
    Send,
    SetTimer,
    TimerFired,
)
from simulation.consensus.signing import Signer

Effects = list[Effect[Any]]


@dataclass
class Situation:
    """What a behaviour knows when it acts."""

    id: ReplicaId
    n: int
    signer: Signer
    """The capability to sign as this replica, and as nobody else."""
    core: Replica[Any]
    """The honest core; its state may be read."""
    draw: Draw
    event: Input[Any] | None = None
    """The input that the effects answer."""
    now_us: int = 0
    memory: dict[str, Any] = field(default_factory=dict[str, Any])
    """For behaviours that remember."""


Behaviour = Callable[[Effects, Situation], Effects]


class Byzantine:
    """A replica that lies: an honest core and behaviours applied in turn to its effects."""

    def __init__(
        self,
        core: Replica[Any],
        n: int,
        behaviours: Sequence[Behaviour],
        seed: int = 0,
        active: bool = True,
    ) -> None:
        self.core = core
        self.behaviours = tuple(behaviours)
        self.active = active
        """Whether it lies now; a fault schedule may switch it."""
        self.situation = Situation(core.id, n, Signer(core.id), core, Draw(seed, core.id, n))

    @property
    def id(self) -> ReplicaId:
        """Its number."""
        return self.core.id

    @property
    def leader(self) -> ReplicaId:
        """What its core believes."""
        return self.core.leader

    def step(self, event: Input[Any], now_us: int) -> Sequence[Effect[Any]]:
        """What an honest replica would do, falsified."""
        situation = self.situation
        situation.event, situation.now_us = event, now_us
        if isinstance(event, TimerFired) and event.timer[:1] == ("byzantine",):
            effects: Effects = list(situation.memory.pop(str(event.timer), ()))
        else:
            effects = list(self.core.step(event, now_us))
            if self.active:
                for behaviour in self.behaviours:
                    effects = behaviour(effects, situation)
        return effects

    def receive(self, sender: NodeId, message: Any, now_us: int) -> Sequence[Effect[Any]]:
        """As `step`."""
        return self.step(Receive(sender, message), now_us)


# ---- behaviours for any protocol ----------------------------------------------------------------


def is_message(effect: Effect[Any]) -> bool:
    """Whether the effect puts something on the wire."""
    return isinstance(effect, (Send, Broadcast))


def silent(effects: Effects, situation: Situation) -> Effects:
    """Send nothing at all; listen."""
    del situation
    return [effect for effect in effects if not is_message(effect)]


def delay(effects: Effects, situation: Situation) -> Effects:
    """Send everything late, by up to a quarter of a second."""
    held = [effect for effect in effects if is_message(effect)]
    kept = [effect for effect in effects if not is_message(effect)]
    if held:
        count = situation.memory["held"] = situation.memory.get("held", 0) + 1
        timer = ("byzantine", "delay", count)
        situation.memory[str(timer)] = held
        kept.append(SetTimer(timer, situation.draw.between(1_000, 250_000)))
    return kept


def forget_some(effects: Effects, situation: Situation) -> Effects:
    """Lose two messages in five, each receiver apart."""
    out: Effects = []
    for effect in effects:
        if not is_message(effect):
            out.append(effect)
            continue
        for to, message in receivers(effect, situation):
            if not situation.draw.chance(400):
                out.append(Send(to, message))
    return out


def repeat(effects: Effects, situation: Situation) -> Effects:
    """Send everything twice, and old messages again."""
    old: list[Any] = situation.memory.setdefault("old", [])
    out: Effects = []
    for effect in effects:
        out.append(effect)
        match effect:
            case Send() | Broadcast():
                out.append(effect)
                if len(old) < 200:
                    old.append(effect)
                if situation.draw.chance(200):
                    out.append(situation.draw.choice(old))
            case _:
                pass
    return out


def favour_half(effects: Effects, situation: Situation) -> Effects:
    """Speak to one half of the group only."""
    half = {i for i in range(situation.n) if i % 2 == situation.id % 2}
    out: Effects = []
    for effect in effects:
        if is_message(effect):
            out.extend(Send(to, m) for to, m in receivers(effect, situation) if to in half)
        else:
            out.append(effect)
    return out


def receivers(effect: Effect[Any], situation: Situation) -> list[tuple[ReplicaId, Any]]:
    """Each receiver of an effect with its message."""
    match effect:
        case Send(to, message):
            return [(to, message)]
        case Broadcast(message):
            return [(to, message) for to in range(situation.n) if to != situation.id]
        case _:
            return []


GENERAL: dict[str, Behaviour] = {
    "silent": silent,
    "delay": delay,
    "forget-some": forget_some,
    "repeat": repeat,
    "favour-half": favour_half,
}
"""The behaviours that fit every protocol, by name."""


class Twins:
    """Two honest copies with one identity, each talking to one side of the group only.

    Finds equivocation without attack code: both copies follow the protocol, together they do not.
    Source: Bano et al., "Twins: BFT Systems Made Robust", OPODIS 2021.
    """

    def __init__(
        self, copies: tuple[Replica[Any], Replica[Any]], n: int, side: Callable[[ReplicaId], int]
    ) -> None:
        self.copies = copies
        self.n = n
        self.side = side
        """Which copy, 0 or 1, a peer talks to."""

    @property
    def core(self) -> Replica[Any]:
        """The first copy."""
        return self.copies[0]

    @property
    def id(self) -> ReplicaId:
        """Their one number."""
        return self.copies[0].id

    @property
    def leader(self) -> ReplicaId:
        """What the first copy believes."""
        return self.copies[0].leader

    def step(self, event: Input[Any], now_us: int) -> Sequence[Effect[Any]]:
        """Messages and timers go to the copy they belong to, everything else to both."""
        match event:
            case Receive(sender, _):
                return self._ask(self.side(sender), event, now_us)
            case TimerFired((int(which), *timer)):
                return self._ask(which, TimerFired(tuple(timer)), now_us)
            case _:
                return [*self._ask(0, event, now_us), *self._ask(1, event, now_us)]

    def _ask(self, which: int, event: Input[Any], now_us: int) -> Sequence[Effect[Any]]:
        out: Effects = []
        for effect in self.copies[which].step(event, now_us):
            match effect:
                case Send(to, _):
                    if self.side(to) == which:
                        out.append(effect)
                case Broadcast(message):
                    out.extend(
                        Send(to, message)
                        for to in range(self.n)
                        if to != self.id and self.side(to) == which
                    )
                case SetTimer(timer, delay_us):
                    out.append(SetTimer((which, *timer), delay_us))
                case Decide():
                    pass
                case _:
                    out.append(effect)
        return out
