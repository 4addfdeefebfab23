"""What an orderer may do that nobody checks, beside the behaviours that fit every protocol."""

from __future__ import annotations

from dataclasses import replace

from simulation.consensus.byzantine import GENERAL, Behaviour, Effects, Situation, receivers
from simulation.consensus.protocol import Broadcast, Send
from simulation.consensus.sequencer.messages import Order


def equivocate(effects: Effects, situation: Situation) -> Effects:
    """As orderer, tell the even replicas one batch and the odd ones another."""
    out: Effects = []
    for effect in effects:
        match effect:
            case Broadcast(Order(seq, batch)) if batch.requests:
                twin = replace(batch, requests=batch.requests[1:], time_us=batch.time_us + 1)
                for to, order in receivers(effect, situation):
                    out.append(Send(to, Order(seq, twin) if to % 2 else order))
            case _:
                out.append(effect)
    return out


ATTACKS: dict[str, Behaviour] = {**GENERAL, "equivocate": equivocate}
"""What an orderer may be told to do, by name."""
