"""All kinds of attacks, by who carries them out: one line for each."""

from __future__ import annotations

from typing import Union

from simulation.attacks.learners.label_flip import LabelFlipAttack
from simulation.attacks.learners.sign_flip import SignFlipAttack

AttackParams = Union[
    LabelFlipAttack,
    SignFlipAttack,
]
"""One attack of a run, chosen by ``kind``."""
