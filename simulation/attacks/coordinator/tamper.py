"""A coordinator that does not hand on what the hospitals have learnt."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from simulation.attacks.attack import Attacker, CoordinatorAttack
from simulation.base.digest import Tag, tagged_hash
from simulation.base.ids import HospitalId
from simulation.base.tensors import decode_model, encode_model
from simulation.nodes.conduct import Body, CoordinatorConduct
from simulation.nodes.messages import Reply

RECOMPUTED = "replicas recompute the aggregate over the sealed set"


@dataclass(frozen=True, kw_only=True, slots=True)
class TamperAttack(CoordinatorAttack):
    """Scales the change that one hospital has learnt before it averages."""

    kind: Literal["tamper"] = "tamper"
    """Names this attack."""
    victim: int = 0
    """Whose update it changes."""
    scale: float = 10.0
    """By how much it multiplies the change."""

    stopped_by: ClassVar[str] = RECOMPUTED

    def conduct(self, attacker: Attacker) -> CoordinatorConduct:
        return _Tampering(self, attacker)


@dataclass(frozen=True, kw_only=True, slots=True)
class ReweighAttack(CoordinatorAttack):
    """Counts one hospital's records several times."""

    kind: Literal["reweigh"] = "reweigh"
    """Names this attack."""
    victim: int = 0
    """Whose weight it changes."""
    factor: int = 10
    """How often it counts each of the hospital's records."""

    stopped_by: ClassVar[str] = RECOMPUTED

    def __post_init__(self) -> None:
        CoordinatorAttack.__post_init__(self)
        if self.factor < 2:
            raise ValueError(f"factor: must be at least 2, got {self.factor}")

    def conduct(self, attacker: Attacker) -> CoordinatorConduct:
        return _Tampering(self, attacker)


@dataclass(frozen=True, kw_only=True, slots=True)
class OmitAttack(CoordinatorAttack):
    """Leaves one hospital's update out."""

    kind: Literal["omit"] = "omit"
    """Names this attack."""
    victim: int = 0
    """Whose update it leaves out."""

    stopped_by: ClassVar[str] = RECOMPUTED

    def conduct(self, attacker: Attacker) -> CoordinatorConduct:
        return _Tampering(self, attacker)


class _Tampering(CoordinatorConduct):
    """Proposes a false aggregate where it is recomputed; elsewhere, feeds the strategy falsely."""

    def __init__(
        self, attack: TamperAttack | ReweighAttack | OmitAttack, attacker: Attacker
    ) -> None:
        self._attack, self._attacker = attack, attacker

    def collect(
        self, number: int, base: bytes, replies: Mapping[HospitalId, Reply]
    ) -> Mapping[HospitalId, Reply]:
        victim = replies.get(self._attack.victim)
        if self._attacker.recomputed or victim is None or not self._attack.active(number):
            return replies
        self._attacker.note(self._attack, number, "unseen")
        changed = self._changed(base, victim)
        kept = {h: reply for h, reply in replies.items() if h != victim.hospital}
        return kept if changed is None else {**replies, victim.hospital: changed}

    def _changed(self, base: bytes, reply: Reply) -> Reply | None:
        match self._attack:
            case TamperAttack(scale=scale):
                start, learnt = decode_model(base), decode_model(reply.model)
                moved = {
                    name: (start[name] + scale * (array - start[name])).astype(array.dtype)
                    for name, array in learnt.items()
                }
                return dataclasses.replace(reply, model=encode_model(moved))
            case ReweighAttack(factor=factor):
                from simulation.federation.codec import counted_often

                report = counted_often(reply.model, reply.report, factor)
                return dataclasses.replace(reply, report=report)
            case OmitAttack():
                return None

    def aggregate(self, body: Body) -> Body:
        number, hospitals = body["round"], body["hospitals"]
        assert isinstance(number, int), "an aggregate is of a round"
        assert isinstance(hospitals, (list, tuple)), "and names its hospitals"
        victim = self._attack.victim
        active = self._attack.active(number) and victim in hospitals
        if not self._attacker.recomputed or not active:
            return body
        self._attacker.note(self._attack, number, "proposed")
        out_root = body["out_root"]
        assert isinstance(out_root, bytes), "a model's root is a digest"
        false: Body = {**body, "out_root": tagged_hash(Tag.MODEL, out_root)}
        if isinstance(self._attack, OmitAttack):
            return {**false, "hospitals": [h for h in hospitals if h != victim]}
        return false
