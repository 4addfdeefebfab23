"""All kinds of attacks, by who carries them out: one line for each."""

from __future__ import annotations

from typing import Union

from simulation.attacks.coordinator.tamper import OmitAttack, ReweighAttack, TamperAttack
from simulation.attacks.learners.alie import AlieAttack
from simulation.attacks.learners.backdoor import BackdoorAttack
from simulation.attacks.learners.clone import CloneAttack
from simulation.attacks.learners.feature_noise import FeatureNoiseAttack
from simulation.attacks.learners.free_rider import FreeRiderAttack
from simulation.attacks.learners.ipm import IpmAttack
from simulation.attacks.learners.label_flip import LabelFlipAttack
from simulation.attacks.learners.scaling import ScalingAttack
from simulation.attacks.learners.sign_flip import SignFlipAttack
from simulation.attacks.learners.under_noising import UnderNoisingAttack
from simulation.attacks.members.copycat import CopycatAttack
from simulation.attacks.members.equivocate import EquivocateAttack
from simulation.attacks.members.false_reveal import FalseRevealAttack
from simulation.attacks.members.overspend import OverspendAttack
from simulation.attacks.members.replay import ReplayAttack
from simulation.attacks.members.withhold import WithholdAttack
from simulation.attacks.vaults.bad_vault import BadVaultAttack

AttackParams = Union[
    LabelFlipAttack,
    FeatureNoiseAttack,
    BackdoorAttack,
    SignFlipAttack,
    ScalingAttack,
    AlieAttack,
    IpmAttack,
    CloneAttack,
    FreeRiderAttack,
    UnderNoisingAttack,
    CopycatAttack,
    EquivocateAttack,
    FalseRevealAttack,
    OverspendAttack,
    ReplayAttack,
    WithholdAttack,
    BadVaultAttack,
    TamperAttack,
    OmitAttack,
    ReweighAttack,
]
"""One attack of a run, chosen by ``kind``."""
