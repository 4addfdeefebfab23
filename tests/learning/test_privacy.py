"""The account: one history for the whole run, against two accountants and a closed form."""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError

import pytest
from opacus.accountants import PRVAccountant, RDPAccountant
from opacus.accountants.utils import get_noise_multiplier
from scipy.optimize import brentq
from scipy.stats import norm

from simulation.learning.params import DpSgdParams, TrainingParams
from simulation.learning.privacy import calibrate, epsilon, plan
from simulation.learning.update import Spend

# (history, δ, RDP, PRV, PLD), made with independent code.
TABLE = [
    ([Spend(1.0, 1 / 16, 16)], 1e-3, 1.645, 1.195, 1.184),
    ([Spend(1.0, 1 / 16, 800)], 1e-5, 13.676, 12.561, 12.550),
    ([Spend(2.0, 1 / 16, 800)], 1e-5, 4.582, 4.224, 4.214),
    ([Spend(2.0, 1 / 2, 100)], 1e-3, 12.139, 10.902, 10.891),
    ([Spend(5.0, 1.0, 50)], 1e-3, 5.420, 4.856, 4.845),
    ([Spend(0.8, 1 / 79, 3_950)], 1e-5, 8.653, 7.880, 7.869),
    ([Spend(1.1, 256 / 60_000, 14_062)], 1e-5, 2.597, 2.392, 2.382),
    ([Spend(0.8, 1 / 16, 160), Spend(1.2, 1 / 16, 640)], 1e-5, 13.264, 12.046, 12.036),
]


@pytest.mark.parametrize(("history", "delta", "rdp", "prv", "pld"), TABLE)
def test_three_accountants_give_the_known_numbers(
    history: list[Spend], delta: float, rdp: float, prv: float, pld: float
) -> None:
    """PLD is the number of record; Opacus's PRV cross-checks it and is 0.01 above."""
    rows = [(spend.sigma, spend.sampling_rate, spend.steps) for spend in history]
    found = {}
    for accountant in (PRVAccountant(), RDPAccountant()):
        accountant.history = list(rows)
        found[accountant.mechanism()] = accountant.get_epsilon(delta)
    ours = epsilon(history, delta)
    assert ours == pytest.approx(pld, abs=2e-3)
    assert found["prv"] == pytest.approx(prv, abs=2e-3)
    assert found["rdp"] == pytest.approx(rdp, abs=2e-3)
    assert 0 < found["prv"] - ours < 0.02


def test_without_sampling_it_meets_the_closed_form() -> None:
    """At q = 1 the composition of Gaussians is one Gaussian, whose δ(ε) is known exactly
    (Balle & Wang, ICML 2018, theorem 8)."""
    sigma, steps, delta = 5.0, 50, 1e-3
    mu = math.sqrt(steps) / sigma

    def excess(eps: float) -> float:
        upper = norm.cdf(mu / 2 - eps / mu)
        return float(upper - math.exp(eps) * norm.cdf(-mu / 2 - eps / mu) - delta)

    exact = brentq(excess, 0, 50)
    found = epsilon([Spend(sigma, 1.0, steps)], delta)
    assert exact <= found <= exact + 2e-3, "an account may overstate, never understate"


def test_the_epsilon_of_rounds_is_never_added() -> None:
    """One history for the whole run: its ε is above one round's and far below the sum of rounds."""
    round_ = Spend(1.0, 1 / 16, 16)
    one, twenty = epsilon([round_], 1e-5), epsilon([round_] * 20, 1e-5)
    assert twenty == epsilon([Spend(1.0, 1 / 16, 320)], 1e-5)
    assert 3 * one < twenty < 10 * one


def test_the_order_of_the_history_does_not_matter() -> None:
    """Composition is commutative; equal mechanisms are merged."""
    a, b = Spend(0.8, 1 / 16, 20), Spend(1.2, 1 / 8, 30)
    assert epsilon([a, b, a], 1e-5) == epsilon([a, a, b], 1e-5) == epsilon([b, a, a], 1e-5)


def test_nothing_released_is_nothing_spent() -> None:
    """ε of an empty history is 0."""
    assert epsilon([], 1e-5) == 0.0


def test_the_history_is_plain_frozen_data() -> None:
    """Nobody can change what was spent through a shared reference."""
    with pytest.raises(FrozenInstanceError):
        Spend(1.0, 0.5, 3).steps = 0  # pyright: ignore[reportAttributeAccessIssue]


def test_an_entry_that_is_no_release_is_refused() -> None:
    """A rate above 1 or no noise at all is a mistake, not a small ε."""
    for spend in (Spend(0.0, 0.5, 1), Spend(1.0, 1.5, 1), Spend(1.0, 0.0, 1)):
        with pytest.raises(ValueError, match="no release"):
            epsilon([spend], 1e-5)


@pytest.mark.parametrize(("records", "spent"), [(199, 1.45), (172, 1.57), (30, 4.10), (85, 2.29)])
def test_what_the_medical_benchmark_really_spends(records: int, spent: float) -> None:
    """Its σ is calibrated for 15 epochs of ⌈n/4⌉ batches, but 15 rounds of 100 updates are made:
    nominal ε = 1 (δ 1e-4) really spends 1.45 / 1.57 / 4.10 / 2.29."""
    batches = -(-records // 4)
    sigma = get_noise_multiplier(
        target_epsilon=1.0,
        target_delta=1e-4,
        sample_rate=1 / batches,
        epochs=15,
        accountant="prv",
    )
    assert epsilon([Spend(sigma, 1 / batches, 1_500)], 1e-4) == pytest.approx(spent, rel=0.02)


@pytest.mark.parametrize("target", [0.1, 1.0, 8.0, 50.0])
@pytest.mark.parametrize(("rate", "steps"), [(4 / 199, 1_500), (0.457143, 30), (1.0, 10)])
def test_noise_is_calibrated_to_the_target_and_not_past_it(
    target: float, rate: float, steps: int
) -> None:
    """What σ really gives is at most the target, and wastes less than a thousandth of it."""
    sigma = calibrate(target, 1e-5, rate, steps)
    found = epsilon([Spend(sigma, rate, steps)], 1e-5)
    assert target * (1 - 1e-3) <= found <= target


def test_a_target_that_noise_cannot_reach_is_an_error() -> None:
    """The message says what to change."""
    with pytest.raises(ValueError, match=r"epsilon: .* cannot be reached .* fewer rounds"):
        calibrate(0.001, 1e-5, 1.0, 10_000)


def test_a_plan_covers_all_steps_of_all_rounds() -> None:
    """σ is calibrated for all steps of all planned rounds, not for one round or one epoch."""
    training = TrainingParams(batch_size=32, local_epochs=2)
    made = plan(DpSgdParams(epsilon=3.0), training, units=500, rounds=20)
    whole_run = [made.release] * 20
    assert made.steps == 32
    assert 3.0 * (1 - 1e-3) <= made.epsilon(whole_run) <= 3.0
    assert made.planned_epsilon == made.epsilon(whole_run)
    assert made.epsilon(whole_run[:1]) < 1.5


def test_a_plan_says_what_each_hospital_really_gets() -> None:
    """The same σ protects a small hospital far less: 50 rounds give ε 54 at n = 20, 12.6 at 500
    (q = 1/16), 1.5 at 20,000."""
    training, privacy = TrainingParams(batch_size=32), DpSgdParams(noise_multiplier=1.0)
    found = {
        n: plan(
            DpSgdParams(noise_multiplier=1.0, delta=1e-6) if n >= 10_000 else privacy,
            training,
            n,
            50,
        )
        for n in (20, 512, 20_000)
    }
    assert [found[n].sigma for n in found] == [1.0] * 3
    assert epsilon([found[20].release] * 50, 1e-5) == pytest.approx(54, abs=0.5)
    assert epsilon([found[512].release] * 50, 1e-5) == pytest.approx(12.55, abs=0.05)
    assert epsilon([found[20_000].release] * 50, 1e-5) == pytest.approx(1.5, abs=0.05)


def test_a_hospital_smaller_than_a_batch_uses_all_its_records() -> None:
    """q is 1 when n ≤ B, and the account knows it."""
    made = plan(DpSgdParams(noise_multiplier=1.0), TrainingParams(batch_size=32), 20, 5)
    assert (made.sampling_rate, made.steps) == (1.0, 1)


@pytest.mark.parametrize("delta", [1 / 2000, 0.01])
def test_a_delta_that_lets_a_record_out_is_refused(delta: float) -> None:
    """δ at 1 / (10 × records of the hospital) or above is refused, with the bound."""
    with pytest.raises(ValueError, match=r"delta: .* hospital-03, which has 200 .* = 0.0005"):
        plan(DpSgdParams(epsilon=1.0, delta=delta), TrainingParams(), 200, 1, hospital=3)


def test_a_delta_below_the_bound_is_accepted() -> None:
    """The bound itself is the first that is refused."""
    plan(DpSgdParams(noise_multiplier=1.0, delta=1 / 2001), TrainingParams(), 200, 1)


def test_the_ledger_entry_holds_the_mechanism_exactly_and_rounds_epsilon_up() -> None:
    """σ and q are whole millionths, so that who reads the ledger gets the same ε."""
    made = plan(DpSgdParams(epsilon=2.0), TrainingParams(batch_size=32), 199, 10)
    history = [made.release] * 4
    entry = made.entry(history)
    read = Spend(entry["sigma_e6"] / 1e6, entry["sampling_e6"] / 1e6, entry["steps"])
    assert read == made.release
    assert entry["sampler"] == "poisson"
    assert entry["accountant"] == "pld"
    assert entry["accountant_version"].startswith("dp-accounting ")
    assert (entry["clip_e6"], entry["unit"]) == (1_000_000, "record")
    assert entry["neighbours"] == "add-or-remove-one"
    assert entry["delta_e12"] == 10_000_000
    assert 0 <= entry["epsilon_e6"] - made.epsilon(history) * 1e6 < 1
    assert all(isinstance(value, int | str) for value in entry.values())


@pytest.mark.parametrize(("sigma", "rate"), [(5.0, 0.002), (2.0, 0.001), (20.0, 0.02)])
def test_many_small_releases_are_not_overstated(sigma: float, rate: float) -> None:
    """Cells no finer than 1e-3 would overstate ε by half where one release loses almost nothing;
    Opacus's PRV, with a tight error, is the witness."""
    other = PRVAccountant()
    other.history = [(sigma, rate, 14_000)]
    upper = other.get_epsilon(1e-5, eps_error=0.002)
    assert epsilon([Spend(sigma, rate, 14_000)], 1e-5) == pytest.approx(upper, rel=0.015)


def test_epsilon_never_falls_when_steps_are_added() -> None:
    """More releases never cost less."""
    found = [epsilon([Spend(3.0, 0.01, steps)], 1e-5) for steps in (1, 10, 100, 500, 999, 1001)]
    assert found == sorted(found)


def test_hospitals_may_ask_for_different_targets() -> None:
    """Each hospital's noise is calibrated to its own target, over all its steps."""
    privacy = DpSgdParams(hospital_epsilons=(1.0, 4.0), delta=1e-5)
    training = TrainingParams(batch_size=32)

    strict, lax = (plan(privacy, training, 500, 5, hospital) for hospital in (0, 1))

    assert 0.999 <= strict.planned_epsilon <= 1.0
    assert 3.996 <= lax.planned_epsilon <= 4.0
    assert strict.sigma > lax.sigma


def test_a_cap_below_the_first_round_is_refused() -> None:
    """A hospital that could never take part is one message before anything runs."""
    privacy = DpSgdParams(noise_multiplier=1.0, cap=0.5)

    with pytest.raises(ValueError, match=r"cap: 0\.5 is below what the first round costs"):
        plan(privacy, TrainingParams(batch_size=32), 500, 5)
    assert plan(DpSgdParams(noise_multiplier=1.0, cap=9.0), TrainingParams(), 500, 5).sigma == 1.0
