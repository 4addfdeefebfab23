"""False reveals: the hospital commits to one update and reveals another."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar, Literal

from simulation.attacks.attack import Attacker, HospitalAttack
from simulation.base.digest import Tag, tagged_hash
from simulation.base.tensors import decode_model, encode_model
from simulation.nodes.conduct import Body, Conduct
from simulation.nodes.messages import Reply


@dataclass(frozen=True, kw_only=True, slots=True)
class FalseRevealAttack(HospitalAttack):
    """Reveals something else than it has committed to."""

    kind: Literal["false_reveal"] = "false_reveal"
    """Names this attack."""
    what: Literal["update", "root"] = "update"
    """What differs: the ``update`` that it sends to those who check it (every number doubled), or
    only the ``root`` that it names to the contract."""

    ledgers: ClassVar[tuple[str, ...]] = ("commit_reveal",)
    stopped_by: ClassVar[str] = (
        "the contract recomputes the commitment, and holders check the bytes"
    )

    def conduct(self, attacker: Attacker) -> Conduct:
        return _Revealing(self, attacker)


class _Revealing(Conduct):
    def __init__(self, attack: FalseRevealAttack, attacker: Attacker) -> None:
        self._attack, self._attacker = attack, attacker

    def reply(self, reply: Reply) -> Reply:
        if self._attack.what != "update" or not self._attack.active(reply.round):
            return reply
        self._attacker.note(self._attack, reply.round, "update")
        doubled = {name: array * 2 for name, array in decode_model(reply.model).items()}
        return dataclasses.replace(reply, model=encode_model(doubled))

    def reveal(self, body: Body) -> Body:
        number, root = body["round"], body["update_root"]
        assert isinstance(number, int), "the round of a reveal is a number"
        assert isinstance(root, bytes), "its root is a digest"
        if self._attack.what != "root" or not self._attack.active(number):
            return body
        self._attacker.note(self._attack, number, "root")
        return {**body, "update_root": tagged_hash(Tag.MODEL, root)}
