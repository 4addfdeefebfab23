"""Attacks in a configuration: a list of kinds, judged against everything else."""

from __future__ import annotations

import pytest

from simulation.attacks.learners.label_flip import LabelFlipAttack
from simulation.attacks.learners.sign_flip import SignFlipAttack
from simulation.config.concerns import concerns
from simulation.config.dump import to_yaml
from simulation.config.load import load
from tests.config.conftest import MINIMAL

ATTACKS = """\
attacks:
  - kind: label_flip
    hospitals: [4, 1]
    share: 0.5
  - {kind: sign_flip, fraction: 0.3, scale: 2.0, from_round: 2, until_round: 3}
"""


def test_attacks_are_read_in_their_order(loaded):
    assert loaded(text=MINIMAL + ATTACKS).attacks == (
        LabelFlipAttack(hospitals=(4, 1), share=0.5),
        SignFlipAttack(fraction=0.3, scale=2.0, from_round=2, until_round=3),
    )


def test_resolved_attacks_read_back_to_the_same(loaded, tmp_path):
    experiment = loaded(text=MINIMAL + ATTACKS)
    again = tmp_path / "again.yaml"
    again.write_text(to_yaml(experiment), encoding="utf-8")

    assert load(again) == experiment


@pytest.mark.parametrize(
    ("attack", "message"),
    [
        ("{hospitals: [0]}", "attacks[0].kind: is missing; choose one of "),
        ("{kind: shout, hospitals: [0]}", "attacks[0].kind: unknown kind"),
        ("sign_flip", "attacks[0].hospitals: give exactly one of hospitals, fraction"),
        ("{kind: sign_flip, hospitals: [0], fraction: 0.2}", "give exactly one of hospitals"),
        ("{kind: sign_flip, hospitals: []}", "attacks[0].hospitals: is empty"),
        ("{kind: sign_flip, hospitals: [1, 1]}", "one is named twice in [1, 1]"),
        ("{kind: sign_flip, hospitals: [0, 7]}", "attacks[0].hospitals[1]: there is no hospital 7"),
        ("{kind: sign_flip, fraction: 1.5}", "attacks[0].fraction: must be between 0 and 1"),
        ("{kind: sign_flip, fraction: 0.1}", "0.1 of 7 hospitals is nobody; use at least 0.14"),
        ("{kind: sign_flip, hospitals: [0], scale: 0}", "attacks[0].scale: must be above 0"),
        ("{kind: sign_flip, hospitals: [0], from_round: 0}", "attacks[0].from_round: rounds begin"),
        ("{kind: sign_flip, hospitals: [0], from_round: 11}", "rounds are 1 to 10, got 11"),
        (
            "{kind: sign_flip, hospitals: [0], from_round: 3, until_round: 2}",
            "attacks[0].until_round: must not be before from_round (3)",
        ),
        ("{kind: label_flip, hospitals: [0], share: 2}", "attacks[0].share"),
        ("{kind: label_flip, hospitals: [0], scale: 2}", "attacks[0].scale: belongs to kind: "),
    ],
)
def test_an_attack_that_cannot_happen_is_refused_with_its_place(refusal, attack, message):
    assert message in refusal(text=f"{MINIMAL}attacks:\n  - {attack}\n")


def test_attacks_are_held_against_ledger_and_privacy(refusal):
    """An attack that needs a ledger with ledger: none, or noise where there is none."""
    one = MINIMAL + "attacks:\n  - {kind: equivocate, hospitals: [0]}\n"
    assert "attacks[0].kind: equivocate attacks what ledger: none does not have; use ledger: " in (
        refusal("ledger=none", text=one)
    )
    one = MINIMAL + "attacks:\n  - {kind: under_noising, hospitals: [0]}\n"
    assert "there is no noise to add less of" in refusal("privacy=none", text=one)
    one = MINIMAL + "attacks:\n  - {kind: overspend, hospitals: [0]}\n"
    assert "there is no budget to overspend; give privacy.cap a value" in refusal(text=one)
    one = MINIMAL + "attacks:\n  - {kind: omit, victim: 7}\n"
    assert "attacks[0].victim: there is no hospital 7; use 0 to 6" in refusal(text=one)


def test_a_workload_has_nothing_to_attack(refusal):
    workload = "name: w\nhospitals: 4\nworkload: {kind: closed}\nattacks:\n" + "  - {kind: "
    refused = refusal(text=workload + "sign_flip, hospitals: [0]}\n")
    assert "attacks: a workload trains nothing" in refused


def test_another_app_reads_its_own_records(refusal):
    """A data attack acts where the program's own ClientApp reads; elsewhere it would do nothing."""
    app = "federation.client_app=tests.world.foreign_apps:client_app"
    assert "another app is named" in refusal(app, "privacy=none", text=MINIMAL + ATTACKS)


def test_a_run_with_attackers_says_so_first(loaded):
    """Who, in which rounds, and what is to stop it; a share of nobody says nothing."""
    first, second = concerns(loaded(text=MINIMAL + ATTACKS))

    assert first.startswith("attacks: label_flip by hospital-01, hospital-04 in rounds 1 to 10")
    assert "sign_flip by 2 of 7 hospitals, chosen by the seed, in rounds 2 to 3" in second
    nobody = "attacks: [{kind: sign_flip, fraction: 0}]\n"
    assert concerns(loaded(text=MINIMAL + nobody)) == []
